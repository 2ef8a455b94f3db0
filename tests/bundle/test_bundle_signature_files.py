"""The files of a bundle are those that were signed: none more, none less, none changed."""

import pytest

from scopebound_engine.bundle.signature import SIGNATURES, sign, verify
from scopebound_engine.errors import BundleError, ManifestError
from tests.bundle.bundle_samples import (
    END,
    KEY,
    files,
    header,
    jws,
    member,
    payload,
    signed,
    tar_gz,
    trust,
    with_token,
)
from tests.bundle.signature_samples import refused


def test_a_file_that_is_not_signed_is_refused() -> None:
    sources = {**files(), "scopebound/extra.rego": b"package scopebound\n"}
    text = refused(with_token(jws(payload()), sources))
    assert "scopebound/extra.rego: the file is not signed" in text


def test_a_second_manifest_is_not_exempt() -> None:
    text = refused(with_token(jws(payload()), {**files(), ".manifest": b"{}"}))
    assert ".manifest: the file is not signed" in text


def test_a_file_that_is_missing_is_refused() -> None:
    sources = files()
    del sources["scopebound/main_test.rego"]
    text = refused(with_token(jws(payload()), sources))
    assert "scopebound/main_test.rego: the file is signed but missing" in text


@pytest.mark.parametrize("name", sorted(files()))
def test_a_changed_file_is_refused(name: str) -> None:
    sources = {**files(), name: files()[name].replace(b"o", b"u", 1)}
    assert sources != files()
    assert f"{name}: the file is not as it was signed" in refused(
        with_token(jws(payload()), sources)
    )


def test_files_that_swap_names_are_refused() -> None:
    one, other = "scopebound/main.rego", "scopebound/main_test.rego"
    sources = {**files(), one: files()[other], other: files()[one]}
    assert refused(with_token(jws(payload()), sources)).count("not as it was signed") == 2


def test_all_files_that_do_not_fit_are_named_at_once() -> None:
    sources = {**files(), "a.rego": b"", "manifest.json": b"{}"}
    del sources["scopebound/main.rego"]
    assert refused(with_token(jws(payload()), sources)).count("\n") == 3


def test_signing_from_outside_the_folder_is_explained() -> None:
    claims = payload()
    for item in claims["files"]:
        item["name"] = f"rules/{item['name']}"
    assert "opa sign --bundle ." in refused(with_token(jws(claims)))


def test_a_signed_manifest_must_still_be_right() -> None:
    with pytest.raises(ManifestError, match="version is missing"):
        verify(signed(KEY, files(**{"manifest.json": b"{}"})), trust(KEY))


def test_signed_modules_must_still_be_text() -> None:
    with pytest.raises(BundleError, match="not UTF-8"):
        verify(signed(KEY, files(**{"a.rego": b"\xff"})), trust(KEY))


def test_a_hidden_second_file_of_a_signed_name_is_refused() -> None:
    sources = {**files(), SIGNATURES: sign(files(), KEY)}
    members = [member(name.encode(), content) for name, content in sources.items()]
    evil = member(b"./scopebound/main.rego", b"package evil\n")
    for data in (
        tar_gz(evil, *members),
        tar_gz(*members, evil),
        tar_gz(*members, end=END + evil + END),
        tar_gz(*members) + tar_gz(evil),
        tar_gz(*members, header(b"scopebound/main.rego", kind=b"2")),
    ):
        with pytest.raises(BundleError):
            verify(data, trust(KEY))
