"""An alert that always fires tells that alerts still come: it starts nothing, and its silence is told, once."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from datetime import timedelta
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from remediator.errors import StoreUnavailable
from remediator.kit.metrics import Metrics
from remediator.kit.redaction import Redactor
from remediator.model.alert import Alert, AlertStatus, Delivery, fingerprint_of
from remediator.model.ids import OwnerId
from remediator.model.message import Message, Tone
from remediator.pipeline.dispatch import HeapDispatcher
from remediator.pipeline.heartbeat import Heartbeat, Pulse, notice_key, tell_lost
from remediator.pipeline.intake import Intake
from remediator.pipeline.rulebook import Rulebook
from remediator.rules.loading import load_book
from remediator.settings import OccurrenceSettings
from remediator.storage.sqlite import SqliteStore
from remediator.testing.clock import VirtualClock
from tests.unit.pipeline.harness import MINUTE, SECOND
from tests.unit.pipeline.world import World, actions_of

SILENCE = 10 * MINUTE
WATCHDOG = {"alertname": "Watchdog", "severity": "none"}
CATCH_ALL = """
pack: all
rules:
  - name: everything
    summary: something is wrong
    match: ['alertname=~".+"']
    mode: observe
"""


class WeakStore(SqliteStore):
    """A store that can be away for notices and questions."""

    def __init__(self, clock: VirtualClock) -> None:
        super().__init__(None, clock=clock, metrics=Metrics())
        self.is_away = False
        self.told: list[tuple[str, Message]] = []

    async def notify(self, channel: str, key: str, message: Message, at: object) -> None:
        if self.is_away:
            raise StoreUnavailable("the disk is full")
        self.told.append((key, message))
        await super().notify(channel, key, message, self._clock.now())


class Scene:
    """One process on a store, which can be followed by another."""

    def __init__(self, folder: Path) -> None:
        self.clock = VirtualClock()
        self.store = WeakStore(self.clock)
        self.nudges = 0
        (folder / "all.yaml").write_text(CATCH_ALL)
        actions = actions_of(World())
        self.rulebook = Rulebook(load_book([folder / "all.yaml"], actions), actions, self.store)
        self.task: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Start a process."""
        self.metrics = Metrics()
        self.heart = Heartbeat(
            "Watchdog",
            SILENCE,
            store=self.store,
            clock=self.clock,
            metrics=self.metrics,
            channel="#c",
            on_message=self._nudge,
        )
        self.intake = Intake(
            store=self.store,
            rulebook=self.rulebook,
            dispatcher=HeapDispatcher(self.clock),
            owner=lambda: OwnerId("me"),
            clock=self.clock,
            metrics=self.metrics,
            redactor=Redactor(),
            settings=OccurrenceSettings(),
            channel="#c",
            heartbeat=self.heart,
        )
        await self.heart.recall()
        self.task = asyncio.create_task(self.heart.work(), name="heartbeat")
        await self.settle()

    async def stop(self) -> None:
        if self.task is not None:
            self.task.cancel()
            await asyncio.gather(self.task, return_exceptions=True)

    async def restart(self, *, away: timedelta = timedelta(0)) -> None:
        await self.stop()
        await self.clock.advance(away)
        await self.start()

    def _nudge(self) -> None:
        self.nudges += 1

    async def beat(self, labels: Mapping[str, str] = WATCHDOG, *, resolved: bool = False) -> None:
        now = self.clock.now()
        status = AlertStatus.RESOLVED if resolved else AlertStatus.FIRING
        alert = Alert(fingerprint_of(labels), status, labels, {}, now, ends_at=now if resolved else None)
        await self.intake.accept(Delivery((alert,), received_at=now))
        await self.settle()

    async def settle(self) -> None:
        """Let everything run that needs no time: the store has threads of its own."""
        for _ in range(8):
            await self.store.list_runs(limit=1)
            for _ in range(10):
                await asyncio.sleep(0)

    async def wait(self, duration: timedelta) -> None:
        end = self.clock.now() + duration
        while self.clock.now() < end:
            left = end - self.clock.now()
            await self.clock.advance(min(self.clock.next_in() or left, left))
            await self.settle()

    async def notices(self) -> list[tuple[Tone, str]]:
        """What stands in chat, or is to."""
        return [(post.message.tone, post.message.title) for post in await self.store.waiting_posts(100)]

    def gauge(self, name: str) -> float | None:
        return self.metrics.registry.get_sample_value(f"remediator_heartbeat_{name}")


