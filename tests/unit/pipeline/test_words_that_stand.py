"""What people have said holds, whatever else changes before it is read; and in time is in time."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import yaml

from remediator.model.facts import Asked
from remediator.model.outcome import Reason
from remediator.pipeline.approvals import Answer, Said, Verdict
from remediator.pipeline.escalation.levels import Level
from remediator.pipeline.guards import Allow, Ask, Case, Review
from tests.unit.pipeline.gates import ana, asking, deliver_posts, gated, of_kind, planned, say
from tests.unit.pipeline.harness import MINUTE, SECOND, Harness, alert

BY_ITSELF: dict[str, Any] = {"on_timeout": "auto", "timeout": "5m"}


def other_rule(it: Harness) -> None:
    changed = gated(**BY_ITSELF) | {"summary": "another"}
    (it.folder / "rules" / "p.yaml").write_text(yaml.safe_dump({"pack": "p", "vars": {}, "rules": [changed]}))


def other_approvers(it: Harness) -> None:
    approval = it.settings.approval.model_copy(update={"approvers": ("dba",)})
    it.settings = it.settings.model_copy(update={"approval": approval})


@pytest.mark.parametrize("change", [other_rule, other_approvers], ids=["another rule", "other approvers"])
async def test_a_denial_stands_whatever_has_changed_since(tmp_path: Path, change: Any) -> None:
    """What was denied would be asked for once more, and go by itself as soon as nobody denies it once more."""
    async with asking(tmp_path, gated(**BY_ITSELF)) as it:
        await it.deliver(alert())
        await it.pass_time(SECOND)
        await it.process.kill()
        denied = await say(it, ana(it), approved=False, reason="not during the sale")
        change(it)
        await it.crash()
        await it.settle()
        await deliver_posts(it)

        assert Answer.TAKEN is denied.answer
        assert ["denied"] == await it.until_over()
        assert [] == it.world.effects


@dataclass
class Meanwhile:
    """A probe that looks for so long that a person says something meanwhile, and finds something new."""

    found: Review = field(default_factory=Allow)
    says: Callable[[], Awaitable[object]] | None = None

    async def look(self, _case: Case) -> Review:
        if self.says is not None:
            says, self.says = self.says, None
            await says()
        return self.found


async def test_a_denial_stands_also_where_people_were_being_asked_anew(tmp_path: Path) -> None:
    """It was taken, and whoever gave it was told so; nobody looks at the thread once more to say it again."""
    probe = Meanwhile()
    async with asking(tmp_path, gated(timeout="10m"), probes=[probe]) as it:
        await it.deliver(alert())
        await it.pass_time(SECOND)
        digest, run = (await planned(it)).plan.digest, await it.run()

        async def deny() -> None:
            verdicts.append(await it.process.approvals.decide(run.id, Said(ana(it), False, digest, "not now")))

        verdicts: list[Verdict | None] = []
        probe.found, probe.says = Ask(Reason.CANNOT_TELL, "the registry is away"), deny

        assert ["denied"] == await it.until_over()
        assert [Answer.TAKEN] == [verdict.answer for verdict in verdicts if verdict is not None]
        assert 2 == len(await of_kind(it, Asked))


@pytest.mark.parametrize(("approved", "outcome"), [(True, "healed"), (False, "denied")])
async def test_a_word_in_the_last_moment_counts(tmp_path: Path, approved: bool, outcome: str) -> None:
    """Another replica takes it while the run's owner, whose clock is ahead of that one's, looks what to do now."""
    probe = Meanwhile()
    async with asking(tmp_path, gated(timeout="5m"), probes=[probe]) as it:
        await it.deliver(alert())
        await it.pass_time(5 * MINUTE - SECOND)
        digest, run = (await planned(it)).plan.digest, await it.run()

        async def decide() -> None:
            verdicts.append(await it.process.approvals.decide(run.id, Said(ana(it), approved, digest, "in time")))

        verdicts: list[Verdict | None] = []
        probe.says = decide

        assert [outcome] == await it.until_over()
        assert [Answer.TAKEN] == [verdict.answer for verdict in verdicts if verdict is not None]


async def test_who_comes_second_is_told_who_was_first_also_where_there_was_more_time(tmp_path: Path) -> None:
    """Else they look for what has gone wrong with their click."""
    levels = {"on-call": Level(("#on-call",))}
    cure = gated(timeout="2m", on_timeout="escalate") | {"escalate": [{"after": "30m", "to": "on-call"}]}
    async with asking(tmp_path, cure, levels=levels) as it:
        await it.deliver(alert())
        await it.pass_time(3 * MINUTE)
        shown = await planned(it)
        first = await say(it, ana(it), of=shown)
        second = await say(it, it.process.people.of_token("ben"), of=shown)

        assert [Answer.TAKEN, Answer.DECIDED] == [first.answer, second.answer]
        assert second.says.startswith("ana has approved it already")
