"""Whether there is what a person wants paused: one that stops nothing must not look as if it did. Called by `Stops`."""

import re
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from difflib import get_close_matches
from urllib.parse import unquote

from remediator.errors import Mistaken
from remediator.model.escaping import escaped
from remediator.model.facts import Planned
from remediator.model.history import Latest, Which
from remediator.model.plan import Effect
from remediator.model.stop import EVERYTHING
from remediator.pipeline.rulebook import Rulebook
from remediator.storage.store import Store

_SHOWN = 50  # characters of a scope in an error, of which the API shows 200
_MOST_RUNS = 1000  # open runs that are asked for their rules: the newest ones
_MOST_PLANS = 100  # open runs that are read for their plans
_MOST_SPELLINGS = 16  # of a target's name that are looked for, and twice as many
_EVER = datetime(1970, 1, 1, tzinfo=UTC)
_TARGET = re.compile(r"(?P<system>[A-Za-z0-9_.-]+):[A-Za-z0-9_.~%-]+(/[A-Za-z0-9_.~%-]+)*")
_OF_PATTERNS = frozenset("*?[]")


class Scopes:
    """Knows the rules, packs, actions and targets that a pause can be for."""

    def __init__(self, store: Store, rulebook: Rulebook) -> None:
        self._store = store
        self._rulebook = rulebook

    async def check(self, scope: str) -> str:
        """What whoever pauses it is to know besides, or nothing. Raises Mistaken where nothing would be paused."""
        kind, _, name = scope.partition(":")
        if scope == EVERYTHING:
            return ""
        if not name or kind not in ("pack", "rule", "action", "target"):
            raise Mistaken(
                f"{scope[:_SHOWN]!a} is no scope; write everything, pack:NAME, rule:PACK/NAME, action:NAME or "
                "target:SYSTEM:NAME"
            )
        if kind == "target":
            return await self._check_target(name)
        if kind == "action":
            return self._check_action(name)
        return await self._check_rules(kind, name)

    async def _check_rules(self, kind: str, name: str) -> str:
        known = _named(kind, (rule.id for rule in self._rulebook.book.rules))
        if name in known:
            return ""
        runs = await self._store.list_runs(limit=_MOST_RUNS, active=True)
        if name in _named(kind, (run.rule for run in runs)):
            return f"{kind}:{name} is in the rules no more, but runs of it are under way, which are paused by this"
        raise Mistaken(_say_unknown(kind, name, known))

    def _check_action(self, name: str) -> str:
        known = [action.name for action in self._rulebook.actions.values() if action.effect is not Effect.READ]
        if name in known:
            return ""
        if name in self._rulebook.actions:
            raise Mistaken(f"action:{name} only looks and changes nothing, so there is nothing to pause")
        raise Mistaken(_say_unknown("action", name, known))

    async def _check_target(self, name: str) -> str:
        shown = f"target:{name}"[:_SHOWN]
        if _OF_PATTERNS & set(name):
            raise Mistaken(
                f"{shown} is a pattern, and a pause takes whole names; pause rule:PACK/NAME, pack:NAME or action:NAME, "
                "or freeze it: calendar.freezes takes patterns"
            )
        if "@" in name:
            raise Mistaken(f"{shown}: leave out the @ and what follows it: {shown.partition('@')[0]}")
        found = _TARGET.fullmatch(name)
        if found is None:
            raise Mistaken(
                f"{shown} names no target; write it as `runs show` does, like target:command:web; the systems are "
                f"{', '.join(self._systems())}"
            )
        if await self._changed([name]):
            return ""
        if found["system"] not in self._systems():
            raise Mistaken(
                f"{shown}: there is no system {found['system'][:_SHOWN]}; there are {', '.join(self._systems())}"
            )
        otherwise, planned = _escaped_otherwise(name), await self._planned()
        if name in planned:
            return ""
        meant = await self._changed(otherwise) or [one for one in otherwise if one in planned]
        if meant:
            raise Mistaken(f"nothing has been changed on {shown}; did you mean target:{meant[0]}?")
        return (
            f"nothing has been changed on target:{name} so far; is that its name? Names look like target:command:web "
            "or target:docker:local/web (a / within a part is written %2F), see: remediator runs show RUN"
        )

    async def _changed(self, names: Sequence[str]) -> list[str]:
        """Those of the names on which something has been changed."""
        asked = {name: Latest(Which(target=name), 1, _EVER) for name in names}
        known = await self._store.known(list(asked.values()))
        return [name for name, which in asked.items() if known.latest(which)]

    async def _planned(self) -> set[str]:
        """The targets of the plans of open runs, the newest ones."""
        listed = await self._store.list_runs(limit=_MOST_PLANS, active=True)
        runs = [await self._store.read_run(one.id) for one in listed]
        plans = [fact.plan for run in runs if run is not None for fact in run.facts if isinstance(fact, Planned)]
        return {target.name for plan in plans for target in plan.targets}

    def _systems(self) -> list[str]:
        """Those that some action changes: the texts before the dots."""
        actions = self._rulebook.actions.values()
        return sorted({action.name.partition(".")[0] for action in actions if action.effect is not Effect.READ})


def _escaped_otherwise(name: str) -> list[str]:
    """The names of targets that differ only in which of the characters that separate parts are escaped."""
    system, _, rest = name.partition(":")
    first, *others = [escaped(part) for part in unquote(rest).split("/")]
    ends = [first]
    for part in others:
        ends = [f"{end}{between}{part}" for end in ends[:_MOST_SPELLINGS] for between in ("/", "%2F")]
    return [f"{system}:{end}" for end in ends if f"{system}:{end}" != name]


def _named(kind: str, rules: Iterable[str]) -> list[str]:
    """The names of the rules, or of their packs, each once."""
    return list(dict.fromkeys(rule if kind == "rule" else rule.partition("/")[0] for rule in rules))


def _say_unknown(kind: str, name: str, known: list[str]) -> str:
    near = get_close_matches(name, known, n=1)
    return f"there is no {kind}:{name}"[:_SHOWN] + (f"; did you mean {kind}:{near[0]}?" if near else "")
