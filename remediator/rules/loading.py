"""Reads rule files and makes the book of them, or tells every mistake in all of them at once.

Called at start, and by the command that checks rules. The only part of `rules` that touches files.
"""

import errno
import os
import re
import stat
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from remediator.documents import Document, Mistake, faults_of, mistakes_of, read_document
from remediator.documents import Path as DocumentPath
from remediator.errors import BadRules
from remediator.model.ids import RuleId, StepId
from remediator.plugins import Actions
from remediator.rules.book import Book
from remediator.rules.compiling import PackLimits, RuleCompiler, read_limits
from remediator.rules.grammar import PackShape
from remediator.rules.overlays import Overlays
from remediator.rules.reporting import Report
from remediator.rules.rule import Rule

_LARGEST = 4 * 1024 * 1024  # bytes; what is larger takes minutes to read and was never written by a person
_LOOKS_LIKE_OURS = re.compile(r"\{\{-?\s*(?:labels|annotations|vars|steps|result|alert)\b")


def load_book(paths: Sequence[Path], actions: Actions) -> Book:
    """The book of all rule files at `paths`. Raises BadRules with every mistake, a line each."""
    mistakes, book = check_files(paths, actions)
    if book is None:
        raise BadRules("\n".join(map(str, mistakes)))
    return book


def check_files(paths: Sequence[Path], actions: Actions) -> tuple[list[Mistake], Book | None]:
    """Every mistake in the rule files at `paths`, and the book where there is none."""
    mistakes, book, _ = check_with_places(paths, actions)
    return mistakes, book


def check_with_places(paths: Sequence[Path], actions: Actions) -> tuple[list[Mistake], Book | None, "Places"]:
    """The same, with where the rules stand: for commands, as it keeps all that was read."""
    loading = _Loading(actions)
    for path in paths:
        loading.look_at(path)
    loading.compile()
    mistakes = sorted(set(loading.mistakes))
    return mistakes, None if mistakes else Book(loading.rules), Places(loading.where)


@dataclass(frozen=True, slots=True)
class Places:
    """Where rules, and what they say, stand in their files."""

    where: Mapping[RuleId, tuple[Document, int]] = field(default_factory=dict)
    """The file of each rule, and which one of its rules it is."""

    def say(self, rule: RuleId, path: DocumentPath, what: str) -> Mistake | None:
        """What is to be said of a value in the file of a rule: the rule itself is at `("rules", -1)`.

        None where the place is not known.
        """
        if rule not in self.where:
            return None
        document, index = self.where[rule]
        return document.mistake((path[0], index, *path[2:]) if path[:2] == ("rules", -1) else path, what)

    def step(self, rule: RuleId, step: StepId, what: str) -> Mistake | None:
        """What is to be said of a step."""
        return self.say(rule, ("rules", -1, *path_of(step)), what)


def path_of(step: StepId) -> DocumentPath:
    """Where a step stands in its rule."""
    match step.split("."):
        case ["remediate", rung, number]:
            return ("remediate", int(rung), "do", int(number))
        case ["remediate", rung, "verify", number]:
            return ("remediate", int(rung), "verify", "checks", int(number))
        case ["verify", number]:
            return ("verify", "checks", int(number))
        case parts:
            return tuple(parts)


