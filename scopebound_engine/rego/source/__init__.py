"""Rego source as text: tokens, layout, rules and their bodies."""
