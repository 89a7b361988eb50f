"""What needs what, and that nothing waits for itself: diagnosis steps, and the values of a `compute`.

Called when a rule is loaded; the pipeline's diagnosis keeps to what was found here. Pure.
"""

from collections.abc import Iterator, Mapping
from graphlib import CycleError, TopologicalSorter

Needs = Mapping[str, frozenset[str]]
"""Diagnosis steps (or values) by name, with the names of those that each needs."""


def circles(needs: Needs) -> Iterator[tuple[str, ...]]:
    """The steps that wait for each other, each circle once, beginning with the step that stands first."""
    settled: set[str] = set()
    for start in needs:
        if start in settled:
            continue
        circle = _circle_from(start, needs, settled)
        if circle:
            yield circle


def in_turn(needs: Needs) -> tuple[str, ...]:
    """The names, each after those that it needs; as they stand where there is a circle."""
    try:
        return tuple(TopologicalSorter({one: sorted(needs[one] & needs.keys()) for one in needs}).static_order())
    except CycleError:
        return tuple(needs)


def say_circle(circle: tuple[str, ...]) -> str:
    """The circle in words: `a` needs `b`, `b` needs `a`."""
    if len(circle) == 1:
        return f"`{circle[0]}` needs itself"
    links = zip(circle, (*circle[1:], circle[0]), strict=True)
    return ", ".join(f"`{one}` needs `{other}`" for one, other in links) + ": none of them can be the first"


def _circle_from(start: str, needs: Needs, settled: set[str]) -> tuple[str, ...]:
    """A circle that can be reached from a step, or nothing. Steps that were gone through are settled then.

    It walks without recursion: a rule may chain more steps than Python nests calls.
    """
    trail = [start]
    ways = [_ways(start, needs)]
    while trail:
        found = next(ways[-1], None)
        if found is None:
            settled.add(trail.pop())
            ways.pop()
        elif found in trail:
            settled.update(trail)
            return _first_first(tuple(trail[trail.index(found) :]), needs)
        elif found not in settled:
            trail.append(found)
            ways.append(_ways(found, needs))
    return ()


def _ways(step: str, needs: Needs) -> Iterator[str]:
    return iter(sorted(one for one in needs[step] if one in needs))


def _first_first(circle: tuple[str, ...], needs: Needs) -> tuple[str, ...]:
    first = next(index for step in needs for index, one in enumerate(circle) if one == step)
    return circle[first:] + circle[:first]
