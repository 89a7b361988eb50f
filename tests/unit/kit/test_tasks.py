"""What must be written is written, also while we are being stopped."""

import asyncio

import pytest

from remediator.kit.tasks import Background, finish_even_if_cancelled


async def test_shielded_work_ends_before_its_caller_does() -> None:
    """The end of a step is recorded although the service is stopping."""
    go, done = asyncio.Event(), []

    async def work() -> str:
        await go.wait()
        done.append(True)
        return "x"

    caller = asyncio.create_task(finish_even_if_cancelled(work(), name="w"))
    await asyncio.sleep(0)
    for _ in range(3):
        caller.cancel()
        await asyncio.sleep(0)
    assert not caller.done()
    go.set()

    with pytest.raises(asyncio.CancelledError):
        await caller
    assert [True] == done


async def test_shielded_work_gives_its_result_and_its_error() -> None:
    """Shielding changes nothing where nobody cancels."""

    async def good() -> str:
        return "x"

    async def bad() -> str:
        raise ValueError("no")

    assert "x" == await finish_even_if_cancelled(good(), name="w")
    with pytest.raises(ValueError, match="no"):
        await finish_even_if_cancelled(bad(), name="w")


async def test_a_background_task_that_ends_unasked_is_reported() -> None:
    """A dead outbox must not look like a quiet one."""
    deaths: list[tuple[str, str]] = []
    background = Background(lambda name, error: deaths.append((name, repr(error))))

    async def dies() -> None:
        raise ValueError("no")

    async def lives() -> None:
        await asyncio.Event().wait()

    background.start(dies(), name="dies")
    background.start(lives(), name="lives")
    for _ in range(5):
        await asyncio.sleep(0)
    await background.stop()

    assert [("dies", "ValueError('no')")] == deaths
