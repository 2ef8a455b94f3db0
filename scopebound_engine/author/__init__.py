"""The author's workbench: what `scopebound-engine policy …` computes, without a terminal.

Each command is a function that takes what `folder.read` found and returns frozen dataclasses. What
loads the Rego engine runs in child processes only.
"""
