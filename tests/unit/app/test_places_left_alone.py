"""A place that has failed is left alone for a while, and so is nothing else."""

import pytest

from remediator.app.chats import Chats
from remediator.chat.chat import Outgoing
from remediator.errors import RemediatorError
from remediator.model.message import Message, Tone
from remediator.settings import Settings
from remediator.testing.clock import VirtualClock
from tests import services


async def test_only_a_place_that_has_failed_rests() -> None:
    """The outbox tries nothing there meanwhile, and goes on everywhere else."""
    webhook = f"http://127.0.0.1:{services.free_port()}/hook"
    settings = Settings.model_validate({"notify": {"board": {"webhook": webhook, "secret": "0123456789abcdef"}}})
    chats = Chats(settings, VirtualClock())
    before = chats.rests("notify:board")
    with pytest.raises(RemediatorError):
        await chats.chat.post(Outgoing("notify:board", Message(Tone.GOOD, "healed"), None, "m", VirtualClock().now()))
    after = [chats.rests(channel) for channel in ("notify:board", "terminal", "webhook:gone")]
    await chats.chat.close()

    assert (0, [2, 0, 0]) == (before, after)
