"""Notices that rule files have changed. The composition root starts it; it never reads what stands in them.

The system's notices make it fast, and a look at the files every few seconds makes it sure: no notice comes from a
network file system, from a folder that was replaced by another one, or where the system has no more watches to give.
"""

import asyncio
import os
from collections.abc import AsyncGenerator, Callable, Iterable, Sequence
from contextlib import aclosing, suppress
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path

import structlog

from remediator.kit.clock import Clock

log = structlog.get_logger(__name__)

_LOOK_EVERY = timedelta(seconds=5)
_QUIET_MS = 200  # without a further notice: editors and deployments write in bursts
_LONGEST_BURST_MS = 2_000
_SUFFIXES = (".yaml", ".yml")


@dataclass(frozen=True, slots=True)
class Look:
    """How rule files looked at one moment: two that are the same mean that nothing has changed."""

    files: frozenset[tuple[object, ...]]
    """Every file, or what stood in its place, with all that a change of it changes."""
    folders: frozenset[tuple[str, int, int]]
    """The folders that would have to be watched; one that was replaced is another one."""


def look_at(paths: Iterable[Path]) -> Look:
    """How the rule files at `paths` look now."""
    looking = _Looking()
    for path in paths:
        whole = Path(os.path.abspath(path))  # noqa: PTH100 - links stay what they are, unlike with Path.resolve
        looking.note_folder(whole.parent)  # where one learns that the path itself was replaced
        looking.look(whole)
    return Look(frozenset(looking.files), frozenset(looking.folders))


@dataclass(slots=True)
class _Looking:
    """One look: what was found so far."""

    files: set[tuple[object, ...]] = field(default_factory=set)
    folders: set[tuple[str, int, int]] = field(default_factory=set)
    _entered: set[tuple[int, int]] = field(default_factory=set)

    def look(self, path: Path) -> None:
        """A file, or what is in a folder and the folders in it, as the loading of rules finds it."""
        try:
            if path.is_dir():
                self._enter(path)
            else:
                self._note_file(path)
        except OSError as error:
            self.files.add((str(path), error.errno))

    def _enter(self, folder: Path) -> None:
        found = folder.stat()
        if (found.st_dev, found.st_ino) in self._entered:
            return  # a link leads back to a folder around it
        self._entered.add((found.st_dev, found.st_ino))
        self.note_folder(folder)
        for entry in sorted(folder.iterdir()):
            if not entry.name.startswith(".") and (entry.suffix in _SUFFIXES or entry.is_dir()):
                self.look(entry)

    def note_folder(self, folder: Path) -> None:
        """One to be watched, if it is there."""
        with suppress(OSError):
            found = folder.stat()
            self.folders.add((str(folder), found.st_dev, found.st_ino))

    def _note_file(self, path: Path) -> None:
        found = path.stat()
        times = found.st_mtime_ns, found.st_ctime_ns
        self.files.add((str(path), found.st_dev, found.st_ino, found.st_size, *times))
        if path.is_symlink():
            self.note_folder(path.resolve().parent)


class RuleFiles:
    """The files at some paths, and how they looked last."""

    def __init__(
        self, paths: Sequence[Path], clock: Clock, *, seen: Look | None = None, look_every: timedelta = _LOOK_EVERY
    ) -> None:
        """`seen`: how they looked when they were read; now, if not given."""
        self._paths = tuple(paths)
        self._own = [os.path.abspath(path) for path in paths]  # noqa: PTH100 - as in look_at
        self._clock = clock
        self._seen = seen or look_at(self._paths)
        self._seen_at = clock.monotonic()
        self._look_every = look_every
        self._trouble = ""

    async def watch(self, changed: Callable[[], None]) -> None:
        """Call `changed` whenever they have changed, until cancelled."""
        while True:
            try:
                await self.look(changed)
                await self._follow(changed)
            except Exception as error:
                # Of many kinds, and none may end the service: looking at the files needs no notices.
                self._note_trouble(str(error) or type(error).__name__)
                await self._clock.sleep(self._look_every)

    async def _follow(self, changed: Callable[[], None]) -> None:
        """Listen to the system's notices until other folders are to be watched than these."""
        folders = self._seen.folders
        if not folders:
            raise FileNotFoundError("none of the folders of the rule files is there")
        async with aclosing(_notices([path for path, _, _ in folders], self._look_every)) as notices:
            async for touched in notices:
                concerned = [path for path in touched if self._concerns(path)]
                if concerned or self._clock.monotonic() - self._seen_at >= self._look_every.total_seconds():
                    # Two writes within one tick of the file system's clock look the same, so a notice counts as well.
                    await self.look(changed, is_sure=any(path.endswith(_SUFFIXES) for path in concerned))
                if self._seen.folders != folders:
                    return
                self._note_trouble("")

    def _concerns(self, touched: str) -> bool:
        """Whether it may be about rules: a log may be written beside them many times in a second."""
        name = touched.rpartition(os.sep)[2]
        if name.endswith(_SUFFIXES) or name.startswith(".."):  # a Kubernetes volume is replaced by its `..data`
            return True
        return any(touched == own or touched.startswith(f"{own}{os.sep}") for own in self._own)

    async def look(self, changed: Callable[[], None], *, is_sure: bool = False) -> None:
        """Call `changed` if they have changed since the last look, or if that `is_sure` without one."""
        now = await asyncio.to_thread(look_at, self._paths)  # a disk may take its time
        if is_sure or now.files != self._seen.files:
            changed()
        self._seen, self._seen_at = now, self._clock.monotonic()

    def _note_trouble(self, trouble: str) -> None:
        if trouble and trouble != self._trouble:
            instead = f"the files are looked at every {self._look_every.total_seconds():g} s"
            log.warning("rules_not_watched", reason=trouble, instead=instead)
        self._trouble = trouble


async def _notices(folders: Sequence[str], at_least_every: timedelta) -> AsyncGenerator[list[str], None]:
    """What was touched in `folders`, burst by burst; nothing where nothing was for a while."""
    from watchfiles import awatch

    changes = awatch(
        *folders,
        watch_filter=None,
        debounce=_LONGEST_BURST_MS,
        step=_QUIET_MS,
        rust_timeout=int(at_least_every.total_seconds() * 1000),
        yield_on_timeout=True,
        recursive=False,
        ignore_permission_denied=True,
    )
    async with aclosing(changes):
        async for burst in changes:
            yield [path for _, path in burst]
