"""How long a policy takes."""
