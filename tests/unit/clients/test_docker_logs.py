"""An engine's log stream is taken apart right, wherever its chunks happen to end."""

from collections.abc import Iterator

import pytest

from remediator.clients.docker_logs import LONGEST_LINE, lines_of

OUT, ERR = 1, 2


def a_frame(stream: int, data: bytes) -> bytes:
    return bytes([stream, 0, 0, 0]) + len(data).to_bytes(4, "big") + data


def in_pieces(data: bytes, size: int) -> Iterator[bytes]:
    return (data[at : at + size] for at in range(0, len(data), size))


def lines(data: bytes, size: int, *, is_tty: bool = False) -> list[bytes]:
    return [line for batch in lines_of(in_pieces(data, size), is_tty=is_tty) for line in batch]


MIXED = (
    a_frame(OUT, b"one\ntwo beg") + a_frame(ERR, b"wrong\n\n") + a_frame(OUT, b"") + a_frame(OUT, b"un\r\n") + b""
) + a_frame(ERR, b"no end")


@pytest.mark.parametrize("size", [1, 2, 3, 7, 8, 9, 64, 1000])
def test_lines_of_two_streams_are_put_together(size: int) -> None:
    """A line may lie in several frames with another stream's in between; the last may lack its end."""
    assert [b"one", b"wrong", b"", b"two begun", b"no end"] == lines(MIXED, size)


@pytest.mark.parametrize("size", [1, 5, 1000])
def test_a_terminal_has_no_frames(size: int) -> None:
    """And its lines end in two characters."""
    assert [b"one", b"", b"two"] == lines(b"one\r\n\r\ntwo", size, is_tty=True)


def test_no_output_is_no_line() -> None:
    """Nor is an end of line with nothing after it."""
    assert [] == lines(b"", 10)
    assert [b""] == lines(a_frame(OUT, b"\n"), 10)


def test_a_line_without_end_takes_no_more_than_its_share_of_memory() -> None:
    """A container may write gigabytes without an end of line."""
    endless = a_frame(OUT, b"x" * (4 * LONGEST_LINE)) + a_frame(OUT, b"y\nnext\n")

    assert [b"x" * LONGEST_LINE, b"next"] == lines(endless, 64 * 1024)


@pytest.mark.parametrize("cut", range(1, len(MIXED)))
def test_a_stream_that_breaks_off_gives_what_had_come(cut: int) -> None:
    """What is missing at the end takes nothing away from the start."""
    whole, broken = lines(MIXED, 1000), lines(MIXED[:cut], 3)

    assert all(any(line.startswith(part) for line in whole) for part in broken)
