"""The wall clock jumps, as after a correction or a sleep of the machine; the monotonic one does not (libfaketime)."""

import json
import urllib.request
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import Any

import pytest

from tests import services, storm
from tests.served import Served

_LIBRARIES = ("/usr/lib/*/faketime/libfaketimeMT.so.1", "/usr/lib*/faketime/libfaketimeMT.so.1")
JUMPS = {"forward": timedelta(hours=1), "backward": timedelta(hours=-1)}

RULES = """
pack: clocks
rules:
  - name: proven
    match: ['alertname="Proven"']
    mode: auto
    remediate: [{name: mend, do: [{command.run: {command: mend, parameters: {service: "{{ labels.service }}"}}}]}]
    verify:
      settle: 1s
      sustain: 3s
      within: 10m
      every: 500ms
      checks: [{command.run: {command: look}, expect: result.exit_code == 0}]
  - name: asked
    match: ['alertname="Asked"']
    mode: gated
    remediate:
      - name: mend
        gate: {timeout: 15m}
        do: [{command.run: {command: mend, parameters: {service: "{{ labels.service }}"}}}]
    verify: {settle: 100ms, sustain: 200ms, within: 10m, every: 100ms, checks: [CHECK]}
  - name: asked-briefly
    match: ['alertname="AskedBriefly"']
    mode: gated
    remediate:
      - name: mend
        gate: {timeout: 8s}
        do: [{command.run: {command: mend, parameters: {service: "{{ labels.service }}"}}}]
    verify: {settle: 100ms, sustain: 200ms, within: 10m, every: 100ms, checks: [CHECK]}
  - name: seen
    match: ['alertname="Seen"']
    mode: observe
""".replace("CHECK", "{command.run: {command: look}, expect: result.exit_code == 0}")


class Clocked:
    """The service with a wall clock that the test sets."""

    def __init__(self, served: Served) -> None:
        services.requires("faketime")
        library = next((str(path) for pattern in _LIBRARIES for path in Path("/").glob(pattern[1:])), None)
        assert library is not None, "libfaketime is missing; install faketime"
        self.served = served
        self._offset = served.folder / "offset"
        self.jump(timedelta())
        served.wrapper = (
            "env",
            f"LD_PRELOAD={library}",
            f"FAKETIME_TIMESTAMP_FILE={self._offset}",
            "FAKETIME_CACHE_DURATION=1",
            "FAKETIME_DONT_FAKE_MONOTONIC=1",
            "DONT_FAKE_MONOTONIC=1",
        )

    def jump(self, by: timedelta) -> None:
        """Set the wall clock so far before or after the true time, and wait until the service sees it."""
        new = self._offset.with_suffix(".new")
        new.write_text(f"{by.total_seconds():+.0f}\n")
        new.rename(self._offset)
        if self.served.process is not None and self.served.process.poll() is None:
            services.wait_until(lambda: abs(self._ahead() - by) < timedelta(minutes=1), "the clock to jump")

    def _ahead(self) -> timedelta:
        """How far its clock is ahead: what it writes into its answers."""
        with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(f"{self.served.url}/healthz") as answer:
            return parsedate_to_datetime(answer.headers["Date"]) - datetime.now(UTC)

    def start(self, **settings: object) -> None:
        storm.configure(self.served, **settings)
        (self.served.folder / "rules.yaml").write_text(RULES)
        self.served.start()

    def tells_of_clock(self) -> bool:
        """Whether readiness tells that the clock was set."""
        return any(check["name"] == "clock" and check["degraded"] for check in self.served.readiness()[1]["checks"])

    def fire(self, name: str, service: str, *, resolved: bool = False) -> None:
        now = datetime.now(UTC)
        body = json.loads(storm.body_of({"alertname": name, "service": service}, starts_at=now.isoformat()))
        if resolved:
            body["alerts"][0] |= {"status": "resolved", "endsAt": now.isoformat()}
        assert 202 == self.served.ask("/api/v1/alerts", body=json.dumps(body).encode())[0]

    def outcomes(self, service: str) -> list[str | None]:
        """Those of the runs for a service, the oldest first."""
        return [run["outcome"] for run in self._of(service)]

    def wait_for(self, service: str, *outcomes: str | None) -> None:
        wanted = list(outcomes)
        services.wait_until(lambda: self.outcomes(service) == wanted, f"the runs of {service} to be {wanted}")

    def wait_for_stage(self, service: str, stage: str) -> None:
        services.wait_until(lambda: [run["stage"] for run in self._of(service)] == [stage], f"{service} to be {stage}")

    def approve(self, service: str) -> None:
        (run,) = self._of(service)
        done = self.served.command("approve", run["id"], "--plan", run["waiting"]["digest"][:16])
        assert 0 == done.returncode, done.stderr

    def _of(self, service: str) -> list[dict[str, Any]]:
        return [run for run in self.served.runs() if run["alert"]["labels"]["service"] == service]