@dataclass(slots=True)
class _Loading:
    """One loading: what was found so far."""

    actions: Actions
    rules: list[Rule] = field(default_factory=list)
    mistakes: list[Mistake] = field(default_factory=list)
    where: dict[RuleId, tuple[Document, int]] = field(default_factory=dict)
    _overlays: Overlays = field(default_factory=Overlays)
    _files: list[Document] = field(default_factory=list)  # those of packs
    _seen: set[Path] = field(default_factory=set)
    _packs: dict[str, str] = field(default_factory=dict)  # with the place of each
    _ids: dict[str, str] = field(default_factory=dict)
    _has_unknown_packs: bool = False  # files and folders of which it is not known what they hold

    def look_at(self, path: Path) -> None:
        """A file, or every rule file in a folder and the folders in it."""
        try:
            files = sorted(_files_in(path, set())) if path.is_dir() else [path]
        except OSError as error:
            self._cannot_know(path, f"this folder cannot be read: {error.strerror}")
            return
        if not files:
            self.mistakes.append(Mistake(str(path), 0, 0, "there is no rule file (*.yaml, *.yml) in this folder"))
        for file in files:
            if file.resolve() not in self._seen:
                self._seen.add(file.resolve())
                self._read(file)

    def _read(self, file: Path) -> None:
        try:
            text = _text_of(file)
        except FileNotFoundError:
            self._cannot_know(file, "there is no such file or folder")
        except OSError as error:
            self._cannot_know(file, f"this rule file cannot be read: {error.strerror}")
        except UnicodeDecodeError as error:
            self._cannot_know(file, f"this is not text in UTF-8 (byte {error.start}); is it a rule file?")
        else:
            self._take(read_document(text, name=str(file)))

    def _cannot_know(self, path: Path, what: str) -> None:
        """A mistake that keeps the packs there from being known."""
        self.mistakes.append(Mistake(str(path), 0, 0, what))
        self._has_unknown_packs = True

    def _take(self, document: Document) -> None:
        self.mistakes += document.mistakes
        data = document.data
        if not isinstance(data, dict):
            if not document.mistakes:
                what = "a rule file is a mapping with `pack`, `vars` and `rules`"
                self.mistakes.append(document.mistake((), what))
            self._has_unknown_packs = True
            return
        expressions = tuple(_expressions_in_vars(data.get("vars")))
        what = "`vars` hold plain values; this expression would never be evaluated, write it where it is used"
        self.mistakes += (document.mistake(path, what) for path in expressions)
        if "overlay" in data and "pack" not in data:
            self.mistakes += self._overlays.take(document, expressions)
            return
        try:
            PackShape.model_validate(data)
        except ValidationError as error:
            self.mistakes += mistakes_of(error, document, PackShape)
            self._has_unknown_packs |= any(fault.path == ("pack",) for fault in faults_of(error, PackShape, data))
        pack = data.get("pack")
        if isinstance(pack, str):
            self._note_pack(pack, document)
        self._files.append(document)

    def compile(self) -> None:
        """Compile the rules of all files that were taken, fitted by the overlays."""
        for document in self._files:
            fitted, mistakes = self._overlays.fit(document)
            self.mistakes += mistakes
            variables = fitted.data.get("vars", {})
            known = variables if isinstance(variables, dict) and not fitted.is_broken(("vars",)) else None
            of_pack = Report(fitted, ())
            limits = read_limits(fitted.data.get("limits"), known, of_pack)
            self.mistakes += of_pack.mistakes
            rules = fitted.data.get("rules")
            for index, raw in enumerate(rules if isinstance(rules, list) else ()):
                self._compile(raw, index, fitted, known, limits)
        if not self._has_unknown_packs:  # else one of them may be the pack that an overlay is for
            self.mistakes += self._overlays.unused()

    def _compile(
        self, raw: Any, index: int, document: Document, variables: dict[str, Any] | None, limits: PackLimits | None
    ) -> None:
        pack, report = str(document.data.get("pack")), Report(document, ("rules", index))
        compiler = RuleCompiler(report, pack=pack, variables=variables, actions=self.actions, limits=limits)
        rule = compiler.compile(raw)
        self.mistakes += report.mistakes
        if isinstance(raw, dict) and isinstance(raw.get("name"), str):
            self._note_rule(f"{pack}/{raw['name']}", index, document)
        if rule is not None:
            self.rules.append(rule)
            self.where[rule.id] = (document, index)

    def _note_pack(self, pack: str, document: Document) -> None:
        here = _say_place(document, ("pack",))
        first = self._packs.setdefault(pack, here)
        if first != here:
            what = f"the pack `{pack}` stands in {first} already; a pack is one file, name this one differently"
            self.mistakes.append(document.mistake(("pack",), what))

    def _note_rule(self, rule_id: str, index: int, document: Document) -> None:
        here = _say_place(document, ("rules", index, "name"))
        first = self._ids.get(rule_id)
        if first is None:
            self._ids[rule_id] = here
        else:
            place = "is here, and once more by an alias (`*…`)" if first == here else f"stands in {first} already"
            what = f"the rule `{rule_id}` {place}; rules of a pack have different names"
            self.mistakes.append(document.mistake(("rules", index, "name"), what))


def _files_in(folder: Path, entered: set[tuple[int, int]]) -> Iterator[Path]:
    """Rule files, in depth, each folder once. What is hidden is left out: a Kubernetes volume keeps old versions so."""
    found = folder.stat()
    if (found.st_dev, found.st_ino) in entered:
        return  # links that lead back to a folder around them double the ways to it at each step
    entered.add((found.st_dev, found.st_ino))
    for path in folder.iterdir():
        if path.name.startswith("."):
            continue
        if path.is_dir():
            yield from _files_in(path, entered)
        elif path.suffix in (".yaml", ".yml"):
            yield path


def _text_of(file: Path) -> str:
    """What stands in a file. Raises OSError, also for a pipe or a device: it may never end, or never begin."""
    with open(os.open(file, os.O_RDONLY | os.O_NONBLOCK), "rb") as opened:  # noqa: PTH123 - Path.open would wait
        if not stat.S_ISREG(os.fstat(opened.fileno()).st_mode):
            raise OSError(errno.EINVAL, "it is no regular file")
        data = opened.read(_LARGEST + 1)
    if len(data) > _LARGEST:
        raise OSError(errno.EFBIG, f"it is larger than {_LARGEST // 2**20} MiB")
    return data.decode("utf-8-sig")


def _say_place(document: Document, path: tuple[str | int, ...]) -> str:
    line, column = document.place(path)
    return f"{document.name}:{line}:{column}"


def _expressions_in_vars(variables: Any) -> Iterator[DocumentPath]:
    """Where in `vars` an expression stands: they are plain, and it would reach an action as it stands."""

    def walk(value: Any, path: DocumentPath) -> Iterator[DocumentPath]:
        if isinstance(value, Mapping):
            for key, item in value.items():
                yield from walk(item, (*path, key))
        elif isinstance(value, list):
            for index, item in enumerate(value):
                yield from walk(item, (*path, index))
        elif isinstance(value, str) and _LOOKS_LIKE_OURS.search(value):
            yield path

    return walk(variables, ("vars",))
