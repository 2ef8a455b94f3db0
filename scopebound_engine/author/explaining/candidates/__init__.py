"""Small changes that could turn a denial into an allow: what is worth trying, the smallest first.

They are read off the facts and off what the rules compared. None is believed before the policy has
decided what follows from it: see `counterfactual.py`.
"""
