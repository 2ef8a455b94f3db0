"""The keys that sign sessions' tokens: each node has its own, all nodes know each other's."""
