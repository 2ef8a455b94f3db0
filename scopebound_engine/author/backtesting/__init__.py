"""What an edit would have changed in decisions that were recorded."""
