"""Whether the audit journal is what was sealed: the chain of its entries, computed anew. Pure; called by the commands.

What it cannot tell by itself is that the newest entries were cut off, or all were: for that it takes a place and a seal
that were noted elsewhere (`head`), as the log and the metrics have them.
"""

import hmac
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from remediator.model.audit import AuditEntry, Sealed, seal_of, voucher_of

DROPPED = "journal shortened"
"""What an entry is called that vouches for the place up to which older ones were dropped.

`digest` is the seal there, and `detail` the proof that a process with the key has dropped them (`voucher_of`): the
sealer seals whatever it finds, also what somebody else has put into the store.
"""

Head = tuple[int, str]
"""A place, and the seal of the entry there."""

NO_HEAD: Head = (0, "")
SHORTEST_SEAL = 12
"""So many of its first digits name a seal."""


@dataclass(frozen=True, slots=True)
class Report:
    """What was found."""

    verified: int
    """How many entries are as they were sealed, up to the first one that is not."""
    unsealed: int
    begins: int
    """The place before the first entry: what came before was dropped, as it was old."""
    head: Head
    """The last entry that is as it was sealed."""
    finding: str = ""
    """What is wrong first; empty where nothing is."""


def subject_of_drop(place: int) -> str:
    """How the entry that vouches for a place names it."""
    return f"up to place {place}"


def check_chain(
    entries: Iterable[Sealed], *, keys: Mapping[str, bytes], begins: Head = NO_HEAD, head: Head | None = None
) -> Report:
    """Check the entries in the order of their places, after those that were dropped (`begins`).

    `keys` by their ids; `head` is what was noted elsewhere.
    """
    checked = _Checked(begins, keys)
    unsealed = 0
    sealed: list[Sealed] = []
    for one in entries:
        if one.place is None:
            unsealed += 1
        else:
            sealed.append(one)
    finding = ""
    for one in sorted(sealed, key=_place):
        finding = checked.wrong(one)
        if finding:
            break
        checked.take(one)
    finding = finding or checked.wrong_begin() or (checked.wrong_head(head) if head is not None else "")
    return Report(len(checked.seals), unsealed, begins[0], checked.last, finding)


class _Checked:
    """The chain as far as it is right."""

    def __init__(self, begins: Head, keys: Mapping[str, bytes]) -> None:
        self.begins = begins
        self.last = begins
        self.seals: dict[int, str] = {}
        self._keys = keys
        self._vouched = begins == NO_HEAD

    def wrong(self, one: Sealed) -> str:
        """What is wrong with the next one."""
        place, before = _place(one), self.last
        if place <= before[0]:
            return f"place {place} ({_name(one)}) is there twice, or lies before the beginning"
        if place > before[0] + 1:
            missing = (
                f"place {before[0] + 1} is" if place == before[0] + 2 else f"places {before[0] + 1}-{place - 1} are"
            )
            return f"{missing} missing, before the entry {_name(one)}"
        if one.key is None or one.key not in self._keys:
            return f"place {place} ({_name(one)}) was sealed with the key {one.key}, which is not known here"
        if not hmac.compare_digest(seal_of(self._keys[one.key], before[1], place, one.entry), one.seal or ""):
            return f"place {place} ({_name(one)}) is not what was sealed there: it, or its seal, was changed"
        return ""

    def take(self, one: Sealed) -> None:
        self.last = (_place(one), one.seal or "")
        self.seals[self.last[0]] = self.last[1]
        self._vouched = self._vouched or _vouches(one.entry, self.begins, self._keys.values())

    def wrong_begin(self) -> str:
        """That the journal begins late, and nothing that was sealed says that it may."""
        if self._vouched:
            return ""
        return (
            f"the journal begins after place {self.begins[0]}, and no sealed entry proves that it was cut there; "
            "if that was done just now, look again in a few seconds"
        )

    def wrong_head(self, head: Head) -> str:
        """What does not fit to the head that was noted elsewhere."""
        place, seal = head
        if place > self.last[0]:
            return f"the journal ends at place {self.last[0]}, and its head was at {place} once: the newest are missing"
        there = self.begins[1] if place == self.begins[0] else self.seals.get(place)
        if there is None:
            return f"place {place} was dropped as it was old: compare with a newer head"
        return (
            ""
            if there.startswith(seal)
            else f"the seal at place {place} is not the one that was noted: all was rewritten"
        )


def _vouches(entry: AuditEntry, begins: Head, keys: Iterable[bytes]) -> bool:
    if entry.what != DROPPED or entry.subject != subject_of_drop(begins[0]) or entry.digest != begins[1]:
        return False
    return any(hmac.compare_digest(voucher_of(key, *begins).encode(), entry.detail.encode()) for key in keys)


def _place(one: Sealed) -> int:
    return one.place or 0


def _name(one: Sealed) -> str:
    return f"{one.entry.what}, {one.entry.at:%Y-%m-%d %H:%M:%S} UTC"