@pytest.fixture
def clocked(served: Served) -> Clocked:
    return Clocked(served)


def test_a_jump_is_told_and_moves_no_time_that_is_kept(clocked: Clocked) -> None:
    """Somebody should look at that machine; until then, the story of a run must not lie by an hour."""
    clocked.start()
    before = clocked.tells_of_clock()
    clocked.jump(JUMPS["forward"])
    services.wait_until(clocked.tells_of_clock, "readiness to tell of the clock")
    clocked.fire("Seen", "web")
    clocked.wait_for("web", "told")
    (run,) = clocked.served.runs()
    off = datetime.fromisoformat(run["timeline"][-1]["at"]) - datetime.now(UTC)

    assert not before
    assert abs(off) < timedelta(minutes=5)
    assert abs(clocked.served.series()["remediator_clock_ahead_seconds"] - 3600) < 300


@pytest.mark.parametrize("by", JUMPS.values(), ids=JUMPS)
def test_a_jump_neither_fires_a_timer_early_nor_loses_a_run(clocked: Clocked, by: timedelta) -> None:
    """One run is being verified and another waits for a person: the proof is seen, and the person can still decide."""
    clocked.start()
    clocked.fire("Proven", "web")
    clocked.fire("Asked", "api")
    clocked.wait_for_stage("web", "acted")
    clocked.wait_for_stage("api", "drafted")
    clocked.jump(by)
    clocked.wait_for("web", "healed")
    waiting = clocked.outcomes("api")
    clocked.approve("api")
    clocked.wait_for("api", "healed")

    assert [None] == waiting
    assert {"web": 1, "api": 1} == storm.effects_of(clocked.served)


def test_a_question_whose_time_is_over_expires_after_a_jump_back(clocked: Clocked) -> None:
    """Else it would wait for an hour more, and nobody would be told that nothing was done."""
    clocked.start()
    clocked.fire("AskedBriefly", "web")
    clocked.wait_for_stage("web", "drafted")
    clocked.jump(JUMPS["backward"])
    clocked.wait_for("web", "expired")

    assert {} == storm.effects_of(clocked.served)


def test_a_doubt_is_decided_in_time_after_a_jump_back(clocked: Clocked) -> None:
    """An alert that came back shortly after its resolve must not wait for an hour."""
    clocked.start(occurrences={"doubt_window": "5s"})
    clocked.fire("Seen", "web")
    clocked.wait_for("web", "told")
    clocked.fire("Seen", "web", resolved=True)
    fire_again_with_the_same_start(clocked)
    clocked.jump(JUMPS["backward"])
    fire_again_with_the_same_start(clocked)
    clocked.wait_for("web", "told", "told")


def test_a_doubt_is_not_decided_early_after_a_jump_forward(clocked: Clocked) -> None:
    """A late duplicate would start everything once more."""
    clocked.start(occurrences={"doubt_window": "10m"})
    clocked.fire("Seen", "web")
    clocked.wait_for("web", "told")
    clocked.fire("Seen", "web", resolved=True)
    fire_again_with_the_same_start(clocked)
    clocked.jump(JUMPS["forward"])
    fire_again_with_the_same_start(clocked)
    clocked.fire("Proven", "other")
    clocked.wait_for("other", "healed")

    assert ["told"] == clocked.outcomes("web")


def fire_again_with_the_same_start(clocked: Clocked) -> None:
    """A firing of an outage that was told as over."""
    long_ago = (datetime.now(UTC) - timedelta(hours=6)).isoformat()
    body = storm.body_of({"alertname": "Seen", "service": "web"}, starts_at=long_ago)
    assert 202 == clocked.served.ask("/api/v1/alerts", body=body)[0]


def test_what_waits_outlives_a_restart_after_a_jump_back(clocked: Clocked) -> None:
    """A machine whose clock is set at boot: what was under way goes on, and is carried out once."""
    clocked.start()
    clocked.fire("Proven", "web")
    clocked.wait_for_stage("web", "acted")
    clocked.served.kill()
    clocked.jump(JUMPS["backward"])
    clocked.served.start()
    clocked.wait_for("web", "healed")

    assert {"web": 1} == storm.effects_of(clocked.served)
