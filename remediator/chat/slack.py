"""Renders messages to Slack's Block Kit and sends them. The outbox calls it through `Chat`.

Labels and outputs stand in a message, and they are anybody's. So blocks are built only of `plain_text` and
`rich_text` elements, which Slack takes literally: there is no markup to escape from, nothing pings or links.
Only the fallback text (notifications, screen readers) is markup, and it is escaped. Whoever a level of escalation pings
comes from the settings, and is an element and a word of its own.
"""

import html
import json
from collections.abc import Iterator, Sequence
from datetime import timedelta
from typing import Any, assert_never

from remediator.chat.chat import REPEATED, Buttons, CannotTell, Found, Landed, NotLanded, Outgoing
from remediator.chat.text import clip, clip_middle, one_line, paragraph, units
from remediator.clients.slack import Listed, MessageRef, Page, SlackClient, is_channel_id
from remediator.errors import Failed
from remediator.kit.wording import counted
from remediator.model.message import Choice, Excerpt, Fields, Mention, Message, Part, Text, Tone

Block = dict[str, Any]

EVENT_TYPE = "remediator_message"
"""The type of the metadata that carries a message's mark."""

APPROVE, DENY = "remediator.approve", "remediator.deny"
"""What tells the two buttons of a question apart where they are pressed; their values are tokens."""

_SYMBOLS = {
    Tone.FIRING: ("red_circle", "🔴"),
    Tone.WORKING: ("hammer_and_wrench", "🛠️"),
    Tone.WAITING: ("raised_hand", "✋"),
    Tone.GOOD: ("white_check_mark", "✅"),
    Tone.BAD: ("x", "❌"),
    Tone.NEUTRAL: ("information_source", "ℹ️"),  # noqa: RUF001 - the emoji
}
_HEADER = 150  # Slack's limit for a header
_FALLBACK = 3_000
_PART = 2_900  # below Slack's 3,000 for a text
_NAME, _VALUE = 60, 500
_PARTS = 24  # far below Slack's 50 blocks: each costs room that its own text then lacks
_PAIRS = 30
_PAIR_OVERHEAD = 80  # the JSON around one name and value
_MESSAGE = 12_000  # Slack refuses blocks of some 13,200 bytes of JSON, as reported; it documents no figure
_BUDGETS = (9_000, 5_000, 2_500, 1_200)  # units of text in all; the last one fits whatever the text is
_LEAST = 40  # units that each part is given in any case
_SHORTEST = 15  # the same for a name and a value
_CONFIRM = 300  # Slack's limit for what is to be confirmed
_PAGES = 5
_SKEW = timedelta(minutes=1)  # our clock and Slack's differ


class SlackChat:
    """Threads in Slack."""

    name = "slack"

    def __init__(self, client: SlackClient) -> None:
        self._client = client
        self._ids: dict[str, str] = {}  # of channels by name, as posting to them tells

    async def post(self, post: Outgoing) -> str:
        """See Chat. A reply goes where its thread's parent stands."""
        parent = MessageRef.parse(post.thread) if post.thread is not None else None
        ref = await self._client.post(
            parent.channel if parent else post.channel,
            text=fallback_of(post.message, repeated=post.repeated),
            blocks=blocks_of(post.message, is_parent=parent is None, repeated=post.repeated, buttons=post.buttons),
            thread_ts=parent.ts if parent else None,
            metadata=_metadata(post),
        )
        self._ids.setdefault(post.channel, ref.channel)
        return str(ref)

    async def edit(self, post: Outgoing, ref: str) -> None:
        """See Chat."""
        await self._client.update(
            MessageRef.parse(ref),
            text=fallback_of(post.message, repeated=post.repeated),
            blocks=blocks_of(post.message, is_parent=post.thread is None, repeated=post.repeated, buttons=post.buttons),
            metadata=_metadata(post),
        )

    async def find(self, post: Outgoing) -> Found:
        """See Chat. A message that Slack is still at work on is not seen: leave some time before looking."""
        parent = MessageRef.parse(post.thread) if post.thread is not None else None
        channel = parent.channel if parent else self._ids.get(post.channel, post.channel)
        if not is_channel_id(channel):
            return CannotTell(f"{channel} is a name; with its id in slack.channel, messages are found again")
        cursor = ""
        for _ in range(_PAGES):
            try:
                page = await self._page(parent, channel, post, cursor)
            except Failed as error:
                return CannotTell(str(error))
            for listed in page.messages:
                if _mark(listed) == post.mark:
                    return Landed(str(MessageRef(channel, listed.ts)))
            if not page.cursor:
                return NotLanded()
            cursor = page.cursor
        return CannotTell(f"{channel} has too many messages since {post.queued_at:%H:%M} to look through")

    async def check(self) -> None:
        """See Chat."""
        await self._client.auth_test()

    async def close(self) -> None:
        """See Chat."""
        await self._client.close()

    async def _page(self, parent: MessageRef | None, channel: str, post: Outgoing, cursor: str) -> Page:
        oldest = post.queued_at - _SKEW
        if parent is None:
            return await self._client.history(channel, oldest=oldest, cursor=cursor)
        return await self._client.replies(parent, oldest=oldest, cursor=cursor)


