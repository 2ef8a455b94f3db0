"""What happened in one evaluation: which conditions held, which did not, and of what values."""
