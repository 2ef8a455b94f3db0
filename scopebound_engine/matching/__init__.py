"""Patterns on real strings, by RE2: never in a process with the Rego engine."""
