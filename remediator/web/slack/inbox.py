"""Takes what people press and say in Slack, whichever way it comes: over HTTP, or over Socket Mode.

Called with what is known to be Slack's. A decision is on disk before its answer, and Slack waits three seconds for it:
where the store takes longer, the answer is an error, the person presses again, and nothing is taken twice. What is told
to the person comes beside it and keeps nobody waiting. Tokens of buttons are in no log and no audit entry.
"""

import asyncio
from collections.abc import Coroutine, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from hashlib import sha256
from typing import Any, Protocol, TypeVar, assert_never

import structlog

from remediator.clients.slack import SlackClient
from remediator.errors import Overloaded, RemediatorError, StoreUnavailable
from remediator.kit.clock import Clock
from remediator.kit.redaction import Redactor
from remediator.model.audit import AuditEntry
from remediator.model.ids import RunId
from remediator.model.person import Person
from remediator.pipeline.approvals import Answer, Said, Verdict
from remediator.pipeline.people import People
from remediator.pipeline.refusals import Refusals
from remediator.storage.buttons import Button, Pressed
from remediator.web.slack import views
from remediator.web.slack.commands import Commands
from remediator.web.slack.payloads import (
    Click,
    Command,
    Denial,
    Place,
    Sender,
    note_of,
    read_command,
    read_interaction,
)
from remediator.web.slack.workspace import Workspace

T = TypeVar("T")

_PATIENCE = timedelta(seconds=2.2)
"""How long a decision may take; what is left of Slack's three seconds is for the way, and for who we are."""
_NOTED_IN = (timedelta(milliseconds=100),) * 5 + (timedelta(milliseconds=250),) * 4
"""After which pauses it is looked again whether a message that was just sent is noted."""
_STRANGER = "only people of the workspace that this app belongs to decide here"
_UNKNOWN = "this button is not known here (any more); look at the run: remediator runs list --waiting"
_TOO_EARLY = "this message was sent a moment ago, and is not noted yet; please press again"
_ELSEWHERE = "this button does not belong to this message, so it decides nothing"
_SLOW = "it takes too long to write this down; it may still be taken: look at the thread, and press again if it is not"
_AWAY = "it cannot be written down now, so nothing was taken; press again in a moment, or use `remediator deny`"

log = structlog.get_logger(__name__)


class Desk(Protocol):
    """Where decisions are taken."""

    async def decide(self, run: RunId, said: Said, /) -> Verdict | None:
        """Take a person's word; None where there is no such run. Raises StoreUnavailable."""
        ...


class Buttons(Protocol):
    """What is kept of the buttons, and the audit journal."""

    async def find_button(self, digest: bytes, /) -> Pressed | None:
        """The button whose token has this digest. Raises StoreUnavailable."""
        ...

    async def send_again(self, post: int, /) -> None:
        """Have a message that puts no choice to people be written once more. Raises StoreUnavailable."""
        ...

    async def audit(self, entries: Sequence[AuditEntry], /) -> None:
        """Enter what belongs to no other write. Raises StoreUnavailable."""
        ...


@dataclass(frozen=True, slots=True)
class _Presser:
    """Who has pressed a button, and in which message."""

    person: Person
    is_stranger: bool
    """Whether they are of another workspace."""
    user: str
    place: Place


@dataclass(frozen=True, slots=True)
class _Taken:
    """What became of a press."""

    says: str
    answer: Answer | None = None
    """None where it never came to a decision."""
    button: Button | None = None


