"""One example per operation, from the API reference; a test puts each to the real app."""
