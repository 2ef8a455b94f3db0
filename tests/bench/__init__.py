"""`make bench`: what deciding costs, by the typical call and along each dimension of a call.

A part of the benchmark measures rows and leaves them as `results/<part>.json`, see `results`;
`make bench-report` makes plots and a section of the README from these files.
"""

from tests.bench.scenario import ARGUMENTS, DURABLE, ROLE

__all__ = ["ARGUMENTS", "DURABLE", "ROLE"]
