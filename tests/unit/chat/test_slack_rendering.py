"""How messages look in Slack, and what an attacker's labels cannot do there."""

import html
import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from remediator.chat.chat import REPEATED
from remediator.chat.slack import blocks_of, fallback_of
from remediator.model.message import Excerpt, Fields, Mention, Message, Text, Tone
from remediator.testing import block_kit

HOSTILE = (
    "<!channel>",
    "<!here|here>",
    "<@U123>",
    "<#C123|general>",
    "@here @channel @everyone",
    "<https://evil.example|click>",
    "https://evil.example",
    "*bold* _it_ ~strike~",
    "`code` ```fence```",
    "&lt;!channel&gt;",
    "\u202egnp",
    "<\u200b!channel>",
    "a\nb\r\nc\u2028d",
    "\x1b[2J",
    "\ud800",
    "😀" * 400,
    "<" * 4000,
    "\n" * 4000,
    "> quote",
    "",
    " ",
)
TEXTS = st.one_of(
    st.sampled_from(HOSTILE),
    st.text(st.characters(), max_size=200),
    st.builds(str.__mul__, st.text(st.characters(), max_size=20), st.integers(0, 500)),
)
PARTS = st.one_of(
    st.builds(Text, TEXTS),
    st.builds(Fields, st.lists(st.tuples(TEXTS, TEXTS), max_size=40).map(tuple)),
    st.builds(Excerpt, TEXTS, TEXTS),
)
MESSAGES = st.builds(
    Message,
    st.sampled_from(Tone),
    TEXTS,
    st.lists(PARTS, max_size=60).map(tuple),
)
MOST = Message(
    Tone.BAD,
    "多" * 1000,
    tuple(Fields(tuple(("多" * 100, '"\n多' * 1000) for _ in range(40))) for _ in range(30))
    + tuple(Excerpt("多" * 200, "多" * 20_000) for _ in range(30)),
)


def kinds(value: object) -> set[str]:
    """Every `type` that occurs in the blocks."""
    if isinstance(value, dict):
        return {str(value["type"])}.union(*map(kinds, value.values())) if "type" in value else set()
    return set[str]().union(*map(kinds, value)) if isinstance(value, list) else set()


def test_a_parent_has_a_header_a_table_and_its_output() -> None:
    """The whole look of a message in one place."""
    message = Message(
        Tone.FIRING,
        "web does not answer",
        (
            Fields((("Alert", "ServiceDown"), ("Service", "web"))),
            Text("Asking three witnesses."),
            Excerpt("docker logs web", "line 1\nline 2"),
        ),
    )

    assert [
        {
            "type": "header",
            "text": {"type": "plain_text", "text": ":red_circle: web does not answer", "emoji": True},
        },
        rich(
            section(
                text("Alert", bold=True),
                text("\u2002ServiceDown"),
                text("\nService", bold=True),
                text("\u2002web"),
            )
        ),
        rich(section(text("Asking three witnesses."))),
        rich(
            section(text("docker logs web", bold=True)),
            {"type": "rich_text_preformatted", "elements": [text("line 1\nline 2")]},
        ),
    ] == blocks_of(message)


def test_a_reply_is_quieter_than_its_parent() -> None:
    """A thread of headlines in large letters cannot be read."""
    assert [
        rich(section({"type": "emoji", "name": "white_check_mark"}, text(" "), text("healed", bold=True)))
    ] == blocks_of(Message(Tone.GOOD, "healed"), is_parent=False)


def test_a_possible_repeat_is_said_in_blocks_and_text() -> None:
    """People must not take one event for two."""
    message = Message(Tone.NEUTRAL, "told")

    assert REPEATED in block_kit.texts(blocks_of(message, repeated=True))
    assert REPEATED in fallback_of(message, repeated=True)
    assert REPEATED not in json.dumps(blocks_of(message))


@pytest.mark.parametrize("tone", Tone)
def test_each_tone_has_its_own_symbol(tone: Tone) -> None:
    """The symbol is what is seen first."""
    others = {fallback_of(Message(other, "x")) for other in Tone if other is not tone}

    assert fallback_of(Message(tone, "x")) not in others


@pytest.mark.parametrize("hostile", HOSTILE)
def test_no_label_reaches_slack_as_markup(hostile: str) -> None:
    """Whoever can set a label could otherwise page a whole company, or plant a link in a trusted message."""
    message = Message(Tone.FIRING, hostile, (Fields(((hostile, hostile),)), Text(hostile), Excerpt(hostile, hostile)))

    blocks, fallback = blocks_of(message), fallback_of(message)

    assert [] == block_kit.pings(fallback, blocks, linked=False) == block_kit.links(blocks)
    assert not {"mrkdwn", "link", "user", "usergroup", "channel", "broadcast"} & kinds(blocks)
    assert "<" not in fallback
    assert ">" not in fallback


