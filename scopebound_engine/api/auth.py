"""Who calls: the API key of a request and its scopes."""

import falcon

from scopebound_engine.access.api_keys import ApiKey, ApiKeyStore
from scopebound_engine.errors import AuthenticationError, ForbiddenError

HEADER = "X-Scopebound-API-Key"


def require(req: falcon.Request, *scopes: str) -> ApiKey:
    """The request's API key, which must carry one of the scopes (`admin` carries all).

    Raises AuthenticationError, ForbiddenError, DatabaseUnavailableError.
    """
    secret = req.get_header(HEADER)
    if not secret:
        raise AuthenticationError(
            f"the header {HEADER} is missing; send an API key, which starts with sb-"
        )
    store: ApiKeyStore = req.context.api_keys
    key = store.authenticate(secret)
    if "admin" not in key.scopes and key.scopes.isdisjoint(scopes):
        raise ForbiddenError(
            f"this API key lacks the scope {' or '.join(scopes)}; it has "
            f"{', '.join(sorted(key.scopes)) or 'none'}"
        )
    return key
