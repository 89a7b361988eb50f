"""After a start everything that was left is taken up; a doubtful alert is decided once, and never lost."""

import asyncio
import json
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path

import pytest
from aiohttp import web
from structlog.testing import capture_logs

from remediator.clients.alertmanager import AlertmanagerClient
from remediator.kit.metrics import Metrics
from remediator.model.alert import Alert, Delivery, fingerprint_of
from remediator.model.occurrence import Occurrence
from remediator.model.run import Resolved
from remediator.pipeline.completion import Completion
from remediator.pipeline.dispatch import HeapDispatcher
from remediator.pipeline.doubts import Doubts
from remediator.pipeline.recovery import resume
from remediator.pipeline.unheard import Unheard
from remediator.settings import AlertmanagerSettings
from remediator.storage.sqlite import SqliteStore
from tests.unit.pipeline.harness import SECOND, Harness, alert, rule

MINUTE = timedelta(minutes=1)


@dataclass
class Alertmanager:
    """A stand-in on the wire for the one question that is asked."""

    url: str = ""
    firing: list[Mapping[str, str]] = field(default_factory=list)
    status: int = 200
    refuse: Mapping[str, int] = field(default_factory=dict)  # the status for a question that holds this text
    groups: list[Mapping[str, object]] = field(default_factory=list)
    questions: int = 0

    async def answer(self, request: web.Request) -> web.Response:
        self.questions += 1
        alerts = [
            {"labels": labels, "fingerprint": fingerprint_of(labels), "startsAt": "2026-01-01T00:00:00Z"}
            for labels in self.firing
        ]
        return self._say(request, alerts)

    async def answer_groups(self, request: web.Request) -> web.Response:
        self.questions += 1
        return self._say(request, self.groups)

    def _say(self, request: web.Request, value: object) -> web.Response:
        asked = str(request.url.query)
        status = next((status for text, status in self.refuse.items() if text in asked), self.status)
        return web.Response(status=status, text=json.dumps(value), content_type="application/json")


@pytest.fixture
async def alertmanager() -> AsyncIterator[Alertmanager]:
    made = Alertmanager()
    app = web.Application()
    app.router.add_get("/api/v2/alerts", made.answer)
    app.router.add_get("/api/v2/alerts/groups", made.answer_groups)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    made.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    yield made
    await runner.cleanup()


@pytest.fixture
async def client(alertmanager: Alertmanager) -> AsyncIterator[AlertmanagerClient]:
    made = AlertmanagerClient(AlertmanagerSettings(url=alertmanager.url, timeout=2 * SECOND))
    yield made
    await made.close()


@pytest.fixture
async def desk(tmp_path: Path) -> AsyncIterator[Harness]:
    """A pipeline whose rule only looks, so that every run ends at once."""
    async with Harness(tmp_path, rule(mode="observe")) as harness:
        yield harness


def doubts_of(desk: Harness, client: AlertmanagerClient | None = None) -> Doubts:
    return Doubts(desk.store, desk.process.intake, client, desk.clock)


async def make_doubtful(desk: Harness, service: str = "web") -> None:
    """Firing, resolved, and firing again with a start that is not after the end."""
    await desk.deliver(alert(service))
    await desk.deliver(alert(service), resolved=True)
    await desk.deliver(alert(service))


async def pass_time(desk: Harness, doubts: Doubts, duration: timedelta) -> None:
    """Let time pass, with a look at the doubts every second."""
    for _ in range(int(duration / SECOND)):
        await desk.clock.advance(SECOND)
        await doubts.settle_due()


async def occurrence(desk: Harness, service: str = "web") -> Occurrence:
    found = await desk.store.newest_occurrence(fingerprint_of(alert(service)))
    assert found is not None
    return found


