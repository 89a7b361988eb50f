"""Takes an engine's log stream apart into lines, in bounded memory, however long a line or a frame is.

Used by the docker client, in a thread. It decodes nothing and asks nobody.
"""

from collections.abc import Iterable, Iterator

_HEADER = 8  # bytes before each frame: which stream, three zeros, and the length
_ONE_STREAM = 0
LONGEST_LINE = 64 * 1024
"""Bytes of a line that are kept; the rest of a longer one is left out."""


class _Line:
    """The line that one stream has begun."""

    def __init__(self) -> None:
        self._begun = bytearray()
        self._is_begun = False

    def feed(self, data: bytes) -> Iterator[bytes]:
        """The lines that end in `data`."""
        *ended, rest = data.split(b"\n")
        for part in ended:
            self._add(part)
            yield self.take()
        if rest:
            self._add(rest)
            self._is_begun = True

    def _add(self, part: bytes) -> None:
        self._begun += part[: LONGEST_LINE - len(self._begun)]

    def take(self) -> bytes:
        line = bytes(self._begun).removesuffix(b"\r")
        self._begun.clear()
        self._is_begun = False
        return line

    def last(self) -> Iterator[bytes]:
        """The line that no line end came after."""
        if self._is_begun:
            yield self.take()


def lines_of(chunks: Iterable[bytes], *, is_tty: bool) -> Iterator[list[bytes]]:
    """The lines of a stream, in batches as they come; a container with a terminal sends them without frames."""
    begun: dict[int, _Line] = {}
    pieces = (((_ONE_STREAM, chunk),) for chunk in chunks) if is_tty else _frames(chunks)
    for piece in pieces:
        batch = [line for stream, data in piece for line in begun.setdefault(stream, _Line()).feed(data)]
        if batch:
            yield batch
    rest = [line for unfinished in begun.values() for line in unfinished.last()]
    if rest:
        yield rest


def _frames(chunks: Iterable[bytes]) -> Iterator[list[tuple[int, bytes]]]:
    """For each chunk, the parts of frames in it with the number of their stream."""
    header, stream, missing = b"", _ONE_STREAM, 0
    for chunk in chunks:
        parts, at = [], 0
        while at < len(chunk):
            if missing:
                parts.append((stream, chunk[at : at + missing]))
                taken = len(parts[-1][1])
                missing -= taken
            else:
                taken = min(_HEADER - len(header), len(chunk) - at)
                header += chunk[at : at + taken]
                if len(header) == _HEADER:
                    stream, missing, header = header[0], int.from_bytes(header[4:], "big"), b""
            at += taken
        yield parts
