"""`python -m scopebound_engine.clerk`: the clerk's process, which takes no time from requests."""

from scopebound_engine.background import step_back

# Before what else is imported, which takes half a second of a processor.
step_back()

from scopebound_engine.clerk.process import main  # noqa: E402

main()
