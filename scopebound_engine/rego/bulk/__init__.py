"""Verdicts on many inputs at once, on all cores, for who waits for the last one only.

judge.py   deals out the questions to processes, and reads their verdicts
child.py   what runs in those processes
"""