def test_the_fallback_says_what_the_blocks_say() -> None:
    """A notification on a phone and a screen reader know nothing else."""
    message = Message(
        Tone.BAD, "a & b", (Fields((("Alert", "<x>"),)), Text("words"), Excerpt("logs", "line"), Text(" "))
    )

    assert "❌ a & b\nAlert: <x>\nwords\nlogs\nline" == html.unescape(fallback_of(message))


def test_what_is_empty_is_left_out_or_named() -> None:
    """Slack refuses a message with an empty text in it."""
    message = Message(Tone.BAD, "\n", (Text(" \n"), Fields(()), Fields((("", ""),)), Excerpt("", " ")))

    assert [
        ":x: (no title)",
        "–",  # noqa: RUF001 - the dash that is shown
        "\u2002–",  # noqa: RUF001 - the dash that is shown
        "output",
        "(empty)",
    ] == block_kit.texts(blocks_of(message))


def test_more_than_slack_takes_is_cut_and_said() -> None:
    """Slack answers a message that is too long with an error, and the story would miss a page."""
    message = Message(Tone.BAD, "t" * 500, tuple(Excerpt(f"log {n}", "x" * 50_000) for n in range(40)))

    shown = block_kit.texts(blocks_of(message))

    assert shown[0].endswith("more)")
    assert "… 16 more parts are left out" in shown
    assert all("left out" in body for body in shown if body.startswith("x"))


def test_pairs_that_do_not_fit_are_counted() -> None:
    """An alert can carry hundreds of labels."""
    message = Message(Tone.BAD, "t", (Fields(tuple((f"label {n}", "v") for n in range(200))),))

    assert "\n… and 170 more" == block_kit.texts(blocks_of(message))[-1]


def test_a_short_part_is_whole_beside_a_long_one() -> None:
    """The plan that is to be approved must not be cut because a log is long."""
    plan = "restart web " * 40
    message = Message(Tone.WAITING, "t", (*(Excerpt("log", "x" * 9_000) for _ in range(5)), Text(plan)))

    assert plan.strip() == block_kit.texts(blocks_of(message))[-1]


@pytest.mark.parametrize("is_parent", [True, False], ids=["parent", "reply"])
def test_the_worst_message_fits(is_parent: bool) -> None:
    """Wide characters, quotes and many parts at once: the case that the limits were chosen for."""
    blocks = blocks_of(MOST, is_parent=is_parent, repeated=True)

    assert [] == block_kit.problems(blocks)
    assert len(json.dumps(blocks, ensure_ascii=False).encode()) <= 12_000
    assert len(fallback_of(MOST)) <= 3_000


@settings(deadline=None)
@given(MESSAGES, st.booleans(), st.booleans())
def test_any_message_is_one_that_slack_takes_and_that_pages_nobody(
    message: Message, is_parent: bool, repeated: bool
) -> None:
    """The promise of this module, whatever a label holds."""
    blocks = blocks_of(message, is_parent=is_parent, repeated=repeated)
    fallback = fallback_of(message, repeated=repeated)

    assert [] == block_kit.problems(blocks)
    assert not block_kit.is_too_long(blocks)
    assert [] == block_kit.pings(fallback, blocks, linked=False) == block_kit.links(blocks)
    assert 0 < len(fallback) <= 3_000
    assert fallback.encode()


def rich(*elements: Any) -> dict[str, Any]:
    """A rich text block."""
    return {"type": "rich_text", "elements": list(elements)}


def section(*elements: Any) -> dict[str, Any]:
    """A paragraph of a rich text block."""
    return {"type": "rich_text_section", "elements": list(elements)}


def text(said: str, *, bold: bool = False) -> dict[str, Any]:
    """A piece of text in a rich text block."""
    return {"type": "text", "text": said, **({"style": {"bold": True}} if bold else {})}


@pytest.mark.parametrize(
    ("mention", "word"),
    [
        (Mention("usergroup", "S0TEAM"), "<!subteam^S0TEAM>"),
        (Mention("user", "U0ANN"), "<@U0ANN>"),
        (Mention("broadcast", "here"), "<!here>"),
    ],
)
@pytest.mark.parametrize("is_parent", [True, False])
def test_a_mention_pings_whom_it_names_and_nobody_else(mention: Mention, word: str, *, is_parent: bool) -> None:
    """It comes from the settings; what stands in the message beside it pings nobody, whatever it says."""
    message = Message(Tone.FIRING, "<!channel> is down", (Text("<@U666> @here"),), mention)
    fallback, blocks = fallback_of(message), blocks_of(message, is_parent=is_parent)
    pinged = block_kit.pings(fallback, blocks, linked=False)

    assert [] == block_kit.problems(blocks)
    assert fallback.startswith(f"{word} ")
    assert [word] == [one for one in pinged if one.startswith("<")]
    assert [mention.id] == [next(v for k, v in json.loads(one).items() if k != "type") for one in pinged[1:]]