def _metadata(post: Outgoing) -> dict[str, Any]:
    return {"event_type": EVENT_TYPE, "event_payload": {"mark": post.mark}}


def _mark(listed: Listed) -> object:
    payload = listed.metadata.get("event_payload")
    if listed.metadata.get("event_type") != EVENT_TYPE or not isinstance(payload, dict):
        return None
    return payload.get("mark")


def fallback_of(message: Message, *, repeated: bool = False) -> str:
    """The message as text, for notifications and screen readers, escaped for Slack."""
    lines = [f"{_SYMBOLS[message.tone][1]} {_title(message)}"]
    if repeated:
        lines.append(REPEATED)
    for part in message.parts:
        match part:
            case Text():
                lines.append(paragraph(part.text))
            case Fields():
                lines += [f"{_or_dash(one_line(name))}: {_or_dash(one_line(value))}" for name, value in part.pairs]
            case Excerpt():
                lines += [one_line(part.title), paragraph(part.text)]
            case other:
                assert_never(other)
    text = html.escape(clip("\n".join(filter(None, lines)), _FALLBACK), quote=False)
    return text if message.mention is None else f"{_mention_word(message.mention)} {text}"


def _mention_word(mention: Mention) -> str:
    match mention.kind:
        case "user":
            return f"<@{mention.id}>"
        case "usergroup":
            return f"<!subteam^{mention.id}>"
        case "broadcast":
            return f"<!{mention.id}>"
        case other:
            assert_never(other)


def _mention(mention: Mention) -> Block:
    match mention.kind:
        case "user":
            return {"type": "user", "user_id": mention.id}
        case "usergroup":
            return {"type": "usergroup", "usergroup_id": mention.id}
        case "broadcast":
            return {"type": "broadcast", "range": mention.id}
        case other:
            assert_never(other)


def blocks_of(
    message: Message, *, is_parent: bool = True, repeated: bool = False, buttons: Buttons | None = None
) -> list[Block]:
    """The message in Block Kit, within Slack's limits whatever stands in it; what had to be cut is said."""
    last = [_actions(message.choice, buttons)] if message.choice is not None and buttons is not None else []
    for budget in _BUDGETS:
        blocks = [*_render(message, is_parent=is_parent, repeated=repeated, budget=budget), *last]
        if len(json.dumps(blocks, ensure_ascii=False).encode()) <= _MESSAGE:
            break
    return blocks


def _render(message: Message, *, is_parent: bool, repeated: bool, budget: int) -> list[Block]:
    parts = [part for part in message.parts if not _is_empty(part)]
    shown = parts[:_PARTS]
    allowed = _shares([_wanted(part) for part in shown], budget)
    blocks = [_header(message) if is_parent else _rich(_headline(message))]
    if message.mention is not None:
        blocks.append(_rich(_section(_mention(message.mention))))
    blocks += [_rich(*_elements(part, room)) for part, room in zip(shown, allowed, strict=True)]
    if len(parts) > len(shown):
        blocks.append(_note(f"… {counted(len(parts) - len(shown), 'more part is', 'more parts are')} left out"))
    if repeated:
        blocks.append(_note(REPEATED))
    return blocks


def _actions(choice: Choice, buttons: Buttons) -> Block:
    """The buttons of a question. What they send back are our own words and the tokens: nothing of any label."""
    approve = {**_button(APPROVE, "Approve", buttons.approve), "style": "primary"}
    if choice.confirm:
        approve["confirm"] = {
            "title": _plain("Approve this plan?"),
            "text": _plain(clip(paragraph(choice.confirm), _CONFIRM) or "This changes something."),
            "confirm": _plain("Approve"),
            "deny": _plain("Not now"),
        }
    return {"type": "actions", "elements": [approve, {**_button(DENY, "Deny", buttons.deny), "style": "danger"}]}


