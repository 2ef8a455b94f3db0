"""`python -m scopebound_engine` is `scopebound-engine`."""

from scopebound_engine.cli.main import main

main()
