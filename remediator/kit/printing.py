"""Writes text to a stream in a thread of its own, in order, so that a reader who stops reading stops nobody else.

The logs and the terminal's story write here. It never blocks its caller (`flush` apart), and never holds more than a
bounded amount of text. Where the stream is a file or a pipe it is written past Python's own buffer: a thread that is
stuck in that one would bring the process down when it ends.
"""

import io
import os
import select
import threading
from collections import deque
from collections.abc import Callable
from typing import TextIO

_LINGER = 1.0  # seconds that the thread waits for more before it ends
_AT_ONCE = 4096  # characters that are written together: a pipe that several processes share takes these at one go

Written = Callable[[Exception | None], None]


class Printer:
    """Writes to one stream."""

    def __init__(self, stream: TextIO, *, name: str, room: int) -> None:
        """`room` is how many characters may wait to be written."""
        self._stream = stream
        self._name = name
        self._room = room
        self._size = 0
        self._waiting: deque[tuple[str, Written]] = deque()
        self._thread: threading.Thread | None = None
        self._changed = threading.Condition()

    def offer(self, text: str, written: Written = lambda _error: None) -> bool:
        """Take a text to be written soon; false where too much waits already.

        `written` is called in the thread, with what went wrong, if anything did.
        """
        with self._changed:
            if self._size and self._size + len(text) > self._room:
                return False
            self._waiting.append((text, written))
            self._size += len(text)
            if self._thread is None and not self._start():
                self._waiting.pop()
                self._size -= len(text)
                return False
            self._changed.notify_all()
        return True

    def flush(self, timeout: float) -> bool:
        """Wait until all is written, for `timeout` seconds at most; whether it is."""
        with self._changed:
            return self._changed.wait_for(lambda: not self._waiting and not self._size, timeout)

    def _start(self) -> bool:
        self._thread = threading.Thread(target=self._work, name=self._name, daemon=True)
        try:
            self._thread.start()
        except RuntimeError:  # the interpreter is ending, or the machine has no thread left
            self._thread = None
        return self._thread is not None

    def _work(self) -> None:
        while taken := self._take():
            text = "".join(text for text, _ in taken)
            error: Exception | None = None
            try:
                self._write(text)
            except (OSError, ValueError) as failure:
                error = failure
            with self._changed:
                self._size -= len(text)
                self._changed.notify_all()
            for _, written in taken:
                written(error)

    def _take(self) -> list[tuple[str, Written]]:
        """The next text, and others that wait with it; none where there is none for a while: the thread ends then."""
        with self._changed:
            if not self._changed.wait_for(lambda: self._waiting, _LINGER):
                self._thread = None
                return []
            taken = [self._waiting.popleft()]
            size = len(taken[0][0])
            while self._waiting and (size := size + len(self._waiting[0][0])) <= _AT_ONCE:
                taken.append(self._waiting.popleft())
            return taken

    def _write(self, text: str) -> None:
        encoding = self._stream.encoding or "utf-8"
        data = text.encode(encoding, "replace")
        number = _number_of(self._stream)
        if number is None:
            self._stream.write(data.decode(encoding))
            self._stream.flush()
            return
        while data:
            try:
                data = data[os.write(number, data) :]
            except BlockingIOError:  # somebody who shares it has told it not to wait
                select.select([], [number], [])


def _number_of(stream: TextIO) -> int | None:
    """The stream's number for the system; None for one that is in memory. Raises ValueError where it is closed."""
    try:
        return stream.fileno()
    except io.UnsupportedOperation:
        return None
