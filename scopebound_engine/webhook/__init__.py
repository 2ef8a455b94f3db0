"""Notifications of denials. Receivers need `verify` alone."""

from scopebound_engine.webhook.signing import verify

__all__ = ["verify"]
