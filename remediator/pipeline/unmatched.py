"""Says in the log which alerts no rule is for: at once, and in a storm once a second for all that came meanwhile.

Told by intake after each delivery. Writing a line for each would cost a fifth of accepting.
"""

import asyncio
from collections.abc import Iterable

import structlog

from remediator.kit.redaction import Redactor, shorten

log = structlog.get_logger(__name__)

_PAUSE = 1.0  # seconds
_NAME_LIMIT, _NAMES_SHOWN = 80, 3
_SOURCE = 4000  # a label can be as long as a body; what is cut here would not be shown anyway


class Unmatched:
    """The alerts that are still to be told of: how many, and the names of a few."""

    def __init__(self, redactor: Redactor) -> None:
        self._redactor = redactor
        self._count = 0
        self._names: set[str] = set()
        self._pause: asyncio.TimerHandle | None = None

    def note(self, names: Iterable[str]) -> None:
        """Alerts were opened that no rule is for, each by its name."""
        for name in names:
            self._count += 1
            if len(self._names) < _NAMES_SHOWN:
                self._names.add(name[:_SOURCE])
        if self._count and self._pause is None:
            self._tell()

    def close(self) -> None:
        """Tell what is left."""
        if self._pause is not None:
            self._pause.cancel()
            self._pause = None
        if self._count:
            self._write()

    def _tell(self) -> None:
        self._pause = None
        if self._count:
            self._write()
            self._pause = asyncio.get_running_loop().call_later(_PAUSE, self._tell)

    def _write(self) -> None:
        shown = [shorten(self._redactor.text(name), _NAME_LIMIT) for name in sorted(self._names)]
        log.info("alert_matches_no_rule", alertname=", ".join(shown), count=self._count)
        self._count = 0
        self._names.clear()