@pytest.mark.parametrize(
    ("asks", "is_firing", "sent_again", "runs"),
    [
        pytest.param(True, True, False, 2, id="alertmanager-says-firing"),
        pytest.param(True, True, True, 2, id="alertmanager-says-firing-and-it-was-sent-again"),
        pytest.param(True, False, False, 1, id="alertmanager-says-gone"),
        pytest.param(True, False, True, 1, id="alertmanager-knows-better-than-a-late-duplicate"),
        pytest.param(False, True, True, 2, id="nobody-to-ask-and-sent-again"),
        pytest.param(False, True, False, 1, id="nobody-to-ask-and-silent"),
    ],
)
async def test_a_doubt_is_decided_when_its_window_ends(
    desk: Harness,
    alertmanager: Alertmanager,
    client: AlertmanagerClient,
    asks: bool,
    is_firing: bool,
    sent_again: bool,
    runs: int,
) -> None:
    """A late duplicate must start nothing; an outage that goes on must not be taken for one."""
    doubts = doubts_of(desk, client if asks else None)
    alertmanager.firing = [alert()] if is_firing else []
    await make_doubtful(desk)
    if sent_again:
        await desk.deliver(alert())
    await pass_time(desk, doubts, 59 * SECOND)
    early, questions = len(await desk.runs()), alertmanager.questions
    await pass_time(desk, doubts, 5 * SECOND)

    assert (1, 0) == (early, questions)
    assert runs == len(await desk.runs())
    assert (await occurrence(desk)).doubt is None
    assert (1 if asks else 0) == alertmanager.questions


async def test_what_counted_as_gone_opens_again_when_it_is_sent_again(desk: Harness) -> None:
    """Nothing is dropped for good."""
    doubts = doubts_of(desk)
    await make_doubtful(desk)
    await pass_time(desk, doubts, 2 * MINUTE)
    before = len(await desk.runs())
    await desk.deliver(alert())

    assert (1, 2) == (before, len(await desk.runs()))


async def test_a_resolve_in_the_window_ends_the_doubt(
    desk: Harness, alertmanager: Alertmanager, client: AlertmanagerClient
) -> None:
    """The duplicates of a second replica come as a pair."""
    doubts = doubts_of(desk, client)
    alertmanager.firing = [alert()]
    await make_doubtful(desk)
    await desk.deliver(alert(), resolved=True)
    await pass_time(desk, doubts, 2 * MINUTE)

    assert 1 == len(await desk.runs())
    assert 0 == alertmanager.questions


async def test_a_resolve_while_alertmanager_is_asked_ends_the_doubt(desk: Harness, alertmanager: Alertmanager) -> None:
    """The answer is about a moment that has passed."""

    class Slow(AlertmanagerClient):
        async def is_firing(self, labels: Mapping[str, str]) -> bool:
            await desk.deliver(alert(), resolved=True)
            return True

    client = Slow(AlertmanagerSettings(url=alertmanager.url))
    await make_doubtful(desk)
    await pass_time(desk, doubts_of(desk, client), 2 * MINUTE)
    await client.close()

    assert 1 == len(await desk.runs())
    assert (await occurrence(desk)).doubt is None


@pytest.mark.parametrize("status", [500, 503, 404])
async def test_without_an_answer_a_doubt_waits_and_is_decided_later(
    desk: Harness, alertmanager: Alertmanager, client: AlertmanagerClient, status: int
) -> None:
    """Alertmanager may be down in just the outage that the alert tells of."""
    doubts = doubts_of(desk, client)
    alertmanager.firing, alertmanager.status = [alert()], status
    await make_doubtful(desk)
    await pass_time(desk, doubts, 5 * MINUTE)
    waits, questions = (await occurrence(desk)).doubt is not None, alertmanager.questions
    alertmanager.status = 200
    await pass_time(desk, doubts, 11 * SECOND)

    assert waits
    assert 20 <= questions <= 25  # every ten seconds, not every second
    assert 2 == len(await desk.runs())


async def test_without_an_answer_what_was_sent_again_counts_as_firing(
    desk: Harness, alertmanager: Alertmanager, client: AlertmanagerClient
) -> None:
    """Whoever is alerted again waits for no Alertmanager."""
    doubts = doubts_of(desk, client)
    alertmanager.status = 503
    await make_doubtful(desk)
    await desk.deliver(alert())
    await pass_time(desk, doubts, 61 * SECOND)

    assert 2 == len(await desk.runs())


async def test_many_doubts_that_wait_for_an_answer_keep_no_other_waiting(
    desk: Harness, alertmanager: Alertmanager, client: AlertmanagerClient
) -> None:
    """Two hundred unanswered questions, each with its time limit, would take minutes in a row."""
    doubts = doubts_of(desk, client)
    alertmanager.status = 503
    for number in range(200):
        await make_doubtful(desk, f"quiet-{number}")
    await make_doubtful(desk, "loud")
    await desk.deliver(alert("loud"))
    await pass_time(desk, doubts, 62 * SECOND)

    assert (await occurrence(desk, "loud")).doubt is None
    assert (await occurrence(desk, "quiet-0")).doubt is not None
    assert alertmanager.questions <= 2


