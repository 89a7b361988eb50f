"""Where the mistakes of one rule are collected while it is compiled."""

from pydantic import BaseModel, ValidationError

from remediator.documents import Document, Fault, Mistake, Path, mistakes_of


class Report:
    """The mistakes found so far; paths are those within the rule, which stands at `at` in the document."""

    def __init__(self, document: Document, at: Path) -> None:
        self.mistakes: list[Mistake] = []
        self.document, self.at = document, at
        self._settled: set[Path] = set()

    def wrong(self, path: Path, what: str, *, key: bool = False) -> None:
        """Note a mistake, unless one was noted already that makes this one meaningless."""
        full = (*self.at, *path)
        if not self.document.is_broken(full) and not self._is_settled(path):
            self.mistakes.append(self.document.mistake(full, what, key=key))

    def invalid(
        self, error: ValidationError, model: type[BaseModel], path: Path = (), *, skip: set[Path] | None = None
    ) -> None:
        """Note what pydantic found in the value at `path`; nothing about values at `skip`, whose text is a template."""

        def is_open(fault: Fault) -> bool:
            if fault.is_unknown_key or fault.is_missing_key:
                return False
            return any(_is_within(fault.path, one) or _is_within(one, fault.path) for one in skip or ())

        self.mistakes += mistakes_of(error, self.document, model, at=(*self.at, *path), but_not=is_open)

    def settle(self, path: Path) -> None:
        """All that is to be said of the value at `path` was said."""
        self._settled.add(path)

    def _is_settled(self, path: Path) -> bool:
        return any(_is_within(path, one) for one in self._settled)


def _is_within(path: Path, around: Path) -> bool:
    return path[: len(around)] == around