@pytest.fixture
async def scene(tmp_path: Path) -> AsyncIterator[Scene]:
    made = Scene(tmp_path)
    await made.store.open()
    await made.rulebook.remember()
    await made.start()
    yield made
    await made.stop()
    await made.store.close()


LOST = (Tone.BAD, "the heartbeat Watchdog has stopped coming")


async def test_a_beat_starts_no_run_and_is_no_news(scene: Scene) -> None:
    """Even where a rule matches everything: it comes each minute, for ever."""
    with capture_logs() as logs:
        for _ in range(3):
            await scene.beat()
            await scene.wait(MINUTE)

    assert () == await scene.store.list_runs(limit=10)
    assert [] == await scene.notices()
    assert [] == logs
    assert scene.heart.trouble is None


async def test_other_alerts_are_none_of_its_business(scene: Scene) -> None:
    """They start their runs as ever, and do not count as a beat."""
    await scene.beat({"alertname": "Down"})

    assert 1 == len(await scene.store.list_runs(limit=10))
    assert 0 == scene.gauge("last_seconds")


async def test_the_time_of_the_last_beat_is_a_metric(scene: Scene) -> None:
    """So that Prometheus can be asked how the way was."""
    await scene.wait(MINUTE)
    await scene.beat()

    assert scene.clock.now().timestamp() == scene.gauge("last_seconds")
    assert 0 == scene.gauge("late")


async def test_silence_is_told_once_and_its_end_in_the_same_message(scene: Scene) -> None:
    """In chat, the log, the metrics and readiness."""
    await scene.beat()
    with capture_logs() as logs:
        await scene.wait(SILENCE)
        before = (await scene.notices(), scene.gauge("late"), scene.heart.trouble)
        await scene.wait(30 * MINUTE)

    assert ([], 0, None) == before
    assert [LOST] == await scene.notices()
    assert 1 == scene.gauge("late")
    assert "Watchdog is late: heard last at 2026-01-01 12:00:00 UTC" in (scene.heart.trouble or "")
    assert ["heartbeat_late"] == [line["event"] for line in logs]

    await scene.beat()

    assert [(Tone.GOOD, "the heartbeat Watchdog came back after 40m")] == await scene.notices()
    assert (0, None) == (scene.gauge("late"), scene.heart.trouble)
    assert 2 == scene.nudges


async def test_the_next_silence_is_another_message(scene: Scene) -> None:
    """People are not alerted to an edit."""
    for _ in range(2):
        await scene.beat()
        await scene.wait(SILENCE + MINUTE)

    assert [(Tone.GOOD, "the heartbeat Watchdog came back after 11m"), LOST] == await scene.notices()


async def test_one_that_never_comes_is_told_as_well(scene: Scene) -> None:
    """A route that leads nowhere is the usual mistake."""
    await scene.wait(SILENCE + SECOND)
    never = await scene.notices()
    await scene.beat()

    assert [(Tone.BAD, "the heartbeat Watchdog does not come")] == never
    assert [(Tone.GOOD, "the heartbeat Watchdog comes now")] == await scene.notices()


async def test_a_resolve_is_no_beat(scene: Scene) -> None:
    """It says that Prometheus has stopped sending."""
    await scene.beat()
    await scene.wait(6 * MINUTE)
    await scene.beat(resolved=True)
    await scene.wait(5 * MINUTE)

    assert [LOST] == await scene.notices()
    assert () == await scene.store.list_occurrences(limit=5, only_open=True)


