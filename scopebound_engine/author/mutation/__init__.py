"""Would a test notice? Small faults put into a policy, and who finds them."""
