"""`python -m scopebound_engine.clerk`: the clerk's process, which takes no time from requests."""

import os
from typing import Final

_NICE: Final = 5

# Before what is imported, which takes half a second of a processor.
os.nice(_NICE)

from scopebound_engine.clerk.process import main  # noqa: E402

main()
