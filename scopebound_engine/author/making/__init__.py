"""Something new in a folder of policies, in order at once."""
