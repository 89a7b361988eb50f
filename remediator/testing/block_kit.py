"""Slack's Block Kit as Slack checks it, as far as bots use it. The Slack stand-in calls it.

The texts of the problems are in Slack's manner, with the place of each. Kinds of blocks that are not known
here are refused, though the real Slack may know them.
"""

import json
import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any

MOST_BLOCKS = 50
MOST_JSON = 13_200  # documented nowhere; what people report of msg_blocks_too_long
_COMMAND = re.compile(r"<[!@#][^>]*>")
_BARE = re.compile(r"@(?:here|channel|everyone)\b")


def problems(blocks: object) -> list[str]:
    """What Slack would say against these blocks; empty where it takes them."""
    if not isinstance(blocks, list):
        return ["must be an array [json-pointer:/blocks]"]
    if len(blocks) > MOST_BLOCKS:
        return [f"no more than {MOST_BLOCKS} items allowed [json-pointer:/blocks]"]
    return [problem for index, block in enumerate(blocks) for problem in _block(block, f"/blocks/{index}")]


def is_too_long(blocks: object) -> bool:
    """Whether Slack would answer `msg_blocks_too_long`."""
    return len(json.dumps(blocks, ensure_ascii=False).encode("utf-8", "surrogatepass")) > MOST_JSON


def pings(text: str, blocks: object, *, linked: bool) -> list[str]:
    """Whom a message would notify: what is active in it; `linked` is `link_names` or `parse=full`."""
    found = _COMMAND.findall(text) + (_BARE.findall(text) if linked else [])
    for node in _nodes(blocks):
        kind = node.get("type")
        if kind == "mrkdwn":
            found += _COMMAND.findall(str(node.get("text", "")))
        elif kind in ("user", "usergroup", "channel", "broadcast"):
            found.append(json.dumps(node))
    return found


def links(blocks: object) -> list[str]:
    """Links in the blocks."""
    found = []
    for node in _nodes(blocks):
        if node.get("type") == "mrkdwn":
            found += re.findall(r"<[^!@#>][^>]*>|https?://[^\s>|]+", str(node.get("text", "")))
        elif node.get("type") == "link" or "url" in node:
            found.append(str(node.get("url", "")))
    return found


def texts(blocks: object) -> list[str]:
    """Every text that the blocks show, in order."""
    return [str(node["text"]) for node in _nodes(blocks) if isinstance(node.get("text"), str)]


def _nodes(value: object) -> Iterator[Mapping[str, Any]]:
    if isinstance(value, dict):
        yield value
        for item in value.values():
            yield from _nodes(item)
    elif isinstance(value, list):
        for item in value:
            yield from _nodes(item)


def _at(problem: str, pointer: str) -> str:
    return f"{problem} [json-pointer:{pointer}]"


def _block(block: object, pointer: str) -> Iterator[str]:
    if not isinstance(block, dict):
        yield _at("must be an object", pointer)
        return
    check = _BLOCKS.get(str(block.get("type")))
    if check is None:
        yield _at(f"unsupported type: {block.get('type')}", f"{pointer}/type")
        return
    if "block_id" in block:
        yield from _string(block["block_id"], f"{pointer}/block_id", 255)
    yield from check(block, pointer)


def _string(value: object, pointer: str, most: int) -> Iterator[str]:
    if not isinstance(value, str):
        yield _at("must provide a string", pointer)
    elif not value:
        yield _at("must be more than 0 characters", pointer)
    elif len(value.encode("utf-16-le", "surrogatepass")) // 2 > most:
        yield _at(f"must be less than {most + 1} characters", pointer)
    elif re.search("[\ud800-\udfff]", value):
        yield _at("must be valid unicode", pointer)


def _text(
    value: object, pointer: str, most: int, *, kinds: tuple[str, ...] = ("plain_text", "mrkdwn")
) -> Iterator[str]:
    if not isinstance(value, dict):
        yield _at("must be an object", pointer)
        return
    kind = value.get("type")
    if kind not in kinds:
        yield _at(f"unsupported type: {kind}", f"{pointer}/type")
    if extra := set(value) - {"type", "text", "verbatim" if kind == "mrkdwn" else "emoji"}:
        yield _at(f"no more properties allowed: {', '.join(sorted(extra))}", pointer)
    yield from _string(value.get("text"), f"{pointer}/text", most)


def _items(value: object, pointer: str, most: int) -> Iterator[str]:
    if not isinstance(value, list):
        yield _at("must be an array", pointer)
    elif not value:
        yield _at("no fewer than 1 items allowed", pointer)
    elif len(value) > most:
        yield _at(f"no more than {most} items allowed", pointer)


def _each(value: object) -> Iterator[tuple[int, Mapping[str, Any]]]:
    for index, item in enumerate(value if isinstance(value, list) else []):
        yield index, item if isinstance(item, dict) else {}


def _header(block: Mapping[str, Any], pointer: str) -> Iterator[str]:
    yield from _text(block.get("text"), f"{pointer}/text", 150, kinds=("plain_text",))


def _section(block: Mapping[str, Any], pointer: str) -> Iterator[str]:
    if "text" not in block and "fields" not in block:
        yield _at("must define either `text` or `fields`", pointer)
    if "text" in block:
        yield from _text(block["text"], f"{pointer}/text", 3000)
    if "fields" in block:
        yield from _items(block["fields"], f"{pointer}/fields", 10)
        for index, field in _each(block["fields"]):
            yield from _text(field, f"{pointer}/fields/{index}", 2000)
    if "accessory" in block:
        yield from _action(block["accessory"], f"{pointer}/accessory")


