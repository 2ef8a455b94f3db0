"""The decision point: facts in, a verdict out; any doubt denies."""
