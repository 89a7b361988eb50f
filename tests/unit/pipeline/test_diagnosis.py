"""The diagnosis of a run: what needs other evidence waits for it, what needs none waits for nothing."""

from pathlib import Path
from typing import Any

from remediator.errors import Failed, Unavailable
from remediator.model.facts import Evidence, Examined
from tests.unit.pipeline.harness import Harness, alert, last, rule

OBSERVED: dict[str, Any] = {"mode": "observe", "remediate": []}


async def evidence_of(it: Harness) -> dict[str, Evidence]:
    await it.deliver(alert())
    assert ["told"] == await it.until_over()
    return dict(last(await it.run(), Examined).evidence)


async def test_a_step_sees_the_evidence_that_it_needs_wherever_it_stands(tmp_path: Path) -> None:
    """The order in the file is the order in which people read, not that of the carrying out."""
    diagnose = {
        "named": {"test.look": {"name": "{{ steps.next.let.name }}", "way": "was {{ steps.first.sick }}"}},
        "next": {"compute": {"let": {"name": "labels.service ~ '-' ~ steps.first.looks"}}},
        "first": {"test.look": {"name": "x"}},
    }
    async with Harness(tmp_path, rule(diagnose=diagnose, **OBSERVED)) as it:
        found = await evidence_of(it)

        assert {"first": True, "named": True, "next": True} == {name: item.ok for name, item in found.items()}
        assert {"let": {"name": "web-1"}} == found["next"].result
        assert (1, 2) == (found["first"].result["looks"], found["named"].result["looks"])


async def test_a_step_that_needs_what_has_failed_is_not_carried_out_and_says_why(tmp_path: Path) -> None:
    """It would act on nothing, or hide the reason; the others go on."""
    diagnose = {
        "a": {"test.look": {"name": "x"}},
        "b": {"test.check": {"name": "{{ steps.a.looks }}"}},
        "c": {"compute": {"let": {"x": "steps.b.looks + 1"}}},
        "alone": {"test.check": {"name": "x"}},
    }
    async with Harness(tmp_path, rule(diagnose=diagnose, **OBSERVED)) as it:
        it.world.fail_look = Failed("no such thing")
        found = await evidence_of(it)

        assert {"a": False, "b": False, "c": False, "alone": True} == {name: item.ok for name, item in found.items()}
        assert "needs `a`, which has failed: no such thing" == found["b"].brief
        assert "needs `b`, which has failed: needs `a`, which has failed: no such thing" == found["c"].brief
        assert ("test.check", "compute") == (found["b"].action, found["c"].action)


async def test_what_needs_nothing_does_not_wait(tmp_path: Path) -> None:
    """A step that is tried again and again holds up only those that need it."""
    diagnose = {
        "slow": {"test.look": {"name": "x"}},
        "after": {"test.check": {"name": "{{ steps.slow.looks }}"}},
        "alone": {"test.check": {"name": "x"}},
    }
    async with Harness(tmp_path, rule(diagnose=diagnose, **OBSERVED)) as it:
        it.world.fail_look = Unavailable("it does not answer")
        found = await evidence_of(it)

        assert found["slow"].seconds > 0
        assert 0 == found["alone"].seconds
        assert found["alone"].ok


async def test_the_rungs_see_what_was_worked_out(tmp_path: Path) -> None:
    """That is what it is worked out for."""
    diagnose = {
        "first": {"test.look": {"name": "x"}},
        "sum": {"compute": {"let": {"twice": "steps.first.looks * 2", "is_ill": "steps.first.sick"}}},
    }
    act = {"test.act": {"name": "{{ labels.service }}-{{ steps.sum.let.twice }}"}}
    rungs = [{"when": "steps.sum.let.is_ill", "do": [act]}]
    async with Harness(tmp_path, rule(diagnose=diagnose, remediate=rungs)) as it:
        it.world.on_act = it.world.heal
        await it.deliver(alert())

        assert ["healed"] == await it.until_over()
        assert ["web-2"] == it.world.effects


async def test_a_run_goes_on_with_the_compute_that_it_was_started_with(tmp_path: Path) -> None:
    """After a restart the rule is compiled from its stored document."""
    diagnose = {
        "first": {"test.look": {"name": "x"}},
        "sum": {"compute": {"let": {"twice": "steps.first.looks * 2"}}},
    }
    rungs = [
        {"name": "one", "do": [{"test.act": {"name": "one"}}]},
        {"name": "two", "when": "steps.sum.let.twice == 4", "do": [{"test.act": {"name": "two"}}]},
    ]
    async with Harness(tmp_path, rule(diagnose=diagnose, remediate=rungs)) as it:
        it.world.on_act = lambda name: it.world.heal("") if name == "two" else None
        await it.deliver(alert())
        await it.pass_time(it.clock.next_in() or it.clock.now() - it.clock.now())
        (it.folder / "rules" / "p.yaml").write_text("pack: p\nrules: [{name: x, match: [a=b]}]\n")
        await it.crash()

        assert ["healed"] == await it.until_over()
        assert ["one", "two"] == it.world.effects
