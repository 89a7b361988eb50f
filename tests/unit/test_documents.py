"""YAML is read as people expect it, and every mistake in it has its place."""

from typing import Any

import pytest
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from remediator.documents import Document, Mistake, did_you_mean, faults_of, mistakes_of, read_document


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("no", "no"),
        ("on", "on"),
        ("yes", "yes"),
        ("true", True),
        ("False", False),
        ("null", None),
        ("~", None),
        ("0x10", "0x10"),
        ("1_000", "1_000"),
        ("1:30", "1:30"),
        ("2024-01-01", "2024-01-01"),
        ("1.5", 1.5),
        ("1e3", 1000.0),
        (".inf", ".inf"),
        ("=", "="),
        ("'5'", "5"),
        ('"true"', "true"),
        ("'alertname=\"x\"'", 'alertname="x"'),
    ],
)
def test_plain_values_are_what_they_look_like(text: str, expected: object) -> None:
    """`no` is the country of many a label; nothing but true and false is a boolean."""
    document = read_document(f"a: {text}\n", name="f")

    assert {"a": expected} == document.data
    assert type(expected) is type(document.data["a"])


def test_every_value_and_key_knows_its_place() -> None:
    """So that an editor can jump to a mistake."""
    document = read_document("a: 1\nb:\n  - x\n  - {c: 2}\n", name="f")

    assert (1, 4) == document.place(("a",))
    assert (4, 9) == document.place(("b", 1, "c"))
    assert (4, 6) == document.place(("b", 1, "c"), key=True)
    assert (4, 5) == document.place(("b", 1, "gone"))
    assert "f:3:5: so it is" == str(document.mistake(("b", 0), "so it is"))


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("a: 1\na: 2", "2:1: `a` stands twice; the first one is in line 1"),
        ("a: !tag x", "1:4: the tag !tag is not known here"),
        ("a: !tag {}", "1:4: the tag !tag is not known here"),
        ("a: !tag []", "1:4: the tag !tag is not known here"),
        ("b: &b {c: 1}\na:\n  <<: *b", "3:3: merge keys"),
        ("[a, b]: c", "1:1: a key is a plain word"),
        ("a: {{ labels.x }}", "1:4: braces without quotes are a mapping in YAML"),
        ("a: {{ x }} and more", "this is not YAML: did not find expected key; a value that begins with {{"),
        ("- {{ x }}-y", "a value that begins with {{ is quoted as a whole"),
        ("a:\n\tb: 1", "2:1: this is not YAML: found character that cannot start any token; indent with spaces"),
        ("a: 1\nb\nc: 2", "is a colon missing"),
        ("a: [1", "this is not YAML"),
        ("a: 1\n---\nb: 2", "2:1: this file holds several YAML documents (`---`); make each a file of its own"),
        ("a: *gone", "this is not YAML: found undefined alias"),
        ("a: \x00", "1:1: this is not YAML"),
        ("a: 010", "1:4: 010 begins with a zero, which some read as octal; write 10, or quote it"),
        ("a: -08", "1:4: -08 begins with a zero"),
        ("a: 1e999", "1:4: this number is too large"),
        ("a: " + "9" * 5000, "1:4: this number is too long"),
        ("[" * 2000, "nests its values too deeply"),
        ("- " * 100 + "x", "too large or too deep"),
        ("a: &a [*a]", "too large or too deep"),
    ],
)
def test_what_is_wrong_with_the_text_is_told_once(text: str, told: str) -> None:
    """Never an exception: rule files and settings tell all their mistakes together."""
    document = read_document(text, name="f")

    assert 1 == len(document.mistakes)
    assert told in str(document.mistakes[0])


def test_a_mistake_is_one_line_without_control_characters() -> None:
    """A file from somebody else must neither take over a terminal nor write workflow commands into a log."""
    told = str(Mistake("a\n::b.yaml", 1, 2, "`\x1b[31mkey\n::error::x\u202e` is not known — here"))

    assert "a\\n::b.yaml:1:2: `\\x1b[31mkey\\n::error::x\\u202e` is not known — here" == told


