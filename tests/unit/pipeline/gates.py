"""What tests of gates say and ask: rules with gates, people, and their words."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import yaml

from remediator.model.audit import AuditEntry
from remediator.model.facts import Fact, Planned
from remediator.model.person import Person
from remediator.model.stage import Drafted, stage_of
from remediator.model.stop import Stop, StopKind
from remediator.pipeline.approvals import Said, Verdict
from remediator.rules.loading import load_book
from tests.unit.pipeline.guarded import ACT
from tests.unit.pipeline.harness import Harness, rule
from tests.unit.pipeline.world import actions_of

PEOPLE: dict[str, Any] = {
    "people": {"ana": {"slack": "UANA"}, "ben": {}, "eve": {}},
    "approval": {"groups": {"dba": ["ana", "ben"]}},
}


def gated(step: dict[str, Any] = ACT, **gate: Any) -> dict[str, Any]:
    return rule(remediate=[{"name": "cure", "do": [step], "gate": gate or True}])


def asking(folder: Path, *rules: dict[str, Any], **more: Any) -> Harness:
    settings = more.pop("settings", PEOPLE)
    it = Harness(folder, *(rules or (gated(),)), settings=settings, **more)
    it.world.on_act = it.world.heal
    return it


def ana(it: Harness) -> Person:
    return it.process.people.of_token("ana")


async def planned(it: Harness) -> Planned:
    stage = stage_of(await it.run())
    assert isinstance(stage, Drafted)
    return stage.planned


async def say(
    it: Harness, person: Person, *, approved: bool = True, reason: str = "", of: Planned | None = None
) -> Verdict:
    """A person's word on a plan; on the one that waits now where none is named."""
    shown = of or await planned(it)
    place = shown.renews or (shown.round, shown.revision)
    said = Said(person, approved, shown.plan.digest, reason, place)
    verdict = await it.process.approvals.decide((await it.run()).id, said)
    assert verdict is not None
    await it.settle()
    return verdict


async def of_kind(it: Harness, kind: type[Fact]) -> Sequence[Any]:
    return [fact for fact in (await it.run()).facts if isinstance(fact, kind)]


async def pause(it: Harness) -> None:
    await it.process.stops.put([Stop(StopKind.PAUSE, "everything", "look", "ben", it.clock.now())])


async def resume(it: Harness) -> None:
    await it.process.stops.lift(StopKind.PAUSE, "everything", "ben")


async def change_rule(it: Harness, changed: dict[str, Any]) -> None:
    (it.folder / "rules" / "p.yaml").write_text(yaml.safe_dump({"pack": "p", "vars": {}, "rules": [changed]}))
    await it.process.rulebook.replace(load_book([it.folder / "rules"], actions_of(it.world)))


async def deliver_posts(it: Harness) -> None:
    """As if chat had taken all that waits for it."""
    for post in await it.store.waiting_posts(1000):
        await it.store.note_sent(post.seq, post.version, f"ref-{post.seq}")


async def audited(it: Harness) -> list[AuditEntry]:
    return [sealed.entry for sealed in await it.store.audit_page(after=0, limit=100)]
