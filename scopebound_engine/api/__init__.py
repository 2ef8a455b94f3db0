"""The HTTP surface: Falcon resources, one file per noun."""
