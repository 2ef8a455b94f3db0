"""The fault rig: a load whose answers are known beforehand, faults, and a judge of what came of it.

`python -m tests.rig` runs it; see `__main__.py`.
"""
