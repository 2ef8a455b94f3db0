"""`make bench-peers`: what others take for the decision that Scopebound makes.

question.py    the two calls, what every peer is and has to answer
roster.py      the peers, what each is and what it leaves out
plain.py, cedar.py, pycasbin.py, rego.py, inside.py   the peers in process
server.py      the peers over HTTP; echo.py is the bare stack
child.py       the process that a peer in process has for itself
__main__.py    measures all in turns, prints and writes the table

Peers that are not installed are left out: `pip install '.[bench]'` installs them.
"""
