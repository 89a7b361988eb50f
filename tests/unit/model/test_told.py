"""How much of the labels of alerts that join a run is kept."""

from datetime import UTC, datetime

from remediator.model.run import Joined, told

T0 = datetime(2026, 1, 1, tzinfo=UTC)


def test_labels_of_a_usual_size_stay_as_they_are() -> None:
    """People tell the alerts of a group apart by them."""
    labels = {"alertname": "Sick", "instance": "i" * 1000}

    assert ({"alertname": "Sick", "instance": "i" * 1000},) == Joined(T0, 1, (labels,)).labels


def test_long_values_become_short_stay_different_and_keep_no_part_of_a_secret() -> None:
    """A cut could go through a secret, and half of one is not found and taken out before it is shown."""
    one, other = told({"a": "x" * 5000 + "1"})["a"], told({"a": "x" * 5000 + "2"})["a"]

    assert one != other
    assert one.startswith("(5001 characters, ")
    assert 50 > len(one)
    assert one == told({"a": one})["a"]


def test_a_storm_of_labels_stays_small() -> None:
    """What a run carries is read on each of its turns."""
    many = {f"l{number:05}": "v" * 10_000 for number in range(10_000)}
    (kept,) = Joined(T0, 1, ({"n" * 10_000: "v"} | many,)).labels

    assert [f"l{number:05}" for number in range(50)] == list(kept)
    assert () == tuple(told({"n" * 10_000: "v", "\ud800": "x" * 2000}).keys() - {"\ud800"})


def test_nothing_is_said_of_alerts_that_are_only_counted() -> None:
    """A long storm tells of its first few."""
    assert () == Joined(T0, 7).labels
