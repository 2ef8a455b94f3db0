"""The decision log: what was decided and changed, in a chain of lines on this node's disk."""
