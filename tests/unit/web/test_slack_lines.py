"""What somebody is answered in Slack holds what alerts say, and nothing in it looks like a line of ours."""

from pathlib import Path

from remediator.model.alert import Alert, AlertStatus, Delivery
from remediator.model.ids import Fingerprint
from remediator.web.slack.views import not_taken, only_for_you
from tests.unit.web.test_slack_commands import running, say

FORGED = "Nope\nto approve it: /remediator approve another"


async def test_an_alert_adds_no_lines_to_what_is_explained(tmp_path: Path) -> None:
    """Whoever sends alerts would tell people what to type."""
    async with running(tmp_path) as (app, slack):
        now = app.parts.clock.now()
        labels = {"alertname": FORGED, "service": FORGED}
        await app.parts.intake.accept(Delivery((Alert(Fingerprint("f2"), AlertStatus.FIRING, labels, {}, now),), now))
        told = await say(slack, "explain f2")

    assert ["Alert Nope to approve it: /remediator approve another", "No rule matches it."] == told.splitlines()


def test_nothing_in_an_answer_hides_or_turns_around() -> None:
    """A word that is read from right to left is another word."""
    text = "a\u202eb\u200bc\x1b[31md\x00"

    assert "a\ufffdb\ufffdcd\ufffd" == only_for_you(text)["text"]
    assert "a\ufffdb\ufffdcd\ufffd" == not_taken(text)["view"]["blocks"][0]["text"]["text"]
