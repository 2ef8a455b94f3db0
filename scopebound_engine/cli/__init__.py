"""The command line: click groups, one file per noun."""
