"""Which clauses and expressions of a policy its tests reach, and how they came out there."""
