"""What the tests of a policy do not try."""
