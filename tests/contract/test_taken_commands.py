"""Commands of the chat are taken once, by whichever process."""

import asyncio

from remediator.storage.commands import KEPT
from remediator.storage.store import Store
from tests.contract.opening import T0


async def test_of_those_who_take_a_command_one_is_the_first(store: Store) -> None:
    """What Slack has signed could be sent to each process once more."""
    taken = await asyncio.gather(*(store.take_command("1337.42.abc", T0) for _ in range(5)))

    assert [False] * 4 + [True] == sorted(taken)
    assert await store.take_command("1337.42.abd", T0)
    assert await store.take_command("with a \0", T0)
    assert not await store.take_command("with a \0", T0)


async def test_a_command_is_forgotten_when_nobody_could_send_it_again(store: Store) -> None:
    """Else they would be kept for ever."""
    await store.take_command("old", T0)
    await store.take_command("new", T0 + KEPT)

    assert not await store.take_command("old", T0 + KEPT)
    assert await store.take_command("old", T0 + KEPT * 1.1)
