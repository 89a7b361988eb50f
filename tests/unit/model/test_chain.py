"""The chain of the audit journal: whatever was changed in it afterwards is found, and where."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from remediator.model.audit import AuditEntry, Sealed, key_id, seal_of, voucher_of
from remediator.model.chain import DROPPED, Head, check_chain, subject_of_drop

KEY, OTHER = b"one key", b"another key"
KEYS = {key_id(KEY): KEY}
T0 = datetime(2026, 1, 1, 12, 0, tzinfo=UTC)
ENTRY = AuditEntry(T0, "started", "remediator", "service", "r1", "kick", "d", "here", "done", "why", "shown")


def chain(count: int = 5, keys: Sequence[bytes] = (KEY,)) -> list[Sealed]:
    """A chain; each entry is another one, and the keys take turns."""
    made: list[Sealed] = []
    before = ""
    for place in range(1, count + 1):
        key = keys[place % len(keys)]
        entry = replace(ENTRY, at=T0 + place * timedelta(seconds=1))
        before = seal_of(key, before, place, entry)
        made.append(Sealed(100 - place, entry, place, before, key_id(key)))
    return made


def head_of(entries: Sequence[Sealed]) -> Head:
    return entries[-1].place or 0, entries[-1].seal or ""


def test_what_was_not_touched_is_verified_in_any_order_with_what_is_not_sealed_yet() -> None:
    """Places tell the order, whatever the numbers of the rows."""
    whole = chain()
    new = Sealed(200, ENTRY, None, None, None)
    report = check_chain([new, *reversed(whole)], keys=KEYS, head=head_of(whole))

    assert (5, 1, 0, head_of(whole), "") == (
        report.verified,
        report.unsealed,
        report.begins,
        report.head,
        report.finding,
    )


def _edit(**changes: Any) -> Callable[[list[Sealed]], list[Sealed]]:
    def edit(whole: list[Sealed]) -> list[Sealed]:
        return [*whole[:2], replace(whole[2], entry=replace(whole[2].entry, **changes)), *whole[3:]]

    return edit


def _at(whole: list[Sealed]) -> list[Sealed]:
    later = replace(whole[2].entry, at=T0 + timedelta(microseconds=1))
    return [*whole[:2], replace(whole[2], entry=later), *whole[3:]]


def _forged(whole: list[Sealed]) -> list[Sealed]:
    """Rewritten from there on, with a key of the forger's own that passes for ours."""
    forged = chain(5, [OTHER])
    return [*whole[:2], *(replace(one, key=key_id(KEY)) for one in forged[2:])]


_TEXTS = ("what", "who", "via", "run", "subject", "digest", "origin", "outcome", "detail", "shown")


@pytest.mark.parametrize(
    ("tamper", "said"),
    [
        *((_edit(**{name: "other"}), "is not what was sealed there") for name in _TEXTS),
        (_at, "is not what was sealed there"),
        (_forged, "is not what was sealed there"),
        (lambda whole: [*whole[:2], *whole[3:]], "place 3 is missing"),
        (lambda whole: [*whole[:2], *whole[4:]], "places 3-4 are missing"),
        (lambda whole: whole[2:], "places 1-2 are missing"),
        (lambda whole: [*whole[:3], whole[2], *whole[3:]], "place 3 (started, "),
        (
            lambda whole: [*whole[:2], replace(whole[2], place=4), replace(whole[3], place=3), whole[4]],
            "place 3 (started, 2026-01-01 12:00:04 UTC) is not what was sealed there",
        ),
        (lambda whole: [*whole[:2], replace(whole[2], key="abc"), *whole[3:]], "with the key abc, which is not known"),
        (lambda whole: [*whole[:2], replace(whole[2], seal=None), *whole[3:]], "is not what was sealed there"),
    ],
)
def test_the_first_thing_that_is_wrong_is_said(tamper: Callable[[list[Sealed]], list[Sealed]], said: str) -> None:
    """Nothing of an entry can be changed, none be taken out, put in or moved."""
    report = check_chain(tamper(chain()), keys=KEYS)

    assert said in report.finding
    assert report.verified < 5


def test_the_seals_of_several_keys_make_one_chain() -> None:
    """Processes may have keys of their own, and a key may be changed; whoever checks needs all of them."""
    whole = chain(5, [KEY, OTHER])

    assert "" == check_chain(whole, keys={**KEYS, key_id(OTHER): OTHER}).finding
    assert f"with the key {key_id(OTHER)}" in check_chain(whole, keys=KEYS).finding


@pytest.mark.parametrize(
    ("head", "said"),
    [
        ((5, "0" * 64), "the seal at place 5 is not the one that was noted"),
        ((6, "0" * 64), "the journal ends at place 5, and its head was at 6 once"),
    ],
)
def test_a_chain_that_was_rewritten_or_cut_shows_by_a_head_noted_elsewhere(head: Head, said: str) -> None:
    """Who has the key, or cuts off the end, makes a chain that is right in itself."""
    assert said in check_chain(chain(), keys=KEYS, head=head).finding


def test_the_beginning_of_a_seal_is_enough_to_compare_with() -> None:
    """The metrics have no room for more."""
    whole = chain()
    place, seal = head_of(whole)

    assert "" == check_chain(whole, keys=KEYS, head=(place, seal[:12])).finding


def _shortened(proof: Callable[[Head], str] | None) -> tuple[Head, list[Sealed]]:
    """A chain of which the first two entries were dropped, with an entry that says so where there is a proof."""
    begins, rest = chain(2), []
    head = before = head_of(begins)
    detail = proof(head) if proof is not None else ""
    said = replace(ENTRY, what=DROPPED, subject=subject_of_drop(2), digest=head[1], detail=detail)
    for place, entry in enumerate((ENTRY, said if proof is not None else ENTRY), 3):
        seal = seal_of(KEY, before[1], place, entry)
        rest.append(Sealed(place, entry, place, seal, key_id(KEY)))
        before = place, seal
    return head, rest


def test_a_chain_begins_later_where_a_sealed_entry_says_so() -> None:
    """What was dropped as it was old is not missing; what somebody else has cut off is."""
    begins, rest = _shortened(lambda head: voucher_of(KEY, *head))
    cut, unvouched = _shortened(None)

    assert "" == check_chain(rest, keys=KEYS, begins=begins, head=begins).finding
    assert "place 1 was dropped" in check_chain(rest, keys=KEYS, begins=begins, head=(1, "0" * 12)).finding
    assert "no sealed entry proves that" in check_chain(unvouched, keys=KEYS, begins=cut).finding
    assert "is not what was sealed" in check_chain(rest, keys=KEYS, begins=(2, "0" * 64)).finding


@pytest.mark.parametrize(
    "proof",
    [
        lambda _head: "",
        lambda head: voucher_of(OTHER, *head),
        lambda head: voucher_of(KEY, head[0] - 1, head[1]),
        lambda head: seal_of(KEY, head[1], 3, ENTRY),
        lambda _head: "\u00e9",
    ],
)
def test_who_writes_to_the_store_cannot_have_the_sealer_vouch_for_a_cut(proof: Callable[[Head], str]) -> None:
    """The sealer seals whatever entry it finds: that the journal was shortened takes a proof made with the key."""
    begins, rest = _shortened(proof)

    assert "no sealed entry proves that" in check_chain(rest, keys=KEYS, begins=begins).finding
