"""What the benchmarks give out: figures with their goals, and the tables that are made of them."""

import json
import re
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

_HEAD = "| what | measured | beside it | goal | reached |\n|---|---|---|---|---|"


@dataclass(frozen=True, slots=True)
class Figure:
    """One line of a table: what was measured, what it is compared with, and what was to be reached."""

    what: str
    measured: str
    beside: str = ""
    goal: str = ""
    reached: bool | None = None
    """None where there is no goal."""

    def row(self) -> str:
        """The line in Markdown."""
        verdict = {True: "yes", False: "**no**", None: ""}[self.reached]
        return f"| {self.what} | {self.measured} | {self.beside} | {self.goal} | {verdict} |"


@dataclass(slots=True)
class Report:
    """What one benchmark found: its table, and the numbers behind it, for whoever wants to work with them."""

    name: str
    figures: list[Figure] = field(default_factory=list)
    raw: dict[str, Any] = field(default_factory=dict)
    about: str = ""
    """When it was measured, and how busy the machine was with other things."""

    def add(self, what: str, measured: str, beside: str = "", *, goal: str = "", reached: bool | None = None) -> None:
        """Have one more line, and show it at once: a whole run takes a while."""
        figure = Figure(what, measured, beside, goal, reached)
        self.figures.append(figure)
        print(figure.row(), flush=True)

    def table(self) -> str:
        """All lines as a table in Markdown."""
        return "\n".join([_HEAD, *(figure.row() for figure in self.figures), "", self.about]).rstrip()

    def as_json(self) -> str:
        """Everything, for other programs."""
        return json.dumps(asdict(self), indent=2)


def write_into(page: Path, reports: Sequence[Report]) -> None:
    """Put the tables into a page, each between its two markers; the rest of the page stays as it is."""
    text = page.read_text()
    for report in reports:
        begin, end = f"<!-- {report.name} -->", f"<!-- end of {report.name} -->"
        if begin not in text or end not in text:
            raise SystemExit(f"{page} has no place for {report.name}: {begin} and {end} are needed")
        place = re.compile(re.escape(begin) + ".*?" + re.escape(end), re.DOTALL)
        filled = f"{begin}\n{report.table()}\n{end}"
        text = place.sub(lambda _, new=filled: new, text)  # type: ignore[misc]  # a default binds the loop's value
    page.write_text(text)


def median(values: Sequence[float]) -> float:
    """The middle one; 0 of none."""
    return statistics.median(values) if values else 0.0


def spread(values: Sequence[float], form: str = "{:.0f}") -> str:
    """The median, and how far the rounds lie apart."""
    if len(values) == 1:
        return form.format(values[0])
    return f"{form.format(median(values))} ({form.format(min(values))}-{form.format(max(values))})"


def percentile(values: Sequence[float], share: float) -> float:
    """The value that this share of all does not exceed; 0 of none."""
    if not values:
        return 0.0
    ordered = sorted(values)
    return ordered[min(int(len(ordered) * share), len(ordered) - 1)]


def ratio(ours: Mapping[int, float], theirs: Mapping[int, float]) -> list[float]:
    """Round by round: what lies close together in time is compared."""
    return [ours[turn] / theirs[turn] for turn in ours if theirs.get(turn)]
