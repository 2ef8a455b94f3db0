"""Rego in the style of `opa fmt`, without a change to what it says.

Learned from https://www.openpolicyagent.org/docs/cli#opa-fmt and from how files look that went
through it. `text` begins here; where lines begin is decided in `layout`.
"""
