"""The checker of the crash tests, of what people decided and of the audit journal: it finds every lie about them."""

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.crash.checker import judge
from tests.crash.test_checker import T0, Record, Story, asked, at, decision, done, entry, seal


def test_people_who_are_asked_anew_may_say_the_same_again(tmp_path: Path) -> None:
    """What was asked for was void: the same word is taken twice, and each counts for its own question."""
    story = Story()
    run = story.run("c")
    run["timeline"] = [*asked(20), *asked(20.4), *done(21)]
    run["signals"] += [decision(20.5, "ann"), decision(20.6, "ben")]
    story.repeated.append({"run": "run-c", "who": "ben", "status": 202, "says": "approved"})

    assert [] == judge(story.write(tmp_path)).problems


def test_a_head_that_stands_there_still_passes(tmp_path: Path) -> None:
    """Also one of long ago, and that of an empty journal."""
    story = Story()
    there = story.journal()
    story.heads += [{"place": 0, "seal": ""}, *({"place": n, "seal": there[n - 1]["seal"]} for n in (3, len(there)))]

    assert [] == judge(story.write(tmp_path)).problems


# -- what people decided --


def lose_decision(story: Story) -> None:
    story.run("c")["signals"].pop()


def lose_denial(story: Story) -> None:
    story.run("e")["signals"].clear()


def turn_decision(story: Story) -> None:
    story.run("e")["signals"][0]["approved"] = True


def decide_twice(story: Story) -> None:
    story.run("c")["signals"].append(decision(20.3, "ann"))


def approve_alone(story: Story) -> None:
    story.run("c")["signals"][1] = decision(20.2, "ann")


def approve_late(story: Story) -> None:
    story.run("c")["signals"][1]["at"] = at(25)


def approve_when_it_is_over(story: Story) -> None:
    story.run("c")["timeline"][1]["until"] = at(20.15)


def approve_another_plan(story: Story) -> None:
    story.run("c")["signals"][0]["digest"] = "x"


def approve_what_was_asked_before(story: Story) -> None:
    run = story.run("c")
    run["timeline"][:] = [*asked(20), *asked(20.3), *done(21)]


def approve_unasked(story: Story) -> None:
    del story.run("c")["timeline"][1]


def let_a_stranger_approve(story: Story) -> None:
    story.run("c")["signals"].append(decision(20.3, "eve"))


def start_early(story: Story) -> None:
    """Nothing is done at the target, but it was begun."""
    story.run("c")["timeline"][2]["at"] = at(19.5)


def act_although_denied(story: Story) -> None:
    story.effects.append({"alert": "e", "step": 1, "at": T0 + 32})


def begin_although_denied(story: Story) -> None:
    story.run("e")["timeline"] += done(32)


def heal_although_denied(story: Story) -> None:
    story.run("e")["outcome"] = "healed"


def deny_by_itself(story: Story) -> None:
    story.run("a")["outcome"] = "denied"
    story.run("c")["outcome"] = "denied"


def take_a_repeat(story: Story) -> None:
    story.repeated.append({"run": "run-c", "who": "ben", "status": 202, "says": "approved"})


def know_nothing_of_a_repeat(story: Story) -> None:
    story.repeated[0]["says"] = "no plan of this run waits for a decision"


def refuse_who_may(story: Story) -> None:
    story.refused.append({"run": "run-c", "who": "ben", "status": 401, "says": "the API needs a token"})


# -- the audit journal --


def entry_of(entries: list[Record], what: str, run: str) -> Record:
    return next(one for one in entries if (one["what"], one["run"]) == (what, run))


def forget(what: str, run: str) -> Callable[[Story], None]:
    def doctor(story: Story) -> None:
        story.forge = lambda entries: entries.remove(entry_of(entries, what, run))

    return doctor


def invent(what: str, run: str, **more: str) -> Callable[[Story], None]:
    def doctor(story: Story) -> None:
        story.forge = lambda entries: entries.append(entry(what, at(40), run=run, **more))

    return doctor


def say_somebody_else(story: Story) -> None:
    story.forge = lambda entries: entry_of(entries, "approved", "run-c").update(who="ben")


def keep_refusal_quiet(story: Story) -> None:
    story.refusals.clear()


def change_entry(story: Story) -> None:
    story.tamper = lambda entries: entries[1].update(detail="other")


def take_out_entry(story: Story) -> None:
    """One that no fact wants: only its place is missing."""
    story.forge = lambda entries: entries.insert(2, entry("paused", at(1), run=""))
    story.tamper = lambda entries: entries.pop(2)


def give_a_place_twice(story: Story) -> None:
    story.tamper = lambda entries: entries.append(dict(entries[-1]))


def leave_unsealed(story: Story) -> None:
    story.tamper = lambda entries: entries[-1].update(place=None, seal=None, key=None)


def seal_with_another_key(story: Story) -> None:
    story.tamper = lambda entries: entries[0].update(key="0123")


def rewrite_journal(story: Story) -> None:
    """With the key, and all of it: only what its head was once tells."""
    story.heads.append({"place": 2, "seal": story.journal()[1]["seal"]})

    def anew(entries: list[Record]) -> None:
        entries[1]["detail"] = "other"
        seal(entries)

    story.tamper = anew


