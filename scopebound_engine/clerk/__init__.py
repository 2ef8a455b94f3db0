"""The clerk: one process of a node that does its jobs, so that they never hold up a request.

It ships the decision log, signs and verifies it, forgets what is old, learns from sessions that
ended, and delivers webhooks. Whichever worker holds the lock starts it and starts it again.

    keeper.py    what a worker does: start, restart, end   jobs.py    what there is to do
    process.py   the process itself                        status.py  what it says of itself
"""
