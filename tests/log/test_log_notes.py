"""Signed notes, held against the examples that C2SP and Go's note package publish."""

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from scopebound_engine.errors import InputError
from scopebound_engine.log import notes
from scopebound_engine.log.notes import SignerKey, VerifierKey

# golang.org/x/mod/sumdb/note: the example of its documentation, and the bad keys of its tests.
GO_SECRET = "AYEKFALVFGyNhPJEMzD1QIDr+Y7hfZx09iUvxdXHKDFz"
GO_VKEY = "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW"
GO_TEXT = (
    "If you think cryptography is the answer to your problem,\n"
    "then you don't know what your problem is.\n"
)
GO_SIGNATURE = (
    "— PeterNeumann x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSNXgKvqfqdngotpRZb"
    "6KE6RyyBwJnAM=\n"
)
GO_NOTE = f"{GO_TEXT}\n{GO_SIGNATURE}".encode()
ENOCH = (
    "— EnochRoot rwz+eBzmZa0SO3NbfRGzPCpDckykFXSdeX+MNtCOXm2/5n2tiOHp+vAF1aGrQ5ovTG01oOTGwnWLox33WW"
    "d1RvMc+QQ=\n"
)
ENOCH_VKEY = "EnochRoot+af0cfe78+ATtqJ7zOtqQtYqOo0CpvDXNlMhV3HeJDpjrASKGLWdop"
# https://c2sp.org/signed-note
C2SP_VKEY = "example.com/foo+530d903a+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k"
C2SP_NOTE = (
    "This is an example message.\n\n— example.com/foo Uw2QOkn8srV1yJGh2VYRlL1Tnagv1YEq6TfXppzi2ONnc"
    "AlTgK7Ztg1ERYNZXsYjOBH3mFXmRKuwHjG1Yu72IneyaQM=\n"
).encode()

SIGNER = SignerKey(
    "PeterNeumann", Ed25519PrivateKey.from_private_bytes(notes.decoded(GO_SECRET)[1:])
)
KEY = VerifierKey.parse(GO_VKEY)


def test_signing_gives_the_published_note_byte_for_byte() -> None:
    assert str(SIGNER.verifier) == GO_VKEY
    assert notes.sign(GO_TEXT, SIGNER) == GO_NOTE


@pytest.mark.parametrize(("vkey", "note"), [(GO_VKEY, GO_NOTE), (C2SP_VKEY, C2SP_NOTE)])
def test_published_notes_are_verified(vkey: str, note: bytes) -> None:
    key = VerifierKey.parse(vkey)
    assert str(key) == vkey
    assert notes.verified(notes.parse(note), [key]) == key


def test_one_known_signature_of_several_is_enough() -> None:
    note = notes.parse(GO_NOTE + ENOCH.encode())
    enoch = VerifierKey.parse(ENOCH_VKEY)
    assert notes.verified(note, [enoch]) == enoch
    assert notes.verified(note, [KEY]) == KEY


def test_a_signature_of_a_known_key_that_does_not_fit_spoils_the_note() -> None:
    forged = (GO_NOTE + ENOCH.encode()).replace(b"know", b"knew")
    with pytest.raises(InputError, match="not of this text"):
        notes.verified(notes.parse(forged), [KEY])


def test_signatures_of_unknown_keys_do_not_count() -> None:
    stranger = SignerKey("PeterNeumann", Ed25519PrivateKey.generate())
    with pytest.raises(InputError, match="no key that is known"):
        notes.verified(notes.parse(notes.sign(GO_TEXT, stranger)), [KEY])


def test_no_byte_of_a_note_may_change() -> None:
    for place in range(len(GO_NOTE)):
        changed = GO_NOTE[:place] + bytes([GO_NOTE[place] ^ 1]) + GO_NOTE[place + 1 :]
        with pytest.raises(InputError):
            notes.verified(notes.parse(changed), [KEY])


@pytest.mark.parametrize(
    "note",
    [
        b"",
        b"text\n",
        b"text\n\n",
        GO_NOTE[:-1],
        GO_NOTE.replace("— ".encode(), b"-- "),
        GO_NOTE.replace(b"problem", b"pro\tblem", 1),
        GO_NOTE.replace(b"problem", b"pro\xffblem", 1),
        GO_NOTE.replace(b"JnAM=\n", b"JnAN=\n"),
        GO_NOTE.replace(b"\n\n", b"\n \n"),
        GO_NOTE + b"more\n",
        "text\n\n— name AAAA\n".encode(),
        GO_TEXT.encode() + b"\n" + GO_SIGNATURE.encode() * 101,
    ],
)
def test_what_is_no_note_is_refused(note: bytes) -> None:
    with pytest.raises(InputError):
        notes.parse(note)


def test_a_text_may_hold_empty_lines() -> None:
    note = notes.parse(notes.sign("one\n\ntwo\n", SIGNER))
    assert note.text == "one\n\ntwo\n"
    assert notes.verified(note, [KEY]) == KEY


@pytest.mark.parametrize(
    "vkey",
    [
        *(GO_VKEY[:end] for end in range(len(GO_VKEY))),
        *(GO_VKEY[start:] for start in range(1, len(GO_VKEY))),
        "PeterNeumann+cc469956+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TWBADKEY==",
        "PeterNeumann+173116ae+ZRpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW",
        "Peter Neumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW",
    ],
    ids=range(2 * len(GO_VKEY) + 2),
)
def test_what_is_no_key_is_refused(vkey: str) -> None:
    with pytest.raises(InputError):
        VerifierKey.parse(vkey)
