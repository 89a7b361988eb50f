"""Fits packs to one installation by overlay files: other `vars`, other modes, and the pack itself stays untouched.

Loading hands it every overlay first and every pack afterwards. It reads no file. A value that the pack does not have,
or has in another form, is a mistake: it would change nothing, or break a rule at night. What is mistaken in an overlay
is left out and the rest is laid over the pack all the same, so that every mistake is told in one go.
"""

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from pydantic import ValidationError

from remediator.documents import Document, Mistake, Path, did_you_mean, faults_of, mistakes_of
from remediator.rules.grammar import OverlayShape


@dataclass(frozen=True, slots=True)
class _Overlay:
    """An overlay, and where its values are mistaken: that is told already, and they are left out."""

    document: Document
    faulty: frozenset[Path]

    def is_faulty(self, path: Path) -> bool:
        return self.document.is_broken(path) or any(path[: len(one)] == one for one in self.faulty)

    def part(self, name: str) -> dict[str, Any]:
        """A mapping of it; an empty one where it has none that can be used."""
        value = self.document.data.get(name, {})
        return value if isinstance(value, dict) and not self.is_faulty((name,)) else {}


@dataclass(slots=True)
class Overlays:
    """The overlays of one loading, in the order of their files; a later one wins."""

    _by_pack: dict[str, list[_Overlay]] = field(default_factory=dict)
    _known: set[str] = field(default_factory=set)

    def take(self, document: Document, but_not: Collection[Path] = ()) -> list[Mistake]:
        """Note an overlay; what is wrong with its form. Values at `but_not` are mistaken, and that is told already."""
        mistakes, faulty = [], set(but_not)
        try:
            OverlayShape.model_validate(document.data)
        except ValidationError as error:
            mistakes = mistakes_of(error, document, OverlayShape)
            faulty |= {fault.path for fault in faults_of(error, OverlayShape, document.data)}
        overlay = _Overlay(document, frozenset(faulty))
        if not overlay.is_faulty(("overlay",)):
            self._by_pack.setdefault(document.data["overlay"], []).append(overlay)
        return mistakes

    def fit(self, pack: Document) -> tuple[Document, list[Mistake]]:
        """The pack as this installation wants it, and the mistakes of the overlays that want it so.

        Where an overlay's value is mistaken and the pack leaves it to the installation, the pack's `vars` count as
        broken: what rules make of them cannot be told.
        """
        data = dict(pack.data)
        name = data.get("pack")
        if isinstance(name, str):
            self._known.add(name)
        layer = _Layer(pack, [])
        for overlay in self._by_pack.get(str(name), ()):
            data["vars"] = layer.with_vars(data.get("vars", {}), overlay)
            data["rules"] = layer.with_modes(data.get("rules"), overlay)
        broken = pack.broken | {("vars",)} if layer.has_gap else pack.broken
        return replace(pack, data=data, broken=broken), layer.mistakes

    def unused(self) -> Iterator[Mistake]:
        """Overlays of packs that there are not; to be asked when all packs were fitted."""
        for name, overlays in self._by_pack.items():
            if name not in self._known:
                what = f"there is no pack `{name}` to lay this over{did_you_mean(name, self._known)}"
                yield from (overlay.document.mistake(("overlay",), what) for overlay in overlays)


@dataclass(slots=True)
class _Layer:
    """The laying of overlays over one pack, and the mistakes that it shows."""

    pack: Document
    mistakes: list[Mistake]
    has_gap: bool = False
    """Whether a value is missing that an overlay was to give, and gives mistaken."""

    def with_vars(self, own: Any, overlay: _Overlay) -> Any:
        """The pack's `vars` with those of an overlay."""
        if not isinstance(own, Mapping) or self.pack.is_broken(("vars",)):
            return own  # that is told of the pack
        if overlay.is_faulty(("vars",)):
            self.has_gap |= _lacks_values(own)
            return own
        return self._joined(own, overlay.part("vars"), overlay, ("vars",))

    def _joined(self, own: Any, other: Any, overlay: _Overlay, path: Path) -> Any:
        """The overlay's value over the pack's own; mappings are joined."""
        if overlay.is_faulty(path):
            self.has_gap |= _lacks_values(own)
            return own
        if own is None or other is None or self.pack.is_broken(path):
            return other
        if _kind_of(own) != _kind_of(other):
            what = f"`{'.'.join(map(str, path))}` is {_kind_of(own)} in the pack, and {_kind_of(other)} here"
            self.mistakes.append(overlay.document.mistake(path, what))
            return own
        if not isinstance(own, Mapping):
            return other
        joined = dict(own)
        for key, value in other.items():
            if key in own:
                joined[key] = self._joined(own[key], value, overlay, (*path, key))
            elif len(path) == 1:  # what the pack does not name, no rule of it reads
                what = f"the pack has no `vars.{key}`{did_you_mean(key, own)}"
                self.mistakes.append(overlay.document.mistake((*path, key), what, key=True))
            elif not overlay.is_faulty((*path, key)):
                joined[key] = value
        return joined

    def with_modes(self, rules: Any, overlay: _Overlay) -> Any:
        """The pack's rules with the modes of an overlay. A name is looked at also where its mode is mistaken."""
        if not isinstance(rules, list):
            return rules
        modes = overlay.part("modes")
        names = {name for name in map(_name_of, rules) if name}
        if not any(self.pack.is_broken(("rules", index, "name")) for index in range(len(rules))):
            for name in modes:
                if name not in names:
                    what = f"the pack has no rule `{name}`{did_you_mean(name, names)}"
                    self.mistakes.append(overlay.document.mistake(("modes", name), what, key=True))
        wanted = {n: mode for n, mode in modes.items() if n in names and not overlay.is_faulty(("modes", n))}
        return [{**rule, "mode": wanted[rule["name"]]} if _name_of(rule) in wanted else rule for rule in rules]


def _lacks_values(own: Any) -> bool:
    """Whether the pack leaves a value to the installation, here or below."""
    return own is None or (isinstance(own, Mapping) and any(map(_lacks_values, own.values())))


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


def _name_of(rule: Any) -> str:
    """A rule's name; nothing where it has none that is text, which is told when it is compiled."""
    name = rule.get("name") if isinstance(rule, dict) else None
    return name if isinstance(name, str) else ""
