"""Who calls: the API key of a request and its scopes."""

import falcon

from scopebound_engine.access.doorkeeper import Doorkeeper
from scopebound_engine.access.model import ApiKey
from scopebound_engine.api import audit_trail
from scopebound_engine.errors import AuthenticationError, ForbiddenError

HEADER = "X-Scopebound-API-Key"


def require(req: falcon.Request, *scopes: str) -> ApiKey:
    """The request's API key, which must carry one of the scopes (`admin` carries all).

    Raises AuthenticationError (as TooManyAttemptsError when it happens too often), ForbiddenError,
    DatabaseUnavailableError, and JournalError before a change that could not be recorded.
    """
    secret = req.get_header(HEADER)
    if not secret:
        raise AuthenticationError(
            f"the header {HEADER} is missing; send an API key, which starts with sb-"
        )
    doorkeeper: Doorkeeper = req.context.doorkeeper
    # The peer of the socket: a header like X-Forwarded-For says what its sender likes.
    key = req.context.api_key = doorkeeper.admit(secret, req.remote_addr)
    if not key.may(*scopes):
        raise ForbiddenError(
            f"this API key lacks the scope {' or '.join(scopes)}; it has "
            f"{', '.join(sorted(key.scopes)) or 'none'}"
        )
    if audit_trail.changes_something(req):
        audit_trail.of(req).require_writable()
    return key
