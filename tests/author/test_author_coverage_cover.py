"""Coverage as `cover` tells it, and the page of it, which is read with html.parser: no browser is
among what the tests may use.
"""

from html.parser import HTMLParser
from pathlib import Path

import pytest

from scopebound_engine.author import folder
from scopebound_engine.author.coverage.cover import Coverage, FileCover, cover, spelled
from scopebound_engine.author.coverage.page import page
from scopebound_engine.author.folder import Sources
from scopebound_engine.config import SHIPPED
from scopebound_engine.errors import ConfigError, FindingsError, InputError

RULES = """package shop

# <script>alert(1)</script> & "quotes" \u202e \x1b[31m
open if {
	input.hour >= 9
	input.hour < data.shop.closing
}

closed if not open

late if {
	input.hour > 30

	input.minute > 1
}

note := sprintf(`<b title="x">%s
</b>`, ["&amp;"]) if {
	input.é == "<i>"
}

unasked if input.hour == 0

both if { input.hour > 1; input.hour > 99; input.hour > 100 }
"""
TESTS = """package shop_test

import data.shop

test_open if shop.open with input as {"hour": 9}

test_closed if shop.closed with input as {"hour": 20}

test_late if not shop.late with input as {"hour": 20}

test_both if not shop.both with input as {"hour": 20}
"""
FILES = {"shop/rules.rego": RULES.replace("input.é", 'input["é"]'), "shop/rules_test.rego": TESTS}
DATA = {"shop/data.json": '{"closing": 18}'}
# Elements that HTML leaves without an end.
VOID = {"meta", "link", "img", "br", "input"}


def written(place: Path, files: dict[str, str]) -> Sources:
    for name, text in files.items():
        (place / name).parent.mkdir(parents=True, exist_ok=True)
        (place / name).write_text(text, encoding="utf-8")
    return folder.read(place)


@pytest.fixture(scope="module")
def sources(tmp_path_factory: pytest.TempPathFactory) -> Sources:
    return written(tmp_path_factory.mktemp("<b>&amp;") / "policies", {**FILES, **DATA})


@pytest.fixture(scope="module")
def coverage(sources: Sources) -> Coverage:
    return cover(sources)


@pytest.fixture(scope="module")
def html(coverage: Coverage, sources: Sources) -> str:
    return page(coverage, sources)


def test_a_file_tells_its_lines_and_how_its_expressions_came_out(coverage: Coverage) -> None:
    (file,) = coverage.files
    assert file.file == "shop/rules.rego"
    assert sorted(file.by_line) == [4, 5, 6, 9, 11, 12, 14, 17, 19, 22, 24]
    # 11, 14: between two lines that are not covered is one that is.
    assert file.uncovered == ((11, 11), (14, 22))
    assert (file.covered, file.lines, file.percent) == (6, 11, 54.5)
    assert [item.text for item in file.never_true] == ["input.hour > 30", "input.hour > 99"]
    assert [(item.line, item.text) for item in file.never_false] == [
        (5, "input.hour >= 9"),
        (9, "not open"),
        (24, "input.hour > 1"),
    ]
    assert [(item.line, item.rule) for item in file.never_entered] == [
        (17, "shop.note"),
        (22, "shop.unasked"),
    ]
    assert (coverage.lines, coverage.covered, coverage.percent) == (11, 6, 54.5)
    assert [test.name for test in coverage.tests][:2] == [
        "data.shop_test.test_open",
        "data.shop_test.test_closed",
    ]
    assert coverage.broken == ()


def test_a_percentage_is_100_only_where_all_is_covered() -> None:
    file = FileCover("a.rego", {line: line != 7 for line in range(1, 3001)}, (), ())
    assert (file.percent, file.uncovered) == (99.9, ((7, 7),))
    assert FileCover("a.rego", {}, (), ()).percent == 100.0
    assert FileCover("a.rego", {1: False, 9: False}, (), ()).uncovered == ((1, 9),)
    assert [spelled(span) for span in ((7, 7), (1, 9))] == ["7", "1-9"]


def test_all_lines_of_the_shipped_policies_are_covered() -> None:
    found = cover(folder.read(SHIPPED / "policies"))
    assert found.broken == ()
    assert [file.file for file in found.files if file.uncovered] == []
    assert [item.text for file in found.files for item in file.never_true] == []
    assert found.lines > 400
    print(f"{len(found.tests)} tests, {found.lines} lines, {found.seconds:.1f} s")


def test_a_pattern_chooses_tests_and_has_to_find_one(sources: Sources) -> None:
    found = cover(sources, "test_open$")
    assert [test.name for test in found.tests] == ["data.shop_test.test_open"]
    assert found.files[0].covered == 3
    with pytest.raises(ConfigError, match=r"no tests in .* in which 'no such test' is found"):
        cover(sources, "no such test")
    with pytest.raises(InputError, match="regular expression"):
        cover(sources, "(")


def test_a_folder_without_rules_is_covered_and_one_without_tests_is_refused(tmp_path: Path) -> None:
    found = cover(written(tmp_path / "tests", {"a_test.rego": "package a\n\ntest_x if true\n"}))
    assert (found.files, found.percent, len(found.tests)) == ((), 100.0, 1)
    rules = written(tmp_path / "rules", {"a.rego": "package a\n\nx if input.y\n"})
    with pytest.raises(ConfigError, match="no tests in"):
        cover(rules)