def cut_off_end(story: Story) -> None:
    """The same, of the newest entries, of which no fact tells."""
    story.forge = lambda entries: entries.append(entry("paused", at(50), run=""))
    there = story.journal()
    story.heads.append({"place": len(there), "seal": there[-1]["seal"]})
    story.tamper = lambda entries: entries.pop()


@pytest.mark.parametrize(
    ("doctor", "said"),
    [
        pytest.param(lose_decision, "the approval of run run-c by ben was acknowledged and is gone", id="lost"),
        pytest.param(lose_denial, "the denial of run run-e by admin was acknowledged and is gone", id="denial lost"),
        pytest.param(turn_decision, "the denial of run run-e by admin was acknowledged and is gone", id="turned"),
        pytest.param(decide_twice, "run run-c was decided on 2 times by ann", id="twice"),
        pytest.param(approve_alone, "run run-c acted before it was approved by ben", id="alone"),
        pytest.param(approve_late, "run run-c acted before it was approved by ben", id="late"),
        pytest.param(approve_when_it_is_over, "run run-c was decided on by ben when the time was over", id="over"),
        pytest.param(approve_when_it_is_over, "run run-c acted before it was approved by ben", id="acted on late"),
        pytest.param(approve_another_plan, "run run-c was decided on by ann for another plan", id="another plan"),
        pytest.param(approve_another_plan, "run run-c acted before it was approved by ann", id="acted on another"),
        pytest.param(approve_what_was_asked_before, "run run-c acted before it was approved by ann and ben", id="void"),
        pytest.param(approve_unasked, "run run-c was decided on by ann before anybody was asked", id="unasked"),
        pytest.param(let_a_stranger_approve, "run run-c was decided on by eve, who may not", id="stranger"),
        pytest.param(start_early, "run run-c acted before it was approved by ann and ben", id="started early"),
        pytest.param(act_although_denied, "run run-e was denied, and acted", id="denied and acted"),
        pytest.param(begin_although_denied, "run run-e was denied, and began to act", id="denied and begun"),
        pytest.param(heal_although_denied, "run run-e was denied, and ended as healed", id="denied and healed"),
        pytest.param(deny_by_itself, "run run-c ended as denied, and nobody has denied it", id="denied by nobody"),
        pytest.param(take_a_repeat, "ben has said again what was taken of run run-c, and was answered 202", id="again"),
        pytest.param(
            know_nothing_of_a_repeat,
            "ann has said again what was taken of run run-c, and was answered 409 no plan",
            id="forgotten",
        ),
        pytest.param(refuse_who_may, "ben may decide on run run-c and was refused: 401", id="refused"),
        pytest.param(
            forget("started", "run-a"),
            "run run-a: started remediate.0.0 is once without its entry in the audit journal",
            id="start not entered",
        ),
        pytest.param(
            forget("finished", "run-a"),
            "run run-a: finished remediate.0.0 is once without its entry in the audit journal",
            id="end not entered",
        ),
        pytest.param(
            forget("denied", "run-e"),
            "run run-e: denied admin is once without its entry in the audit journal",
            id="decision not entered",
        ),
        pytest.param(
            invent("started", "run-a", subject="remediate.0.0: http.post"),
            "run run-a: started remediate.0.0 is once in the audit journal, and nowhere else",
            id="start invented",
        ),
        pytest.param(
            invent("approved", "run-e", who="ann"),
            "run run-e: approved ann is once in the audit journal, and nowhere else",
            id="decision invented",
        ),
        pytest.param(
            invent("started", "run-z"), "the audit journal tells of run run-z, which is not there", id="run invented"
        ),
        pytest.param(
            say_somebody_else,
            "run run-c: approved ann is once without its entry in the audit journal",
            id="somebody else",
        ),
        pytest.param(
            keep_refusal_quiet,
            "run run-c: ann was refused once, and the audit journal has nothing of that",
            id="refusal",
        ),
        pytest.param(change_entry, "the audit journal is not as it was sealed: place 2 (finished", id="changed"),
        pytest.param(take_out_entry, "the audit journal is not as it was sealed: place 3 is missing", id="taken out"),
        pytest.param(give_a_place_twice, "the audit journal is not as it was sealed: place 15", id="two of a place"),
        pytest.param(leave_unsealed, "of the audit journal 1 were never sealed", id="unsealed"),
        pytest.param(seal_with_another_key, "the audit journal is not as it was sealed: place 1", id="another key"),
        pytest.param(rewrite_journal, "the audit journal ended with another entry at place 2 once", id="rewritten"),
        pytest.param(cut_off_end, "the audit journal ended with another entry at place 16 once", id="cut off"),
    ],
)
def test_what_breaks_a_promise_about_people_or_the_journal_fails(
    tmp_path: Path, doctor: Callable[[Story], None], said: str
) -> None:
    """A checker that lets this pass would let the product do it."""
    story = Story()
    doctor(story)
    problems = judge(story.write(tmp_path)).problems

    assert any(problem.startswith(said) for problem in problems), problems
