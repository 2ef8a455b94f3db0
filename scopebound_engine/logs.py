"""Operational logs: one JSON object a line on standard error. Decisions are not logged here."""

import logging
import sys

import structlog


def configure() -> None:
    """Let structlog write JSON lines to standard error, and quiet what is chatty below."""
    logging.getLogger("alembic").setLevel(logging.WARNING)
    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info,
            structlog.processors.JSONRenderer(),
        ],
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
        cache_logger_on_first_use=True,
    )
