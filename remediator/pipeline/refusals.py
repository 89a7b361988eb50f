"""Which refused words of people are entered in the audit journal: whoever says the same again does not fill it.

Asked by whoever refuses a word; what was decided or done never comes here. The same person, run and reason is entered
once a minute, and a person at most `_MOST` times; the next entry of theirs says how many were left out.
"""

from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import NamedTuple, Protocol

from remediator.model.audit import AuditEntry

_WINDOW = 60.0  # seconds
_MOST = 60
_PEOPLE = 1000

_Person = tuple[str, str]
_Word = tuple[str, str, str]


class Journal(Protocol):
    """Where it is entered."""

    async def audit(self, entries: Sequence[AuditEntry], /) -> None:
        """Enter what belongs to no other write. Raises StoreUnavailable."""
        ...


class Refusal(NamedTuple):
    """A refused word, as it is to be entered."""

    person: _Person
    word: _Word
    entries: tuple[AuditEntry, ...]
    """Empty where it is left out."""
    left_out: int
    """Of how many others the entry tells."""


@dataclass(slots=True)
class _Heard:
    """What was heard of a person within a minute."""

    since: float
    entered: set[_Word] = field(default_factory=set)
    left_out: int = 0


class Refusals:
    """Remembers what it has seen; forgets whoever was not heard for longest."""

    def __init__(self, monotonic: Callable[[], float]) -> None:
        self._monotonic = monotonic
        self._heard: OrderedDict[_Person, _Heard] = OrderedDict()

    def judge(self, entry: AuditEntry, why: str) -> Refusal:
        """What is to be entered; it counts once it is noted, as the transaction with it may have to be tried anew."""
        person, word = (entry.who, entry.via), (entry.run, entry.subject, why)
        heard = self._heard.get(person)
        if heard is None:
            return Refusal(person, word, (entry,), 0)
        if not self._is_over(heard) and (word in heard.entered or len(heard.entered) >= _MOST):
            return Refusal(person, word, (), 0)
        if heard.left_out:
            said = f"{heard.left_out} more of their words were refused before this one, and not entered"
            entry = replace(entry, outcome=f"{entry.outcome} ({said})")
        return Refusal(person, word, (entry,), heard.left_out)

    def note(self, refusal: Refusal) -> None:
        """It is on disk, or was left out."""
        heard = self._heard.pop(refusal.person, None) or _Heard(self._monotonic())
        self._heard[refusal.person] = heard
        if len(self._heard) > _PEOPLE:
            self._heard.popitem(last=False)
        if not refusal.entries:
            heard.left_out += 1
            return
        if self._is_over(heard):
            heard.since = self._monotonic()
            heard.entered.clear()
        heard.entered.add(refusal.word)
        heard.left_out -= refusal.left_out

    async def enter(self, journal: Journal, entry: AuditEntry, why: str) -> None:
        """Have a word entered that came to no decision. Raises StoreUnavailable."""
        refusal = self.judge(entry, why)
        if refusal.entries:
            await journal.audit(refusal.entries)
        self.note(refusal)

    def _is_over(self, heard: _Heard) -> bool:
        return self._monotonic() - heard.since >= _WINDOW
