"""Text gets to a stream in order, in a thread of its own."""

import io
import threading

from remediator.kit.printing import Printer


class Held(io.StringIO):
    """A stream that takes nothing more until it is let go; it notes what it was given at once."""

    def __init__(self) -> None:
        super().__init__()
        self.given: list[str] = []
        self.is_asked, self.may_go_on = threading.Event(), threading.Event()

    def write(self, text: str, /) -> int:
        self.given.append(text)
        self.is_asked.set()
        assert self.may_go_on.wait(30)
        return len(text)


def test_what_waits_is_written_together_in_order_and_each_is_told() -> None:
    """A busy process logs faster than a line at a time can be written; whoever waits for its own text hears of it."""
    stream, told, all_told = Held(), list[Exception | None](), threading.Event()
    printer = Printer(stream, name="test", room=1000)

    def written(error: Exception | None) -> None:
        told.append(error)
        if len(told) == 4:
            all_told.set()

    assert printer.offer("1\n", written)
    assert stream.is_asked.wait(30)
    assert all(printer.offer(f"{number}\n", written) for number in (2, 3, 4))
    stream.may_go_on.set()

    assert all_told.wait(30)
    assert ["1\n", "2\n3\n4\n"] == stream.given
    assert [None] * 4 == told


def test_only_so_much_is_written_at_once() -> None:
    """What is taken to be written makes room for new text only when all of it is written."""
    stream = Held()
    printer = Printer(stream, name="test", room=1_000_000)

    assert printer.offer("first\n")
    assert stream.is_asked.wait(30)
    assert all(printer.offer(letter * 40_000) for letter in "abc")
    stream.may_go_on.set()

    assert printer.flush(30)
    assert [6, 40_000, 40_000, 40_000] == [len(text) for text in stream.given]
