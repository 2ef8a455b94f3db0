"""A signed bundle, other keys than the one that signed it, and how a refusal is read."""

import pytest

from scopebound_engine.bundle.signature import verify
from scopebound_engine.bundle.trust.keys import SigningKey
from scopebound_engine.errors import SignatureError
from tests.bundle.bundle_samples import KEY, signed, trust

OTHER = SigningKey.generate("es256")
RSA = SigningKey.generate("rs256")
SIGNED = signed(KEY)


def refused(data: bytes, *keys: SigningKey) -> str:
    with pytest.raises(SignatureError) as caught:
        verify(data, trust(*(keys or (KEY,))))
    assert all(finding.step == "signature" for finding in caught.value.findings)
    return str(caught.value)