def test_aliases_cannot_fill_the_memory() -> None:
    """Nine lines of YAML can mean a billion values."""
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 9)]
    document = read_document("\n".join(lines), name="f")

    assert ["too large or too deep" in str(mistake) for mistake in document.mistakes] == [True]
    assert len(document.places) < 300_000


def test_an_empty_file_is_an_empty_mapping() -> None:
    """Settings may be all comments."""
    document = read_document("# nothing\n", name="f")

    assert {} == document.data
    assert () == document.mistakes


class Inner(BaseModel):
    """A part."""

    model_config = ConfigDict(extra="forbid")

    size: int = 1
    kind: str = Field(default="a", alias="class")


class Outer(BaseModel):
    """The whole."""

    model_config = ConfigDict(extra="forbid")

    name: str
    flag: bool = False
    inner: Inner = Inner()
    by_name: dict[str, Inner] = {}
    items: tuple[Inner, ...] = Field(default=(), min_length=1)
    either: int | Inner = 1


def error_of(data: Any) -> ValidationError:
    with pytest.raises(ValidationError) as caught:
        Outer.model_validate(data)
    return caught.value


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("inner: {}", ["1:1: `name` is missing"]),
        ("name: 5", ["1:7: `name` takes text; put it in quotes if it is a number, true, false or null"]),
        ("name: x\nflag: maybe", ["2:7: `flag` is true or false"]),
        ("name: x\ninner: 5", ["2:8: `inner` takes a mapping (`key: value` lines)"]),
        ("name: x\nitems: 5", ["2:8: `items` takes a list"]),
        ("name: x\nitems: []", ["2:8: `items` is empty; it needs 1 at the least"]),
        ("name: x\nitems: [5]", ["2:9: item 1 of `items` takes a mapping (`key: value` lines)"]),
        ("name: x\ninner: {sice: 1}", ["2:9: `sice` is not known here; did you mean `size`?"]),
        ("name: x\nby_name: {one: {clas: b}}", ["2:17: `clas` is not known here; did you mean `class`?"]),
        ("name: x\nitems: [{}, {zzz: 1}]", ["2:14: `zzz` is not known here; known are `class`, `size`"]),
        ("name: x\neither: {size: q}", ["2:9: `either`", "2:16: `size`"]),
        ("name: {{ x }}", []),
    ],
)
def test_what_pydantic_finds_has_a_place_and_a_hint(text: str, told: list[str]) -> None:
    """The words are ours, and the names are those of the file."""
    document = read_document(text, name="f")
    mistakes = list(map(str, mistakes_of(error_of(document.data), document, Outer)))

    assert len(told) == len(mistakes)
    assert all(f"f:{one}" in mistake for one, mistake in zip(told, mistakes, strict=True))


def test_what_the_document_does_not_hold_came_from_elsewhere() -> None:
    """A variable of the environment has no line in the file."""
    document = read_document("name: x\ninner: {class: y}\n", name="f")
    data = {**document.data, "inner": {"class": "y", "size": "q"}, "flag": "maybe"}

    assert ["env: flag: `flag` is true or false", "env: inner.size: `size` takes a whole number"] == [
        str(mistake).split(", unable")[0] for mistake in mistakes_of(error_of(data), document, Outer, elsewhere="env")
    ]


def test_a_value_is_never_shown_by_itself() -> None:
    """Settings hold secrets; a mistake in them goes to a log."""
    faults = faults_of(error_of({"name": ["hunter2"], "inner": {"size": "hunter2"}}), Outer, {})

    assert 2 == len(faults)
    assert "hunter2" not in str(faults)


def test_data_without_places_is_told_by_its_path() -> None:
    """A stored rule has no lines."""
    document = Document("stored", {"name": 5})

    assert "stored: name: wrong" == str(document.mistake(("name",), "wrong"))


@pytest.mark.parametrize(
    ("word", "known", "expected"),
    [
        ("sice", ["size", "kind"], "; did you mean `size`?"),
        ("zzz", ["size", "kind"], "; known are `kind`, `size`"),
        ("zzz", [], ""),
        ("zzz", [f"k{n:02}" for n in range(30)], " and 6 more"),
    ],
)
def test_a_near_word_is_offered(word: str, known: list[str], expected: str) -> None:
    """Most mistakes are slips of the finger."""
    said = did_you_mean(word, known)

    assert said.endswith(expected)
