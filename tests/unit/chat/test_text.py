"""Text from outside, made fit to be shown."""

import sys
import unicodedata

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from remediator.chat.text import clip, clip_middle, one_line, paragraph, units

UNSEEN = {"Cc", "Cf", "Cs", "Zl", "Zp"}


@pytest.mark.parametrize(
    ("raw", "shown"),
    [
        pytest.param("plain", "plain", id="plain"),
        pytest.param("a\r\nb\rc\u2028d", "a\nb\nc\nd", id="line ends"),
        pytest.param("\x1b[31;1mred\x1b[0m", "red", id="colours of a log"),
        pytest.param("\x1b]0;title\x07text", "text", id="a terminal's title"),
        pytest.param("\x1b]0;never ended", "0;never ended", id="an escape that does not end"),
        pytest.param("\x9b2Jcleared", "cleared", id="an eight-bit escape"),
        pytest.param("beep\x07", "beep\ufffd", id="a control character"),
        pytest.param("user\u202egnp.exe", "user\ufffdgnp.exe", id="right to left"),
        pytest.param("<\u200b!channel>", "<\ufffd!channel>", id="zero width"),
        pytest.param("half \ud83d", "half \ufffd", id="half of a pair"),
        pytest.param("a" + "\u0301" * 40, "a" + "\u0301" * 3, id="stacked accents"),
        pytest.param("tab\tstays", "tab\tstays", id="tab"),
        pytest.param("\n\n  indented\n\n", "  indented", id="empty ends"),
    ],
)
def test_nothing_stays_that_a_chat_or_terminal_obeys(raw: str, shown: str) -> None:
    """A label could otherwise hide text, or rewrite what was printed before it."""
    assert shown == paragraph(raw)


def test_no_invisible_character_of_unicode_passes() -> None:
    """The list is written by hand, because making it at start-up would be slow; here it is checked."""
    every = "".join(map(chr, range(sys.maxunicode + 1)))

    passed = {c for c in paragraph(f"|{every}|") if unicodedata.category(c) in UNSEEN}

    assert {"\n", "\t"} == passed


def test_a_line_is_one_line() -> None:
    """A title with a line break would push what follows it out of its place."""
    assert "a b c d" == one_line(" a\nb\r\n\t c\u2029d ")


def test_a_pedantic_counter_is_satisfied() -> None:
    """Slack does not say how it counts, so we count the way that gives the most."""
    assert 1 + 2 + 5 + 4 + 4 == units("a😀&<>")


@pytest.mark.parametrize("limit", [0, 3, 12, 13, 30])
def test_a_cut_text_keeps_its_limit(limit: int) -> None:
    """Beyond it, Slack refuses the whole message."""
    assert units(clip("x" * 100, limit)) <= limit
    assert units(clip_middle("x" * 100, limit)) <= limit


def test_what_was_cut_is_said() -> None:
    """A reader must know that there is more."""
    assert "x" * 17 + "… (83 more)" == clip("x" * 100, 29)


def test_the_end_of_an_output_is_kept() -> None:
    """A log's last lines tell why the program died; its first ones tell which program it was."""
    cut = clip_middle("start " + "x" * 10_000 + " end", 100)

    assert cut.startswith("start ")
    assert cut.endswith(" end")
    assert "characters left out" in cut


def test_what_fits_is_not_touched() -> None:
    """A note of nothing cut would be a lie."""
    assert "x" * 100 == clip("x" * 100, 100) == clip_middle("x" * 100, 100)


@settings(deadline=None)
@given(st.text(st.characters()), st.integers(0, 200))
def test_any_text_is_cut_to_any_limit(text: str, limit: int) -> None:
    """Halves of pairs, astral characters and escapes included."""
    assert units(clip(text, limit)) <= limit
    assert units(clip_middle(text, limit)) <= limit
    assert paragraph(text) == paragraph(paragraph(text))
