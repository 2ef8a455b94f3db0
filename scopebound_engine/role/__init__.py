"""Roles: what an agent may do, as values, their inheritance and their table."""
