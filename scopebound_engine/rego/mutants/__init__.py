"""Mutants of a policy: copies with one small fault each, which its tests should notice."""
