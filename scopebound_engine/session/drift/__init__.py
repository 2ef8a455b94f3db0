"""Whether a session still does what sessions of its role do: evidence and baselines."""
