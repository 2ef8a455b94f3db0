"""Who is calling and how often: signing keys, tokens, provisioning and per-session state."""
