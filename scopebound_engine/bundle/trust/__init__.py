"""Whose bundles are believed: keys that sign, and keys that are trusted for a time."""
