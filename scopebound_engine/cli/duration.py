"""Spans of time as options of commands take them."""

import re
from typing import Final

import click

_UNITS: Final = {"s": 1, "m": 60, "h": 3_600, "d": 86_400}


class Duration(click.ParamType[float]):
    """A time like 90m, 24h or 7d, in seconds."""

    name = "duration"

    def convert(
        self, value: object, param: click.Parameter | None, ctx: click.Context | None
    ) -> float:
        """Fails for anything else."""
        found = re.fullmatch(r"([1-9][0-9]{0,6})([smhd])", str(value), re.ASCII)
        if found is None:
            self.fail(f"{value!r} is no time: write a number with s, m, h or d, as 24h", param, ctx)
        return int(found[1]) * _UNITS[found[2]]
