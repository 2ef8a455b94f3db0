"""Moments as the API and the command line write them."""

from datetime import UTC, datetime


def moment(epoch_seconds: float) -> datetime:
    """What a clock of epoch seconds says, in UTC."""
    return datetime.fromtimestamp(epoch_seconds, UTC)


def timestamp(when: datetime) -> str:
    """A moment in whole seconds as `YYYY-MM-DDTHH:MM:SSZ`, the only form the reference knows."""
    return when.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
