"""Keeps account of labels that were asked for and are not there: a plan is refused rather than guessed.

Sandbox and vocabulary share it. A use that brings its own fallback (`default`, `is defined`) takes its entry
back.
"""


class Absences:
    """Which labels were asked for in vain, since this account was opened."""

    def __init__(self) -> None:
        self._count: dict[str, int] = {}

    def note(self, name: str) -> "Absent":
        self._count[name] = self._count.get(name, 0) + 1
        return Absent(name, self)

    def forgive(self, name: str) -> None:
        self._count[name] -= 1

    @property
    def names(self) -> frozenset[str]:
        return frozenset(name for name, count in self._count.items() if count > 0)


class Absent(str):
    """The empty string that a missing label is."""

    __slots__ = ("_absences", "_name")
    _absences: Absences
    _name: str

    def __new__(cls, name: str, absences: Absences) -> "Absent":
        self = super().__new__(cls, "")
        self._name, self._absences = name, absences
        return self

    def forgive(self) -> None:
        """It was looked at, but nothing was made of it."""
        self._absences.forgive(self._name)