@pytest.mark.parametrize(("status", "count"), [(400, 120), (500, 5)])  # 120 are more than are looked at in one go
async def test_doubts_that_alertmanager_cannot_answer_keep_no_other_waiting(
    desk: Harness, alertmanager: Alertmanager, client: AlertmanagerClient, status: int, count: int
) -> None:
    """Anybody can send a label that it chokes on; the others must be decided all the same."""
    doubts = doubts_of(desk, client)
    alertmanager.refuse, alertmanager.firing = {"sick": status}, [alert("well")]
    for number in range(count):
        await make_doubtful(desk, f"sick-{number}")
    await pass_time(desk, doubts, 70 * SECOND)
    await make_doubtful(desk, "well")
    await pass_time(desk, doubts, 80 * SECOND)

    assert (await occurrence(desk, "well")).doubt is None
    assert 2 == sum("well" == run.alert.labels["service"] for run in await desk.runs())


@pytest.mark.parametrize(("sent_again", "runs"), [(True, 2), (False, 1)])
async def test_a_doubt_that_cannot_be_asked_about_is_decided_by_whether_it_was_sent_again(
    desk: Harness, alertmanager: Alertmanager, client: AlertmanagerClient, sent_again: bool, runs: int
) -> None:
    """The same question will be refused for ever; one that is really firing is sent again."""
    doubts = doubts_of(desk, client)
    alertmanager.status = 400
    await make_doubtful(desk)
    if sent_again:
        await desk.deliver(alert())
    await pass_time(desk, doubts, 62 * SECOND)

    assert (runs, None) == (len(await desk.runs()), (await occurrence(desk)).doubt)


async def test_a_doubt_that_breaks_its_settling_ends_nothing(desk: Harness, alertmanager: Alertmanager) -> None:
    """A mistake of ours about one alert must not end the watch over all."""

    class Broken(AlertmanagerClient):
        async def is_firing(self, labels: Mapping[str, str]) -> bool:
            if labels["service"] == "bad":
                raise OverflowError("date value out of range")
            return True

    client = Broken(AlertmanagerSettings(url=alertmanager.url))
    await make_doubtful(desk, "bad")
    await make_doubtful(desk, "good")
    await pass_time(desk, doubts_of(desk, client), 62 * SECOND)
    await client.close()

    assert (await occurrence(desk, "good")).doubt is None
    assert (await occurrence(desk, "bad")).doubt is not None


def cut_delivery(desk: Harness, group: str) -> Delivery:
    labels = {"alertname": group}
    return Delivery((), desk.clock.now(), receiver="r", group_key=group, group_labels=labels, truncated=1)


def group_of(name: str) -> Mapping[str, object]:
    labels = {**alert(name), "group": name}
    return {"labels": {"alertname": name}, "alerts": [{"labels": labels, "startsAt": "2026-01-01T00:00:00Z"}]}


async def waiting(desk: Harness) -> list[str]:
    """The groups that are still to be fetched, now or later."""
    return [group.group_key for group in await desk.store.due_cut_groups(desk.clock.now() + timedelta(days=2), 100)]


@pytest.mark.parametrize("status", [400, 404, 500])
async def test_a_group_that_is_refused_keeps_no_other_waiting(
    desk: Harness, alertmanager: Alertmanager, client: AlertmanagerClient, status: int
) -> None:
    """The first one used to be tried for a minute before the second had its turn."""
    completion = Completion(desk.store, desk.process.intake, client, desk.clock)
    alertmanager.refuse, alertmanager.groups = {"sick": status}, [group_of("well")]
    for name in ("sick", "well"):
        await desk.process.intake.accept(cut_delivery(desk, name))
    await completion.complete_due()

    assert ["well"] == [run.alert.labels["service"] for run in await desk.runs()]
    assert ["sick"] == await waiting(desk)


async def test_a_group_whose_labels_are_too_long_to_be_asked_for_is_told_and_not_kept(desk: Harness) -> None:
    """Whoever sends makes the labels up: a thousand groups of a megabyte each would fill the disk."""
    with capture_logs() as logs:
        await desk.process.intake.accept(cut_delivery(desk, "a" * 16_000))

    assert [] == await waiting(desk)
    assert [1] == [line["missing"] for line in logs if line["event"] == "delivery_not_completed"]


