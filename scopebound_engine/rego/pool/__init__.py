"""Evaluators: one bundle's verdicts by a deadline, from processes that can be killed."""
