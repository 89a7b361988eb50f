"""Whoever presses or says again and again what is refused is told each time, and has one entry in the audit journal."""

from tests.unit.web.slack_desk import ANA, EVE, at_the_desk, card
from tests.unit.web.test_slack_commands import PEOPLE as KNOWN
from tests.unit.web.test_slack_commands import desk as commands_desk


async def test_a_button_that_decides_nothing_fills_no_journal() -> None:
    """Each press is told, and somebody else's has an entry of its own."""
    async with at_the_desk() as desk:
        unknown = card(desk.card.channel, desk.card.ts, {"approve": "no such token"})
        for user in (ANA, ANA, ANA, EVE):
            await desk.slack.click(unknown, "approve", user=user)

        assert 4 == len(await desk.told(4))
        assert ["ana", f"slack:{EVE.id}"] == [who for _, who, _ in await desk.audited()]


async def test_a_command_of_somebody_unknown_fills_no_journal() -> None:
    """However they write it; another command is another entry."""
    async with commands_desk() as (commands, _, store):
        eve = KNOWN.of_slack(EVE.id, "eve")
        for words in ("zzz", "yyy", "pause", "zzz", "pause"):
            assert "nobody knows you here" in await commands.answer(eve, words, origin="slack C1")
        entries = await store.audit_page(after=0, limit=10)

    assert ["a command", "pause"] == [one.entry.subject for one in entries]