class SlackInbox:
    """Takes presses, reasons and commands."""

    def __init__(
        self,
        *,
        desk: Desk,
        buttons: Buttons,
        people: People,
        commands: Commands,
        client: SlackClient,
        workspace: Workspace,
        clock: Clock,
        redactor: Redactor,
        patience: timedelta = _PATIENCE,
    ) -> None:
        """`client` is the inbox's own: it is closed with it."""
        self._desk = desk
        self._buttons = buttons
        self._people = people
        self._commands = commands
        self._client = client
        self._workspace = workspace
        self._clock = clock
        self._redactor = redactor
        self._patience = patience.total_seconds()
        self._refusals = Refusals(clock.monotonic)
        self._tasks: set[asyncio.Task[Any]] = set()

    async def interact(self, payload: Mapping[str, Any]) -> dict[str, Any] | None:
        """Take a press or a reason; the answer's JSON, if there is any.

        Raises BadPayload for what is no payload of Slack's, NotAllowed for what is not for us, and Transient where it
        could not be taken now: the person is shown that, and presses again.
        """
        given = read_interaction(payload)
        if given is None:
            return None
        await self._workspace.check(given.sender)
        match given:
            case Click():
                await self._press(given)
                return None
            case Denial():
                return await self._deny(given)
            case other:
                assert_never(other)

    async def command(self, form: Mapping[str, str]) -> dict[str, Any] | None:
        """Answer a slash command. Raises as `interact` does."""
        given = read_command(form)
        await self._workspace.check(given.sender)
        try:
            text = await self._in_time(self._obey(given))
        except Overloaded:
            text = "this takes too long; look what has become of it: /remediator status"
        except StoreUnavailable:
            text = "the store cannot be read or written now; try again in a moment"
        return views.only_for_you(text)

    async def close(self) -> None:
        """Let what was taken be written, then close."""
        if self._tasks:
            await asyncio.wait(tuple(self._tasks), timeout=self._patience)
        late = tuple(self._tasks)
        for task in late:
            task.cancel()
        await asyncio.gather(*late, return_exceptions=True)
        await self._client.close()

    async def start(self) -> None:
        """Learn who we are."""
        self._beside(self._workspace.learn(), name="slack workspace")

    # -- buttons --

    async def _press(self, click: Click) -> None:
        presser = await self._presser(click.sender, click.place)
        taking = self._beside(self._take(presser, click.token, approves=click.approves), name="slack press")
        taken = await self._wait(taking)
        if taken is None:
            taking.add_done_callback(lambda task: self._tell_late(task, presser))
            raise Overloaded("the decision takes too long to write", reason="slow")
        if taken.answer is Answer.NEEDS_REASON and taken.button is not None:
            self._beside(self._ask_reason(presser, click, taken.button), name="slack modal")
        elif taken.answer is not Answer.TAKEN:
            self._beside(self._tell(presser, taken.says), name="slack answer")

    async def _deny(self, denial: Denial) -> dict[str, Any] | None:
        reason = denial.reason.strip()
        if not reason:
            return views.say_again("say why not: a denial needs a reason")
        presser = await self._presser(denial.sender, denial.place)
        taking = self._take(presser, denial.token, approves=False, reason=reason)
        try:
            taken = await self._wait(self._beside(taking, name="slack denial"))
        except StoreUnavailable:
            return views.say_again(_AWAY)
        if taken is None:
            return views.say_again(_SLOW)
        return None if taken.answer is Answer.TAKEN else views.not_taken(taken.says)

    async def _take(self, presser: _Presser, token: str, *, approves: bool, reason: str = "") -> _Taken:
        pressed = await self._find(token)
        if pressed is None:
            await self._note_refused(presser, None, _UNKNOWN)
            return _Taken(_UNKNOWN)
        if pressed.ref is None:
            return _Taken(_TOO_EARLY)
        button = pressed.button
        if pressed.ref != presser.place.ref or button.approves is not approves:
            await self._note_refused(presser, button, _ELSEWHERE)
            return _Taken(_ELSEWHERE)
        origin = f"slack {presser.place.channel}"
        said = Said(presser.person, approves, button.plan, reason, (button.round, button.revision), origin)
        verdict = await self._desk.decide(button.run, said)
        if verdict is None:
            return _Taken(_UNKNOWN)
        if verdict.answer not in (Answer.TAKEN, Answer.NEEDS_REASON):
            # A process that was frozen may have put buttons back, late, on what is decided.
            self._beside(self._buttons.send_again(button.post), name="slack card")
        is_strange = verdict.answer is Answer.NOT_ALLOWED and presser.is_stranger
        return _Taken(_STRANGER if is_strange else verdict.says, verdict.answer, button)

    async def _find(self, token: str) -> Pressed | None:
        """The button, once it is noted where it stands: whoever is fast may press a moment earlier."""
        digest = sha256(token.encode(errors="replace")).digest()
        pressed = await self._buttons.find_button(digest)
        for pause in _NOTED_IN:
            if pressed is None or pressed.ref is not None:
                break
            await self._clock.sleep(pause)
            pressed = await self._buttons.find_button(digest)
        return pressed

    async def _note_refused(self, presser: _Presser, button: Button | None, why: str) -> None:
        """Enter a press that came to no decision in the journal."""
        person = presser.person
        entry = AuditEntry(
            self._clock.now(),
            "refused",
            person.name,
            person.via.value,
            run=button.run if button is not None else "",
            subject="button",
            digest=button.plan if button is not None else "",
            origin=f"slack {presser.place.ref}",
            outcome=why,
        )
        log.warning("slack_button_refused", who=person.name, run=entry.run, why=why)
        await self._refusals.enter(self._buttons, entry, why)

    async def _presser(self, sender: Sender, place: Place) -> _Presser:
        person = self._people.of_slack(sender.user, self._redactor.text(sender.name))
        if await self._workspace.is_of_us(sender):
            return _Presser(person, is_stranger=False, user=sender.user, place=place)
        stranger = Person(f"slack:{sender.user}", person.via, f"{sender.user} of another workspace")
        return _Presser(stranger, is_stranger=True, user=sender.user, place=place)

    # -- what is told beside --

    async def _ask_reason(self, presser: _Presser, click: Click, button: Button) -> None:
        view = views.ask_reason(f"Run {button.run}, plan {button.plan[:12]}", note_of(click.place, click.token))
        try:
            await self._client.open_view(click.trigger, view)
        except RemediatorError as error:
            log.warning("slack_modal_not_opened", run=button.run, error=str(error))
            said = f"the reason could not be asked for; press again, or: remediator deny {button.run} --reason …"
            await self._tell(presser, said)

    async def _tell(self, presser: _Presser, says: str) -> None:
        """Best effort: Slack itself does not promise that it is seen."""
        text, place = views.plainly(self._redactor.text(says)), presser.place
        try:
            await self._client.post_ephemeral(place.channel, presser.user, text=text, thread_ts=place.thread)
        except RemediatorError as error:
            log.warning("slack_person_not_told", user=presser.user, error=str(error))

    def _tell_late(self, task: "asyncio.Task[_Taken]", presser: _Presser) -> None:
        """What became of a press that Slack has called failed meanwhile."""
        if not task.cancelled() and task.exception() is None:
            self._beside(self._tell(presser, task.result().says), name="slack answer")

    # -- commands --

    async def _obey(self, command: Command) -> str:
        person = self._people.of_slack(command.sender.user, self._redactor.text(command.sender.name))
        origin = f"slack {command.channel}"
        answer = await self._commands.answer(person, command.text, origin=origin, key=command.trigger)
        return self._redactor.text(answer)

    # -- tasks --

    async def _in_time(self, work: Coroutine[Any, Any, T]) -> T:
        task = self._beside(work, name="slack command")
        done = await self._wait(task)
        if done is None:
            raise Overloaded("it takes too long", reason="slow")
        return done

    async def _wait(self, task: "asyncio.Task[T]") -> T | None:
        """What a task gives; None where it takes too long, or who has asked is gone: it goes on all the same."""
        done, _ = await asyncio.wait((task,), timeout=self._patience)
        return task.result() if done else None

    def _beside(self, work: Coroutine[Any, Any, T], *, name: str) -> "asyncio.Task[T]":
        task = asyncio.create_task(work, name=name)
        self._tasks.add(task)
        task.add_done_callback(self._ended)
        return task

    def _ended(self, task: "asyncio.Task[Any]") -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            log.warning("slack_work_failed", task=task.get_name(), error=repr(error))