async def test_beats_of_several_senders_are_one_alert(scene: Scene) -> None:
    """Also after a resolve, within the window in which another alert would be doubtful."""
    for labels in (WATCHDOG, {**WATCHDOG, "prometheus": "b"}):
        await scene.beat(labels)
    await scene.beat(resolved=True)
    await scene.wait(SECOND)
    await scene.beat({**WATCHDOG, "prometheus": "b"})
    (now,) = await scene.store.list_occurrences(limit=5, only_open=True)

    assert (scene.heart.fingerprint, None) == (now.fingerprint, now.doubt)
    assert scene.clock.now() == now.heard_at


async def test_a_restart_while_it_is_silent_tells_nothing_twice_and_edits_at_the_end(scene: Scene) -> None:
    """What is known of the silence is in the store."""
    await scene.beat()
    await scene.wait(SILENCE + SECOND)
    for _ in range(2):
        await scene.restart(away=MINUTE)
        late = scene.gauge("late")
        await scene.wait(SILENCE + MINUTE)

        assert 1 == late
        assert [LOST] == await scene.notices()
    await scene.beat()

    assert [(Tone.GOOD, "the heartbeat Watchdog came back after 34m1s")] == await scene.notices()


async def test_our_own_absence_is_not_silence(scene: Scene) -> None:
    """Whoever upgrades for an hour is not told that Prometheus was away."""
    await scene.beat()
    await scene.restart(away=60 * MINUTE)
    last = scene.gauge("last_seconds")
    await scene.wait(SILENCE - SECOND)
    await scene.beat()

    assert (scene.clock.now() - 70 * MINUTE + SECOND).timestamp() == last
    assert [] == await scene.notices()


async def test_silence_that_began_before_a_restart_names_the_last_beat(scene: Scene) -> None:
    """It counts anew from the start; when it was heard last is known all the same."""
    await scene.beat()
    await scene.restart(away=5 * MINUTE)
    await scene.wait(SILENCE + SECOND)

    assert [LOST] == await scene.notices()
    assert "heard last at 2026-01-01 12:00:00 UTC" in scene.heart.state


async def test_a_jump_of_the_wall_clock_is_not_silence(scene: Scene) -> None:
    """NTP sets clocks by hours at boot."""
    await scene.beat()
    for by in (timedelta(hours=5), timedelta(hours=-9)):
        scene.clock.jump(by)
        await scene.wait(MINUTE)
    before = await scene.notices()
    await scene.wait(SILENCE)

    assert [] == before
    assert [LOST] == await scene.notices()


async def test_what_cannot_be_told_now_is_told_later(scene: Scene) -> None:
    """The disk may be full just then; the metric needs none."""
    await scene.beat()
    scene.store.is_away = True
    with capture_logs() as logs:
        await scene.wait(SILENCE + MINUTE)
    before = (await scene.notices(), scene.gauge("late"))
    scene.store.is_away = False
    await scene.wait(MINUTE)

    assert ([], 1) == before
    assert {"heartbeat_late", "heartbeat_not_told_yet"} == {line["event"] for line in logs}
    assert [LOST] == await scene.notices()
    assert 1 == len(scene.store.told)


async def test_a_beat_that_another_process_heard_counts(scene: Scene) -> None:
    """Replicas share the store, and Alertmanager sends to one of them."""
    other = Heartbeat(
        "Watchdog",
        SILENCE,
        store=scene.store,
        clock=scene.clock,
        metrics=Metrics(),
        channel="#c",
        on_message=lambda: None,
    )
    await other.look()
    await scene.wait(9 * MINUTE)
    await scene.beat()
    await scene.wait(9 * MINUTE)
    await other.look()

    assert other.trouble is None
    assert "Watchdog: heard last at 2026-01-01 12:09:00 UTC" == other.state


def test_a_notice_is_the_same_however_late_it_is_told_again() -> None:
    """That is how one message stays one: it is queued under the same key with the same words."""
    last = VirtualClock().now()

    assert "heartbeat-20260101T120000000000" == notice_key("Watchdog", last)
    assert "heartbeat-never-Watchdog" == notice_key("Watchdog", None)
    assert tell_lost("Watchdog", last, SILENCE) == tell_lost("Watchdog", last, SILENCE)


def test_silence_is_never_negative() -> None:
    """What another process heard may be ahead of our own clock."""
    assert timedelta(0) == Pulse(None, 5.0).silent_for(4.0)
