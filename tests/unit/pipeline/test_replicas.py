"""Who counts as dead: what one process makes of the others' beats."""

from remediator.model.ids import OwnerId
from remediator.pipeline.replicas import SILENCE, Watch
from remediator.storage.presence import Replica

A, B = OwnerId("a"), OwnerId("b")


def seen(**beats: int) -> list[Replica]:
    return [Replica(OwnerId(name), "host", f"in-{name}", count) for name, count in beats.items()]


def silent(watch: Watch, beats: list[list[Replica]], *, every: float = 0.5, start: float = 100.0) -> list[list[str]]:
    """Who was found silent at each of several looks."""
    return [[one.id for one in watch.look(replicas, start + n * every)] for n, replicas in enumerate(beats)]


def test_a_replica_whose_count_moves_is_never_dead() -> None:
    found = silent(Watch(), [seen(a=n, b=n) for n in range(40)])

    assert [[]] * 40 == found


def test_a_replica_whose_count_stands_still_is_dead_after_the_silence_and_not_before() -> None:
    """Too early, and a busy process loses its runs; too late, and an alert waits."""
    found = silent(Watch(), [seen(a=n, b=7) for n in range(12)])

    assert [] == [names for names in found[:9] if names]  # 4.5 s are over at the tenth look
    assert [["b"], ["b"], ["b"]] == found[9:]


def test_the_silence_begins_anew_with_a_beat() -> None:
    counts = [7, 7, 7, 7, 7, 8, *[8] * 9]
    found = silent(Watch(), [seen(b=count) for count in counts])

    assert [["b"]] == [names for names in found if names]
    assert ["b"] == found[14]


def test_nobody_is_dead_because_nobody_could_be_seen() -> None:
    """The database was away for a minute: every count has stood still, and everybody lives."""
    watch = Watch()
    silent(watch, [seen(a=1, b=1)] * 3)
    after = silent(watch, [seen(a=1, b=1)] * 9, start=160.0)

    assert [[]] * 9 == after
    assert SILENCE.total_seconds() == 4.5


def test_a_gap_in_looking_is_not_the_others_silence() -> None:
    """This process was frozen: it has seen nothing of what the others did meanwhile."""
    watch = Watch()
    silent(watch, [seen(b=1)] * 8)

    assert () == watch.look(seen(b=1), 100.0 + 8 * 0.5 + 30)


def test_who_left_the_roll_is_forgotten_and_may_come_back() -> None:
    watch = Watch()
    silent(watch, [seen(a=1, b=1)] * 8)
    watch.look(seen(a=2), 104.0)

    assert () == watch.look(seen(a=3, b=1), 104.5)


def test_who_was_in_this_folder_before_is_dead_sooner() -> None:
    """Nobody has to wait for a silence where it is known that the process has ended; unless the folder was copied."""
    watch = Watch()
    watch.instance = "in-b"
    found = silent(watch, [seen(a=1, b=7)] * 5)
    copied = silent(watch, [seen(a=1, b=n) for n in range(5)], start=200.0)

    assert [[], [], [], ["b"], ["b"]] == found
    assert [[]] * 5 == copied
