"""Scopebound Engine: a policy engine for AI agents, decided by signed Rego bundles."""
