"""A table that fits is shown whole: who has decided, when and why is often its only line."""

import pytest

from remediator.chat.slack import blocks_of
from remediator.model.message import Fields, Message, Tone
from remediator.testing import block_kit

WHO = "ana at 2026-11-23 01:49:14 UTC: not at night, the others are asleep"


@pytest.mark.parametrize(
    "pairs",
    [
        (("Denied", WHO),),
        (("Denied", WHO), ("Until", "12:00")),
        (("Approved by", "ana"), ("A name of some length for a pair", WHO * 3)),
    ],
    ids=["one line", "two lines", "long"],
)
def test_a_short_table_is_shown_whole(pairs: tuple[tuple[str, str], ...]) -> None:
    """Nothing else wants the room."""
    shown = "".join(block_kit.texts(blocks_of(Message(Tone.BAD, "Denied by ana", (Fields(pairs),)))))

    assert [] == [text for pair in pairs for text in pair if text not in shown]
