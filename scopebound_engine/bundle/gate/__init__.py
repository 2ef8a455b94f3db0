"""What a bundle must pass before it may be in force, in processes that may die of it."""
