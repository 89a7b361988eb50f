"""Fits packs to one installation by overlay files: other `vars`, other modes, and the pack itself stays untouched.

Loading hands it every overlay first and every pack afterwards. It reads no file. A value that the pack does not have,
or has in another form, is a mistake: it would change nothing, or break a rule at night.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from pydantic import ValidationError

from remediator.documents import Document, Mistake, Path, did_you_mean, mistakes_of
from remediator.rules.grammar import OverlayShape


@dataclass(slots=True)
class Overlays:
    """The overlays of one loading, in the order of their files; a later one wins."""

    _by_pack: dict[str, list[Document]] = field(default_factory=dict)
    _known: set[str] = field(default_factory=set)

    def take(self, document: Document) -> list[Mistake]:
        """Note an overlay; what is wrong with its form."""
        try:
            OverlayShape.model_validate(document.data)
        except ValidationError as error:
            return mistakes_of(error, document, OverlayShape)
        if not document.mistakes:
            self._by_pack.setdefault(document.data["overlay"], []).append(document)
        return []

    def fit(self, pack: Document) -> tuple[Document, list[Mistake]]:
        """The pack as this installation wants it, and the mistakes of the overlays that want it so."""
        data = dict(pack.data)
        name = data.get("pack")
        if isinstance(name, str):
            self._known.add(name)
        mistakes: list[Mistake] = []
        for overlay in self._by_pack.get(str(name), ()):
            data["vars"] = _joined(data.get("vars", {}), overlay.data.get("vars", {}), overlay, ("vars",), mistakes)
            data["rules"] = _with_modes(data.get("rules"), overlay, mistakes)
        return replace(pack, data=data), mistakes

    def unused(self) -> Iterator[Mistake]:
        """Overlays of packs that there are not; to be asked when all packs were fitted."""
        for name, overlays in self._by_pack.items():
            if name not in self._known:
                what = f"there is no pack `{name}` to lay this over{did_you_mean(name, self._known)}"
                yield from (overlay.mistake(("overlay",), what) for overlay in overlays)


def _joined(own: Any, other: Any, overlay: Document, path: Path, mistakes: list[Mistake]) -> Any:
    """The overlay's value over the pack's own; mappings are joined."""
    if own is None or other is None:
        return other
    if _kind_of(own) != _kind_of(other):
        what = f"`{'.'.join(map(str, path))}` is {_kind_of(own)} in the pack, and {_kind_of(other)} here"
        mistakes.append(overlay.mistake(path, what))
        return own
    if not isinstance(own, Mapping):
        return other
    joined = dict(own)
    for key, value in other.items():
        if key not in own and len(path) == 1:  # what the pack does not name, no rule of it reads
            what = f"the pack has no `vars.{key}`{did_you_mean(key, own)}"
            mistakes.append(overlay.mistake((*path, key), what, key=True))
        elif key in own:
            joined[key] = _joined(own[key], value, overlay, (*path, key), mistakes)
        else:
            joined[key] = value
    return joined


def _kind_of(value: Any) -> str:
    match value:
        case bool():
            return "true or false"
        case int() | float():
            return "a number"
        case str():
            return "text"
        case list():
            return "a list"
    return "a mapping"


def _with_modes(rules: Any, overlay: Document, mistakes: list[Mistake]) -> Any:
    modes: dict[str, str] = overlay.data.get("modes", {})
    if not isinstance(rules, list):
        return rules
    names = {name for name in map(_name_of, rules) if name}
    for name in modes:
        if name not in names:
            what = f"the pack has no rule `{name}`{did_you_mean(name, names)}"
            mistakes.append(overlay.mistake(("modes", name), what, key=True))
    wanted = {name: mode for name, mode in modes.items() if name in names}
    return [{**rule, "mode": wanted[rule["name"]]} if _name_of(rule) in wanted else rule for rule in rules]


def _name_of(rule: Any) -> str:
    """A rule's name; nothing where it has none that is text, which is told when it is compiled."""
    name = rule.get("name") if isinstance(rule, dict) else None
    return name if isinstance(name, str) else ""