def _context(block: Mapping[str, Any], pointer: str) -> Iterator[str]:
    yield from _items(block.get("elements"), f"{pointer}/elements", 10)
    for index, element in _each(block.get("elements")):
        here = f"{pointer}/elements/{index}"
        if element.get("type") == "image":
            yield from _image(element, here)
        else:
            yield from _text(element, here, 3000)


def _image(block: Mapping[str, Any], pointer: str) -> Iterator[str]:
    yield from _string(block.get("image_url"), f"{pointer}/image_url", 3000)
    yield from _string(block.get("alt_text"), f"{pointer}/alt_text", 2000)


def _actions(block: Mapping[str, Any], pointer: str) -> Iterator[str]:
    yield from _items(block.get("elements"), f"{pointer}/elements", 25)
    seen = set()
    for index, element in _each(block.get("elements")):
        yield from _action(element, f"{pointer}/elements/{index}")
        if (name := element.get("action_id")) is not None and name in seen:
            yield _at(f'`action_id` "{name}" already exists for another element', f"{pointer}/elements/{index}")
        seen.add(name)


_BUTTON = {"type", "text", "action_id", "url", "value", "style", "confirm", "accessibility_label"}
_CONFIRM = {"title": 100, "text": 300, "confirm": 30, "deny": 30}


def _action(element: Mapping[str, Any], pointer: str) -> Iterator[str]:
    if element.get("type") != "button":
        yield _at(f"unsupported type: {element.get('type')}", f"{pointer}/type")
        return
    yield from _text(element.get("text"), f"{pointer}/text", 75, kinds=("plain_text",))
    for name, most in (("action_id", 255), ("value", 2000), ("url", 3000)):
        if name in element:
            yield from _string(element[name], f"{pointer}/{name}", most)
    yield from _style(element, pointer)
    if extra := set(element) - _BUTTON:
        yield _at(f"no more properties allowed: {', '.join(sorted(extra))}", pointer)
    if "confirm" in element:
        yield from _confirm(element["confirm"], f"{pointer}/confirm")


def _style(element: Mapping[str, Any], pointer: str) -> Iterator[str]:
    if element.get("style") not in (None, "primary", "danger"):
        yield _at("must be one of primary, danger", f"{pointer}/style")


def _confirm(dialog: object, pointer: str) -> Iterator[str]:
    """What is asked before a button counts as pressed."""
    if not isinstance(dialog, dict):
        yield _at("must be an object", pointer)
        return
    for name, most in _CONFIRM.items():
        yield from _text(dialog.get(name), f"{pointer}/{name}", most, kinds=("plain_text",))
    if extra := set(dialog) - {*_CONFIRM, "style"}:
        yield _at(f"no more properties allowed: {', '.join(sorted(extra))}", pointer)
    yield from _style(dialog, pointer)


def _markdown(block: Mapping[str, Any], pointer: str) -> Iterator[str]:
    yield from _string(block.get("text"), f"{pointer}/text", 12_000)


def _rich_text(block: Mapping[str, Any], pointer: str) -> Iterator[str]:
    yield from _items(block.get("elements"), f"{pointer}/elements", 1000)
    for index, element in _each(block.get("elements")):
        yield from _rich_element(element, f"{pointer}/elements/{index}")


def _rich_element(element: Mapping[str, Any], pointer: str) -> Iterator[str]:
    kind = element.get("type")
    if kind == "rich_text_list":
        if element.get("style") not in ("bullet", "ordered"):
            yield _at("must be one of bullet, ordered", f"{pointer}/style")
        for index, item in _each(element.get("elements")):
            yield from _rich_element(item, f"{pointer}/elements/{index}")
        return
    if kind not in ("rich_text_section", "rich_text_preformatted", "rich_text_quote"):
        yield _at(f"unsupported type: {kind}", f"{pointer}/type")
        return
    yield from _items(element.get("elements"), f"{pointer}/elements", 1000)
    for index, inline in _each(element.get("elements")):
        here = f"{pointer}/elements/{index}"
        if kind == "rich_text_preformatted" and inline.get("type") not in ("text", "link"):
            yield _at(f"unsupported type: {inline.get('type')}", f"{here}/type")
        else:
            yield from _inline(inline, here)


_INLINE = {
    "text": "text",
    "emoji": "name",
    "link": "url",
    "user": "user_id",
    "usergroup": "usergroup_id",
    "channel": "channel_id",
    "broadcast": "range",
}


def _inline(element: Mapping[str, Any], pointer: str) -> Iterator[str]:
    kind = str(element.get("type"))
    if kind not in _INLINE:
        yield _at(f"unsupported type: {kind}", f"{pointer}/type")
        return
    yield from _string(element.get(_INLINE[kind]), f"{pointer}/{_INLINE[kind]}", 12_000)
    style = element.get("style", {})
    if not isinstance(style, dict) or not set(style) <= {"bold", "italic", "strike", "code", "underline"}:
        yield _at("invalid style", f"{pointer}/style")


def _divider(_block: Mapping[str, Any], _pointer: str) -> Iterator[str]:
    return iter(())


_BLOCKS: dict[str, Callable[[Mapping[str, Any], str], Iterator[str]]] = {
    "header": _header,
    "section": _section,
    "context": _context,
    "image": _image,
    "actions": _actions,
    "markdown": _markdown,
    "rich_text": _rich_text,
    "divider": _divider,
}
