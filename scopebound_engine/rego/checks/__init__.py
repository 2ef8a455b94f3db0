"""What is wrong with a policy, found in its source and its compiled plan."""