def test_what_cannot_be_read_or_compiled_is_told_with_its_place(tmp_path: Path) -> None:
    broken = written(
        tmp_path / "broken", {"a.rego": "package a\n\nx := := 1\n", "a_test.rego": TESTS}
    )
    with pytest.raises(FindingsError) as caught:
        cover(broken)
    assert ("a.rego", 3) in {(found.file, found.line) for found in caught.value.findings}
    (tmp_path / "latin").mkdir()
    (tmp_path / "latin/a.rego").write_bytes(b"package a\n# \xff\n")
    with pytest.raises(FindingsError):
        cover(folder.read(tmp_path / "latin"))


def test_a_test_that_kills_the_engine_is_told_and_the_others_count(tmp_path: Path) -> None:
    crash = (
        'test_crash if regex.match(`.*@a$`, concat("", [a.y | some _ in numbers.range(1, 30000)]))'
    )
    text = f"package a_test\n\nimport data.a\n\ntest_x if a.x\n\n{crash}\n"
    found = cover(
        written(tmp_path, {"a.rego": 'package a\n\nx := true\n\ny := "a"\n', "a_test.rego": text})
    )
    assert [(test.name, test.outcome) for test in found.broken] == [
        ("data.a_test.test_crash", "error")
    ]
    assert found.files[0].uncovered == ((5, 5),)


class Reader(HTMLParser):
    """The elements of a page, what stands in some of them, and what does not fit."""

    def __init__(self, html: str) -> None:
        super().__init__(convert_charrefs=True)
        self.open: list[tuple[str, dict[str, str]]] = []
        self.elements: list[tuple[str, dict[str, str]]] = []
        self.lines: dict[str, list[tuple[str, str, str]]] = {}
        self.feed(html)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        element = (tag, {name: value or "" for name, value in attrs})
        self.elements.append(element)
        if tag not in VOID:
            self.open.append(element)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop()[0] == tag

    def handle_data(self, data: str) -> None:
        around = [attrs for _, attrs in self.open if attrs.get("class") == "line"]
        if around:
            inner = self.open[-1][1]
            found = (inner.get("class", ""), inner.get("title", ""), data.rstrip("\n"))
            self.lines.setdefault(around[0]["id"], []).append(found)


@pytest.fixture(scope="module")
def read(html: str) -> Reader:
    return Reader(html)


def test_the_page_is_whole_and_loads_nothing(read: Reader) -> None:
    assert read.open == []
    names = {tag for tag, _ in read.elements}
    assert names.isdisjoint({"script", "link", "img", "iframe", "object", "b", "i"})
    assert {"html", "table", "main", "h1", "h2", "pre"} <= names
    for tag, attrs in read.elements:
        assert not any(name.startswith("on") or name == "src" for name in attrs)
        if tag == "a":
            assert attrs["href"].startswith("#")
    assert ("html", {"lang": "en"}) in read.elements


def test_every_link_leads_to_a_place_on_the_page_that_is_there_once(read: Reader) -> None:
    places = [attrs["id"] for _, attrs in read.elements if "id" in attrs]
    links = {attrs["href"][1:] for tag, attrs in read.elements if tag == "a"}
    assert links <= set(places)
    assert len(places) == len(set(places))


def test_the_source_is_shown_as_it_is_but_for_what_a_reader_would_not_see(read: Reader) -> None:
    shown = {
        number: "".join(text for kind, _, text in parts if kind not in {"number", "sign", "said"})
        for number, parts in ((int(name[3:]), parts) for name, parts in read.lines.items())
    }
    lines = FILES["shop/rules.rego"].split("\n")[:-1]
    lines[2] = lines[2].replace("\u202e", r"\u202e").replace("\x1b", r"\x1b")
    assert list(shown.values()) == lines
    assert list(shown) == list(range(1, len(lines) + 1))


def marks(read: Reader, line: int) -> list[tuple[str, str]]:
    kinds = {"hit", "missed", "untrue", "unfalse"}
    return [(kind, text) for kind, _, text in read.lines[f"f0l{line}"] if kind in kinds]


def said(read: Reader, line: int) -> str:
    return "".join(text for kind, _, text in read.lines[f"f0l{line}"] if kind == "said").strip()


def test_parts_are_coloured_by_what_became_of_them(read: Reader) -> None:
    assert marks(read, 4) == [("hit", "open")]
    assert marks(read, 5) == [("unfalse", "input.hour >= 9")]
    assert marks(read, 6) == [("hit", "input.hour < data.shop.closing")]
    assert marks(read, 11) == [("untrue", "late")]
    assert marks(read, 13) == marks(read, 3) == []
    assert marks(read, 14) == [("missed", "input.minute > 1")]
    assert marks(read, 18) == [("missed", '</b>`, ["&amp;"])')]
    assert [kind for kind, _ in marks(read, 24)] == ["untrue", "unfalse", "untrue", "missed"]
    titles = {title for _, title, _ in read.lines["f0l6"] if title}
    assert titles == {"true in a test, false in a test"}


def test_no_line_is_told_by_colour_alone(read: Reader) -> None:
    assert {line: said(read, line) for line in (3, 4, 5, 6, 11, 12, 14, 24)} == {
        3: "",
        4: "covered",
        5: "never false",
        6: "covered",
        11: "not covered",
        12: "never true",
        14: "not covered",
        24: "covered in part",
    }


def test_a_name_of_a_folder_is_no_markup(html: str) -> None:
    assert "&lt;b&gt;&amp;amp;" in html
    assert html.count("<h1>") == 1