async def test_a_group_is_tried_again_for_a_day_and_then_given_up(
    desk: Harness, alertmanager: Alertmanager, client: AlertmanagerClient
) -> None:
    """Alertmanager may be restarting; but nothing is asked for ever."""
    completion = Completion(desk.store, desk.process.intake, client, desk.clock)
    alertmanager.status = 503
    await desk.process.intake.accept(cut_delivery(desk, "web"))
    for _ in range(26 * 12):
        await desk.clock.advance(timedelta(minutes=5))
        await completion.complete_due()
    left, questions = await waiting(desk), alertmanager.questions
    alertmanager.status, alertmanager.groups = 200, [group_of("web")]
    await desk.process.intake.accept(cut_delivery(desk, "web"))
    await completion.complete_due()

    assert ([], 300) == (left, questions)
    assert 1 == len(await desk.runs())


async def test_a_group_that_breaks_its_completion_ends_nothing(desk: Harness, alertmanager: Alertmanager) -> None:
    """A mistake of ours about one group must not end the service."""

    class Broken(AlertmanagerClient):
        async def firing(self, receiver: str, group_labels: Mapping[str, str]) -> tuple[Alert, ...]:
            if group_labels["alertname"] == "bad":
                raise TypeError("unhashable type: 'list'")
            return await super().firing(receiver, group_labels)

    client = Broken(AlertmanagerSettings(url=alertmanager.url, timeout=2 * SECOND))
    completion = Completion(desk.store, desk.process.intake, client, desk.clock)
    alertmanager.groups = [group_of("well")]
    for name in ("bad", "well"):
        await desk.process.intake.accept(cut_delivery(desk, name))
    await completion.complete_due()
    await client.close()

    assert ["well"] == [run.alert.labels["service"] for run in await desk.runs()]
    assert ["bad"] == await waiting(desk)


async def test_what_is_to_be_fetched_outlives_the_process(
    desk: Harness, alertmanager: Alertmanager, client: AlertmanagerClient
) -> None:
    """The delivery was answered 202: its sender will not send the rest by itself."""
    alertmanager.groups = [group_of("web")]
    await desk.process.intake.accept(cut_delivery(desk, "web"))
    await desk.crash()
    await Completion(desk.store, desk.process.intake, client, desk.clock).complete_due()

    assert ["web"] == [run.alert.labels["service"] for run in await desk.runs()]
    assert [] == await waiting(desk)


async def test_a_doubt_outlives_the_process(desk: Harness) -> None:
    """It is in the store, so a restart in its window loses nothing."""
    await make_doubtful(desk)
    await desk.deliver(alert())
    await desk.crash()
    await pass_time(desk, doubts_of(desk), 61 * SECOND)

    assert 2 == len(await desk.runs())


async def test_a_store_that_is_away_does_not_end_the_watch(desk: Harness) -> None:
    """A full disk is emptied again some day."""
    closed = SqliteStore(None, clock=desk.clock, metrics=Metrics())
    watch = asyncio.create_task(Doubts(closed, desk.process.intake, None, desk.clock).work(), name="doubts")
    await desk.clock.advance(10 * SECOND)
    alive = not watch.done()
    watch.cancel()
    await asyncio.gather(watch, return_exceptions=True)

    assert alive


async def test_every_run_with_something_to_do_is_due_after_a_start(desk: Harness) -> None:
    """A run that nobody wakes is a run that is lost."""
    await desk.process.stop()
    await desk.deliver(alert("one"))
    await desk.deliver(alert("two"))
    dispatcher = HeapDispatcher(desk.clock)
    count = await resume(desk.store, dispatcher)
    found = {(await dispatcher.next()).run for _ in range(count)}
    await desk.process.start()

    assert {run.id for run in await desk.runs()} == found
    assert 2 == count


async def test_an_alert_of_which_nobody_speaks_any_more_is_closed_and_its_run_told(desk: Harness) -> None:
    """Somebody has removed the service and its alert with it; what it was would be kept for ever."""
    await desk.deliver(alert("gone"))
    await desk.deliver(alert("heard"))
    await desk.clock.advance(timedelta(days=29))
    await desk.deliver(alert("heard"))
    await desk.clock.advance(timedelta(days=2))
    unheard = Unheard(desk.store, desk.process.intake, desk.clock, give_up_after=timedelta(days=30))
    counts = [await unheard.close(), await unheard.close()]
    gone = next(run for run in await desk.runs() if run.alert.labels["service"] == "gone")

    assert [1, 0] == counts
    assert (await occurrence(desk, "gone")).closed_at is not None
    assert (await occurrence(desk, "heard")).closed_at is None
    assert [True] == [signal.missed for signal in gone.signals if isinstance(signal, Resolved)]