def _button(action: str, text: str, token: str) -> Block:
    return {"type": "button", "action_id": action, "text": _plain(text), "value": token}


def _plain(text: str) -> Block:
    return {"type": "plain_text", "text": text, "emoji": False}


def _is_empty(part: Part) -> bool:
    match part:
        case Text():
            return not paragraph(part.text).strip()
        case Fields():
            return not part.pairs
        case Excerpt():
            return False  # that there was no output is news
        case other:
            assert_never(other)


def _wanted(part: Part) -> int:
    """About how many units the part would take up if nothing stood in its way."""
    match part:
        case Text():
            return min(units(part.text), _PART)
        case Fields():
            return sum(_pair_units(*pair) for pair in part.pairs[:_PAIRS])
        case Excerpt():
            return min(units(part.text), _PART) + min(units(part.title), _HEADER)
        case other:
            assert_never(other)


def _pair_units(name: str, value: str) -> int:
    return _PAIR_OVERHEAD + min(units(name), _NAME) + min(units(value), _VALUE)


def _shares(wanted: Sequence[int], total: int) -> list[int]:
    """`total` dealt out: whoever wants little gets all of it, the others share the rest evenly."""
    shares = [0] * len(wanted)
    by_size = sorted(range(len(wanted)), key=lambda place: wanted[place])
    for done, place in enumerate(by_size):
        shares[place] = max(min(wanted[place], total // (len(by_size) - done)), _LEAST)
        total = max(total - shares[place], 0)
    return shares


def _header(message: Message) -> Block:
    symbol = f":{_SYMBOLS[message.tone][0]}: "
    text = symbol + clip(_title(message), _HEADER - len(symbol))
    return {"type": "header", "text": {"type": "plain_text", "text": text, "emoji": True}}


def _headline(message: Message) -> Block:
    symbol = {"type": "emoji", "name": _SYMBOLS[message.tone][0]}
    return _section(symbol, _text(" "), _text(clip(_title(message), _HEADER), bold=True))


def _title(message: Message) -> str:
    return one_line(message.title) or "(no title)"


def _or_dash(text: str) -> str:
    return text or "–"  # noqa: RUF001 - Slack takes no empty text


def _elements(part: Part, room: int) -> Iterator[Block]:
    """The part as elements of one rich text block."""
    match part:
        case Text():
            yield _section(_text(clip(paragraph(part.text), min(room, _PART))))
        case Fields():
            yield _section(*_table(part, room))
        case Excerpt():
            title = clip(one_line(part.title), min(room // 2, _HEADER)) or "output"
            body = clip_middle(paragraph(part.text), min(max(room - units(title), _LEAST), _PART))
            yield _section(_text(title, bold=True))
            yield {"type": "rich_text_preformatted", "elements": [_text(body if body.strip() else "(empty)")]}
        case other:
            assert_never(other)


def _table(fields: Fields, room: int) -> Iterator[Block]:
    """A line for each pair, its name in bold; the last line says how many did not fit."""
    names = min(_NAME, max(room // 3, _SHORTEST))
    values = min(_VALUE, max(room - _PAIR_OVERHEAD - names, _SHORTEST))
    if _wanted(fields) <= room:  # all of it fits as it is
        names, values = _NAME, _VALUE
    for count, (name, value) in enumerate(fields.pairs):
        line = _or_dash(clip(one_line(name), names)), _or_dash(clip(one_line(value), values))
        room -= _PAIR_OVERHEAD + units(line[0]) + units(line[1])
        if count and (room < 0 or count == _PAIRS):
            yield _text(f"\n… and {len(fields.pairs) - count} more")
            return
        yield _text(f"\n{line[0]}" if count else line[0], bold=True)
        yield _text(f"\u2002{line[1]}")


def _rich(*elements: Block) -> Block:
    return {"type": "rich_text", "elements": list(elements)}


def _section(*elements: Block) -> Block:
    return {"type": "rich_text_section", "elements": list(elements)}


def _text(text: str, *, bold: bool = False) -> Block:
    return {"type": "text", "text": text, **({"style": {"bold": True}} if bold else {})}


def _note(text: str) -> Block:
    return {"type": "context", "elements": [_plain(text)]}
