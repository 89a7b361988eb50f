"""Makes text from outside fit to be shown: nothing in it hides, moves the cursor or turns a line around.

Both chats call it on every text, for labels and outputs are anybody's. It knows no chat's markup; escaping is
the renderer's. Every pattern here is linear in the length of the text.
"""

import re

_ESCAPES = re.compile(
    r"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)|[@-Z\\-_])|\x9b[0-?]*[ -/]*[@-~]"
)  # what colours a terminal; gone without a trace, as it is common in logs
_LINE_ENDS = re.compile(r"\r\n?|[\x0b\x0c\x85\u2028\u2029]")
_UNSEEN = re.compile(
    "[\x00-\x08\x0e-\x1f\x7f-\x9f\xad\u0600-\u0605\u061c\u06dd\u070f\u0890\u0891\u08e2\u115f\u1160\u180e"
    "\u200b-\u200f\u202a-\u202e\u2060-\u206f\u3164\ud800-\udfff\ufeff\uffa0\ufff0-\ufffb\ufffe\uffff"
    "\U000110bd\U000110cd\U00013430-\U0001343f\U0001bca0-\U0001bca3\U0001d173-\U0001d17a\U000e0000-\U000e0fff]"
)  # controls, zero-width and bidi characters, halves of pairs: shown as a mark, so that nothing hides
_MARKS = "\u0300-\u036f\u0483-\u0489\u1ab0-\u1aff\u1dc0-\u1dff\u20d0-\u20ff\ufe20-\ufe2f"
_TOO_MANY_MARKS = re.compile(f"([{_MARKS}]{{3}})[{_MARKS}]+")  # they would grow over other lines


def paragraph(text: str) -> str:
    """The text with its line breaks, and nothing else that a chat or terminal could obey."""
    text = _LINE_ENDS.sub("\n", _ESCAPES.sub("", text))
    return _TOO_MANY_MARKS.sub(r"\1", _UNSEEN.sub("\ufffd", text)).strip("\n").rstrip()


def one_line(text: str) -> str:
    """The same in one line; every run of white space is one space."""
    return " ".join(paragraph(text).split())


def units(text: str) -> int:
    """Its length as the most pedantic counter would have it: in UTF-16, with `&`, `<` and `>` escaped."""
    wide = len(text.encode("utf-16-le", "surrogatepass")) // 2
    return wide + 4 * text.count("&") + 3 * (text.count("<") + text.count(">"))


def clip(text: str, limit: int) -> str:
    """At most `limit` units from the start; what was cut is said at the end."""
    if units(text) <= limit:
        return text
    note = f"… ({len(text)} more)"  # the most that this note can take up
    if limit < units(note):
        return text[: _fitting(text, limit)]
    kept = _fitting(text, limit - units(note))
    return f"{text[:kept]}… ({len(text) - kept} more)"


def clip_middle(text: str, limit: int) -> str:
    """At most `limit` units: the start, and more of the end, where a log has its news; the cut is said."""
    if units(text) <= limit:
        return text
    room = limit - units(f"\n… {len(text)} characters left out …\n")
    if room < 0:
        return clip(text, limit)
    head = _fitting(text, room // 3)
    tail = _fitting(text[::-1][:room], room - room // 3)
    end = text[len(text) - tail :]
    return f"{text[:head]}\n… {len(text) - head - tail} characters left out …\n{end}"


def _fitting(text: str, room: int) -> int:
    """How many characters from the start take up at most `room` units."""
    for place, character in enumerate(text):
        room -= units(character)
        if room < 0:
            return place
    return len(text)
