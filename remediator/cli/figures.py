"""Limits as they hold, each with where it comes from: the layer, and the place in its file.

Called by commands. It asks nobody.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from remediator.documents import Mistake
from remediator.model.plan import Effect
from remediator.pipeline.guards.effective import Figure, Layer, figures_of, figures_of_settings
from remediator.rules.book import Rule, Rung
from remediator.rules.loading import Places
from remediator.settings import LimitsSettings, place_in_settings

_OF_RULES = (Layer.REMEDY, Layer.RULE, Layer.PACK)


@dataclass(frozen=True, slots=True)
class Placed:
    """A limit, and the place that says it."""

    figure: Figure
    place: Mistake | None

    @property
    def says(self) -> str:
        """Where it comes from, for people."""
        if self.place is None or not self.place.line:
            return str(self.figure.layer)
        return f"{self.figure.layer}, {self.place.file}:{self.place.line}"

    def as_json(self) -> dict[str, Any]:
        has_line = self.place is not None and self.place.line > 0
        return {
            "limit": self.figure.name,
            "figure": self.figure.said,
            "from": self.figure.layer.name.lower(),
            "file": self.place.file if self.place is not None and has_line else None,
            "line": self.place.line if self.place is not None and has_line else None,
        }


class Figures:
    """Looks up which limits hold, and where that is written."""

    def __init__(self, settings: LimitsSettings, file: Path | None, places: Places) -> None:
        """`file`: the settings' file, as the command line names it."""
        self._settings = settings
        self._file = file
        self._places = places

    def of_everything(self) -> list[Placed]:
        """What holds where nothing nearer says others."""
        return self._placed(figures_of_settings(self._settings), None)

    def of_remedy(self, rule: Rule, rung: Rung) -> list[Placed]:
        """What holds for one remedy; nothing for one that changes nothing."""
        actions = {step.action.name for step in rung.steps if step.action.effect is not Effect.READ}
        return self._placed(figures_of(self._settings, rule, rung, actions), rule) if actions else []

    def _placed(self, figures: Sequence[Figure], rule: Rule | None) -> list[Placed]:
        of_settings = [one for one in figures if one.path and one.layer not in _OF_RULES]
        found = place_in_settings(self._file, [(one.path, "") for one in of_settings]) if of_settings else []
        places: dict[str, Mistake | None] = {one.name: at for one, at in zip(of_settings, found, strict=True)}
        if rule is not None:
            of_rule = (one for one in figures if one.layer in _OF_RULES)
            places |= {one.name: self._places.say(rule.id, one.path, "") for one in of_rule}
        return [Placed(one, places.get(one.name)) for one in figures]
