"""A folder of policies becomes the files of a bundle, or every file that is in the way is named."""

import json
import os
from pathlib import Path

import pytest
from bundle_samples import files, manifest

from scopebound_engine.bundle.format import archive
from scopebound_engine.bundle.format.build import build
from scopebound_engine.errors import BundleError, ManifestError


@pytest.fixture
def policies(tmp_path: Path) -> Path:
    folder = tmp_path / "policies"
    for name, content in files().items():
        target = tmp_path / name if name == "manifest.json" else folder / name
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(content)
    return folder


def refused(policies: Path, manifest_file: Path | None = None) -> list[str]:
    with pytest.raises(BundleError) as caught:
        build(policies, manifest_file or policies.parent / "manifest.json")
    return [f"{Path(f.file).name}: {f.message} ({f.remedy})" for f in caught.value.findings]


def test_policies_and_manifest_become_the_files_of_a_bundle(policies: Path) -> None:
    built = build(policies, policies.parent / "manifest.json")
    assert built == files()
    assert archive.read(archive.write(built)) == built


def test_the_manifest_may_lie_in_the_folder_or_have_another_name(policies: Path) -> None:
    inside = policies / "manifest.json"
    (policies.parent / "manifest.json").rename(inside)
    assert build(policies, inside) == files()
    assert build(Path(os.path.relpath(policies)), inside) == files()
    inside.rename(policies.parent / "other.json")
    assert build(policies, policies.parent / "other.json") == files()


def test_opas_manifest_travels_along(policies: Path) -> None:
    (policies / ".manifest").write_text('{"roots": ["scopebound"]}')
    assert ".manifest" in build(policies, policies.parent / "manifest.json")


def test_a_second_manifest_is_refused(policies: Path) -> None:
    (policies / "manifest.json").write_text(json.dumps(manifest(name="other")))
    (message,) = refused(policies)
    assert message.startswith("manifest.json: a second manifest beside ")


@pytest.mark.parametrize(
    ("name", "message"),
    [
        (".DS_Store", "left behind by an editor or the desktop (delete it)"),
        ("scopebound/.main.rego.swp", "left behind by an editor or the desktop (delete it)"),
        ("scopebound/main.rego~", "left behind by an editor or the desktop (delete it)"),
        ("scopebound/#main.rego#", "left behind by an editor or the desktop (delete it)"),
        ("scopebound/._main.rego", "left behind by an editor or the desktop (delete it)"),
        (".signatures.json", "made by signing, not a source (delete it)"),
        ("README.md", "not a name of a bundle's file"),
        ("notes.txt", "a file that has no place in a bundle"),
        ("scopebound/data.yaml", "YAML is not read here (write it as data.json)"),
        ("scopebound/config.json", "a file that has no place in a bundle"),
        ("scopebound/Main.rego", "not a name of a bundle's file"),
        ("scopebound/manifest.json", "a file that has no place in a bundle"),
        (".git/config", "not a file (take it out of the folder)"),
    ],
)
def test_a_file_that_has_no_place_is_named(policies: Path, name: str, message: str) -> None:
    (policies / name).parent.mkdir(exist_ok=True)
    (policies / name).write_text("{}")
    (found,) = refused(policies)
    assert message in found


def test_links_are_refused_wherever_they_lead(policies: Path) -> None:
    (policies / "a.rego").symlink_to(policies / "scopebound/main.rego")
    (policies / "b.rego").symlink_to(policies / "nowhere")
    (policies / "c").symlink_to(policies / "scopebound")
    assert [found.split(" (")[0] for found in refused(policies)] == [
        "a.rego: a symbolic link",
        "b.rego: a symbolic link",
        "c: a symbolic link",
    ]


def test_what_is_neither_file_nor_folder_is_refused(policies: Path) -> None:
    os.mkfifo(policies / "a.rego")
    assert refused(policies) == ["a.rego: not a file (take it out of the folder)"]


def test_a_missing_manifest_is_named(policies: Path) -> None:
    (message,) = refused(policies, policies / "nowhere.json")
    assert message.startswith("nowhere.json: cannot be read: No such file")


def test_a_folder_that_is_missing_is_named(tmp_path: Path) -> None:
    assert len(refused(tmp_path / "nowhere")) == 2


def test_a_wrong_manifest_is_refused(policies: Path) -> None:
    (policies.parent / "manifest.json").write_text("{}")
    with pytest.raises(ManifestError):
        build(policies, policies.parent / "manifest.json")


def test_data_that_does_not_fit_together_is_refused(policies: Path) -> None:
    (policies / "data.json").write_text('{"scopebound": {"config": 1}}')
    (message,) = refused(policies)
    assert "data.scopebound.config is in another data.json too" in message


def test_all_that_is_in_the_way_is_named_at_once(policies: Path) -> None:
    for name in ("a.txt", "b.txt", "c.rego~"):
        (policies / name).write_text("")
    assert len(refused(policies, policies / "nowhere.json")) == 4
