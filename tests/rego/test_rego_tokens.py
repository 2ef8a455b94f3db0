from scopebound_engine.rego.source.tokens import Source


def texts(text: str) -> list[str]:
    return [token.text for token in Source("a.rego", text).tokens]


def test_comments_and_blanks_are_no_tokens() -> None:
    assert texts("a # b with c\n\t:= 1") == ["a", ":=", "1"]


def test_words_inside_of_strings_are_part_of_the_string() -> None:
    assert texts('"x with \\" y" `with "\n` z') == ['"x with \\" y"', '`with "\n`', "z"]


def test_an_unclosed_string_is_a_stray_quote() -> None:
    tokens = Source("a.rego", 'x := "abc\ny').tokens
    assert [(token.kind, token.text) for token in tokens if token.kind == "stray"] == [
        ("stray", '"')
    ]


def test_brackets_pair_only_with_their_own_kind() -> None:
    assert Source("a.rego", "f([x) {y}").closing == {5: 7}


def test_places_count_lines_and_characters_from_one() -> None:
    source = Source("a.rego", "é := 1\r\n\tx := 2\n")
    assert source.place(0) == (1, 1)
    assert source.place(source.text.index("x")) == (2, 2)
    assert source.line(1) == "é := 1"
    assert source.line(9) == ""


def test_columns_of_the_engine_are_bytes() -> None:
    assert Source("a.rego", "é x").column_of_byte(0, 3) == 3


def test_the_package_is_a_path() -> None:
    assert Source("a.rego", "# c\npackage a.b.c\nx := 1").package == ("a", "b", "c")
    assert Source("a.rego", "x := 1").package == ()
