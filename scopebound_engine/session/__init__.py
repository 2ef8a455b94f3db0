"""Who is calling, how often, and whether that is still what the role's sessions do.

store.py   the sessions there are
tokens.py  what an agent shows; claims.py is what stands in it
keys/      what signs tokens
state/     what every call finds and changes
drift/     what past sessions of a role were like, and when one departs from it
"""
