"""What people are told of what goes on beside the stages of a run: escalation, silences, putting back. Pure.

Called by `story`, which redacts all of it.
"""

from collections.abc import Iterator
from typing import assert_never

from remediator.chat.chat import WEBHOOK
from remediator.model.duration import say_duration
from remediator.model.facts import (
    Acknowledged,
    Aside,
    Escalated,
    Finished,
    Reminded,
    Silenced,
    StepStatus,
    Unsilenced,
)
from remediator.model.message import Excerpt, Message, Tone
from remediator.model.run import Run
from remediator.model.stage import unsettled
from remediator.model.undo import Captured, Left, Undoing, Undone, undo_step, undone_by
from remediator.pipeline import card
from remediator.pipeline.pieces import clock_time, texts


def tell(run: Run, fact: Aside) -> Iterator[Message]:
    """The message that tells of such a fact, where it is worth one."""
    match fact:
        case Reminded():
            yield from card.reminder(run, fact)
        case Escalated():
            title = f"Escalated to {fact.to}"
            how = Excerpt("To take it on", f"remediator escalation ack {run.id} --reason '…'")
            yield Message(Tone.FIRING, title, (*texts(_say_whom(fact)), how))
        case Acknowledged():
            before = f"Until now it was in the hands of {fact.taken_from}." if fact.taken_from else ""
            what = "taken it over" if fact.taken_from else "taken it on"
            parts = texts(fact.reason, before, "Nobody else is told of it.")
            yield Message(Tone.WAITING, f"{fact.by} has {what}", parts)
        case Silenced() | Unsilenced():
            yield from _silencing(run, fact)
        case Undone():
            yield _undone(run, fact)
        case Captured() | Undoing() | Left():  # what is left to another run is told with all else
            pass
        case other:
            assert_never(other)


def _silencing(run: Run, fact: Silenced | Unsilenced) -> Iterator[Message]:
    """Of all alerts of a group together, and of what fails the first time alone."""
    made = [one for one in run.facts if isinstance(one, Silenced)]
    if isinstance(fact, Silenced):
        if fact == next(one for one in made if one.at == fact.at):
            until = f"At the latest it ends by itself, {clock_time(fact.until)}."
            yield Message(Tone.WORKING, "The alert is silenced meanwhile", texts(until))
    elif not any(one.count == fact.count for one in made):
        yield Message(Tone.NEUTRAL, "The alert could not be silenced: the run goes on", texts(fact.brief))
    elif fact.ended:
        if fact.count == made[-1].count:
            yield Message(Tone.NEUTRAL, "The alert is silenced no more", texts(fact.brief))
    elif fact.tries == 1:
        yield Message(Tone.BAD, "The silence is not over yet", texts(fact.brief, "It is tried again."))


def _say_whom(fact: Escalated) -> str:
    """Where it is sent on to; that it is nowhere must not go unseen. Whether it arrives is not known yet."""
    lasted = f"It has lasted {say_duration(fact.after)}. " if fact.after else ""
    if not fact.channels:
        return f"{lasted}The settings have no level {fact.to}, so nobody is told but this thread: please tell them."
    places = (f"the webhook of {fact.to}" if channel.startswith(WEBHOOK) else channel for channel in fact.channels)
    return f"{lasted}Sent to {' and '.join(places)}; whether it has arrived: remediator escalation list."


def _undone(run: Run, fact: Undone) -> Message:
    undoing = next(one for one in run.facts if isinstance(one, Undoing) and one.count == fact.count)
    done = (one.step for one in run.facts if isinstance(one, Finished) and one.status is StepStatus.DONE)
    is_back = any((of := undone_by(step)) is not None and step == undo_step(of, fact.count) for step in done)
    parts = texts(f"{why_undone(undoing)}.", fact.brief)
    if not fact.asks:
        is_left = any(isinstance(one, Left) and one.count == fact.count for one in run.facts)
        nothing = "It is left to a later run" if is_left else "There is nothing to put back"
        title = "What was changed is put back" if is_back else nothing
        return Message(Tone.NEUTRAL, title, parts)
    if (unknown := unsettled(run)) is not None:
        how = f"remediator runs settle {run.id} done\nremediator runs settle {run.id} not-done"
        what = "done" if undone_by(unknown.step) is None else "put back"
        parts = (*parts, Excerpt(f"Once you know whether it was {what}", how))
    else:
        parts = (*parts, Excerpt("Once it may be put back", f"remediator undo {run.id}"))
    return Message(Tone.BAD, "Not put back: please look", parts)


def why_undone(undoing: Undoing) -> str:
    """Who has asked for it, or why it goes by itself."""
    if not undoing.by:
        return undoing.says
    return f"{undoing.by} has asked for it" + (f": {undoing.reason}" if undoing.reason else "")
