"""Rules are changed under a running service: in every way that editors and deployments have, and with mistakes."""

import asyncio
import json
import shutil
import signal
from collections.abc import AsyncIterator, Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from remediator.model.alert import fingerprint_of
from remediator.testing.slack import SlackStandIn
from tests import services
from tests.served import Served

WATCH = "remediator_rules_last_reload_successful"


def pack(name: str, *rules: str) -> str:
    """Rules that only observe, each for the alert of its name."""
    lines = [f"pack: {name}", "rules:"]
    lines += [f"  - {{name: {one}, summary: {one}, match: ['alertname=\"{one}\"'], mode: observe}}" for one in rules]
    return "\n".join(lines) + "\n"


@pytest.fixture
def rules(served: Served) -> Path:
    """The folder of rules of a service that is configured, with one file in it."""
    folder = served.folder / "rules"
    folder.mkdir()
    (folder / "a.yaml").write_text(pack("a", "first"))
    served.configure(rules=[str(folder)])
    return folder


def deliver(served: Served, alertname: str, **labels: str) -> None:
    all_labels = {"alertname": alertname, **labels}
    alert = {
        "status": "firing",
        "labels": all_labels,
        "annotations": {},
        "startsAt": datetime.now(UTC).isoformat(),
        "endsAt": "0001-01-01T00:00:00Z",
        "fingerprint": fingerprint_of(all_labels),
    }
    body = json.dumps({"version": "4", "groupKey": "{}", "receiver": "remediator", "alerts": [alert]}).encode()
    assert 202 == served.ask("/api/v1/alerts", body=body)[0]


def wait_for_rules(served: Served, count: int) -> None:
    services.wait_until(lambda: served.series()["remediator_rules_loaded"] == count, f"{count} rules to be loaded")


def wait_for(served: Served, successful: bool) -> None:
    services.wait_until(lambda: bool(served.series()[WATCH]) == successful, f"{WATCH} to be {successful:d}")


def wait_for_event(served: Served, event: str, count: int = 1) -> list[str]:
    """Wait until an event was logged so many times; its lines."""

    def lines() -> list[str]:
        return [line for line in served.log().splitlines() if event in line]

    services.wait_until(lambda: len(lines()) >= count, f"{count} {event} in the log:\n{served.log()}")
    return lines()


def check(served: Served, name: str) -> Mapping[str, Any]:
    """One of the checks of readiness."""
    (found,) = (one for one in served.readiness()[1]["checks"] if one["name"] == name)
    return dict(found)


def hang_up(served: Served) -> None:
    assert served.process is not None
    served.process.send_signal(signal.SIGHUP)


def printed(served: Served) -> str:
    return (served.folder / f"out-{served.starts}").read_text()


# -- asked by a signal --


def test_a_signal_has_the_rules_read_again_without_a_watch(served: Served, rules: Path) -> None:
    """For those who want to say themselves when a change counts."""
    served.configure(rules=[str(rules)], rules_watch=False)
    served.start()
    (rules / "b.yaml").write_text(pack("b", "second", "third"))
    deliver(served, "second")
    hang_up(served)
    wait_for_rules(served, 3)
    deliver(served, "third")

    assert ["b/third"] == [run["rule"] for run in served.runs()]
    assert "b/second, b/third" in wait_for_event(served, "rules_reloaded")[0]


def test_a_signal_is_answered_in_the_log_even_if_nothing_has_changed(served: Served, rules: Path) -> None:
    """Whoever sends it wants to know that it has come."""
    served.start()
    hang_up(served)

    assert "none" in wait_for_event(served, "rules_reloaded")[0]
    assert 1 == served.series()['remediator_rules_reloads_total{result="unchanged"}']


def test_a_signal_while_it_starts_does_not_end_it(served: Served, rules: Path) -> None:
    """A deployment that changes rules and starts the service sends both at once."""
    for _ in range(10):
        answers = answers_while_it_is_sent_signals(served)
        assert 0 == served.stop()
        if 0 in answers:  # else it was up before the first signal, as this machine was busy
            return
    raise AssertionError("no signal came before it was up")


def answers_while_it_is_sent_signals(served: Served) -> list[int]:
    """Start it, and send it a signal again and again until it is ready; what readiness answered after each."""
    process = served.spawn()
    answers: list[int] = []

    def is_ready_while_we_send() -> bool:
        if process.poll() is not None:
            raise AssertionError(f"remediator ended with {process.returncode}:\n{served.log()}")
        if ignores_or_catches_hangups(process.pid):
            hang_up(served)
            answers.append(served.readiness()[0])
        return 200 in answers

    services.wait_until(is_ready_while_we_send, "remediator to be ready")
    return answers


def ignores_or_catches_hangups(pid: int) -> bool:
    """Whether a process has got as far as that: until Python runs our first line, nobody can."""
    status = Path(f"/proc/{pid}/status").read_text()
    sets = [int(line.split()[1], 16) for line in status.splitlines() if line.startswith(("SigIgn", "SigCgt"))]
    return any(bits >> (signal.SIGHUP - 1) & 1 for bits in sets)


# -- noticed by itself --


def edit(rules: Path) -> None:
    (rules / "a.yaml").write_text(pack("a", "first", "second"))


def rename_over(rules: Path) -> None:
    (rules / ".a.yaml.new").write_text(pack("a", "first", "second"))
    (rules / ".a.yaml.new").replace(rules / "a.yaml")


def write_slowly(rules: Path) -> None:
    with (rules / "a.yaml").open("w") as file:
        for line in pack("a", "first", "second").splitlines(keepends=True):
            file.write(line)
            file.flush()


def add_in_a_folder(rules: Path) -> None:
    (rules / "team").mkdir()
    (rules / "team" / "b.yaml").write_text(pack("b", "second"))


@pytest.mark.parametrize("change", [edit, rename_over, write_slowly, add_in_a_folder])
def test_a_change_is_taken_by_itself(served: Served, rules: Path, change: Callable[[Path], None]) -> None:
    """However an editor or a deployment writes files."""
    served.start()
    change(rules)
    wait_for_rules(served, 2)
    deliver(served, "second")

    assert ["second"] == [run["rule"].partition("/")[2] for run in served.runs()]
    assert 200 == served.readiness()[0]


def test_a_single_file_is_taken_each_time_that_it_is_replaced(served: Served, rules: Path) -> None:
    """A path in the settings may be a file; its first replacement must not be the last one that is seen."""
    served.configure(rules=[str(rules / "a.yaml")])
    served.start()
    for count in (2, 3, 1):
        (rules / "new").write_text(pack("a", *(f"n{n}" for n in range(count))))
        (rules / "new").replace(rules / "a.yaml")
        wait_for_rules(served, count)


def test_a_volume_of_kubernetes_is_taken_each_time_that_it_is_swapped(served: Served, rules: Path) -> None:
    """A ConfigMap is a folder of links through `..data`, which is replaced as a whole; older versions are removed."""
    (rules / "a.yaml").unlink()
    publish(rules, 1)
    served.start()
    for version, count in enumerate((2, 3, 1), start=2):
        publish(rules, version, *(f"n{n}" for n in range(1, count)))
        wait_for_rules(served, count)


def publish(volume: Path, version: int, *more: str) -> None:
    """Swap a volume as the kubelet does."""
    folder = volume / f"..2026_{version}"
    folder.mkdir()
    (folder / "a.yaml").write_text(pack("a", "first", *more))
    (volume / "..data_tmp").symlink_to(folder.name)
    (volume / "..data_tmp").replace(volume / "..data")
    if not (volume / "a.yaml").is_symlink():
        (volume / "a.yaml").symlink_to("..data/a.yaml")
    for older in volume.glob("..2026_*"):
        if older != folder:
            shutil.rmtree(older)


def test_a_removed_file_takes_its_rules_with_it(served: Served, rules: Path) -> None:
    """The way to switch a pack off."""
    (rules / "b.yaml").write_text(pack("b", "second"))
    served.start()
    (rules / "b.yaml").unlink()
    wait_for_rules(served, 1)

    assert "b/second" in wait_for_event(served, "rules_reloaded")[0]


def test_a_folder_that_vanishes_keeps_its_rules_until_it_returns(served: Served, rules: Path) -> None:
    """A volume that is unmounted for a moment is not the wish to have no rules."""
    served.start()
    rules.rename(served.folder / "away")
    wait_for(served, successful=False)
    deliver(served, "first")
    without = check(served, "rules")
    (served.folder / "away").rename(rules)
    wait_for(served, successful=True)
    edit(rules)
    wait_for_rules(served, 2)

    assert ["a/first"] == [run["rule"] for run in served.runs()]
    assert without["ok"]
    assert without["degraded"]
    assert f"1 loaded; the files are not in force: 1 mistake in {rules}" == without["detail"]
    assert not check(served, "rules")["degraded"]


# -- with a mistake --


def test_a_mistake_keeps_the_rules_from_before_and_is_told_everywhere(served: Served, rules: Path) -> None:
    """Log, metric, readiness and chat say it, until the files are good again."""
    served.start()
    began = served.series()["remediator_rules_last_reload_success_timestamp_seconds"]
    text = (rules / "a.yaml").read_text()
    (rules / "a.yaml").write_text(text.replace("mode: observe", "mode: auto0"))
    wait_for(served, successful=False)
    logged = wait_for_event(served, "rules_not_reloaded")
    broken = check(served, "rules")
    status = served.readiness()[0]
    deliver(served, "first")
    services.wait_until(lambda: "are not in force" in printed(served), "the mistake to be told")
    (rules / "a.yaml").write_text(pack("a", "second"))
    wait_for(served, successful=True)
    services.wait_until(lambda: "good again" in printed(served), "the end of it to be told")
    series = served.series()

    place = f"1 mistake in {rules / 'a.yaml'}:3:"
    assert 1 == len(logged)
    assert place in logged[0]
    assert "auto0" not in broken["detail"]
    assert place in broken["detail"]
    assert (200, True, True) == (status, broken["ok"], broken["degraded"])
    assert ["a/first"] == [run["rule"] for run in served.runs()]
    assert place in printed(served)
    assert "The rules from before stay in force: 1 rule." in printed(served)
    assert "the rule files are good again: 1 rule" in printed(served)
    assert 1 <= series['remediator_rules_reloads_total{result="mistakes"}']
    assert 1 == series['remediator_rules_reloads_total{result="reloaded"}']
    assert began < series["remediator_rules_last_reload_success_timestamp_seconds"]
    assert "1 loaded" == check(served, "rules")["detail"]


def test_what_was_told_of_a_mistake_does_not_outlive_the_service(served: Served, rules: Path) -> None:
    """Who corrects the file and starts it again must not be left with a message that says the opposite."""
    served.start()
    good = (rules / "a.yaml").read_text()
    (rules / "a.yaml").write_text(f"rulez: []\n{good}")
    services.wait_until(lambda: "are not in force" in printed(served), "the mistake to be told")
    stopped = served.stop()
    (rules / "a.yaml").write_text(good)
    served.start()
    services.wait_until(lambda: "with rule files that are good" in printed(served), "the correction")

    assert 0 == stopped


@pytest.fixture
async def slack() -> AsyncIterator[SlackStandIn]:
    async with SlackStandIn() as server:
        yield server


async def test_slack_shows_one_message_that_is_edited(served: Served, rules: Path, slack: SlackStandIn) -> None:
    """Also while the file is saved again and again; it pages nobody, and lets no text of the file format it."""
    chat = {"token": slack.token, "base_url": slack.base_url, "post_interval": "10ms"}
    served.configure(rules=[str(rules)], slack=chat)
    await in_thread(served.start)
    await in_thread(lambda: break_twice(served, rules))
    await in_thread(lambda: services.wait_until(lambda: "ruless" in shown(slack), "the second mistake"))
    during = shown(slack)
    (rules / "a.yaml").write_text(pack("a", "first", "second"))
    await in_thread(lambda: services.wait_until(lambda: "good again" in shown(slack), "the end of it"))
    await in_thread(served.stop)

    assert "The rules from before stay in force: 1 rule." in during
    assert f"{rules / 'a.yaml'}:1:1: `ruless` is not known here; did you mean `rules`?" in during
    assert "the rule files are good again: 2 rules" in shown(slack)
    assert "ruless" not in shown(slack)
    assert [] == slack.pings


def break_twice(served: Served, rules: Path) -> None:
    for count, word in enumerate(("rulez", "ruless <!channel>"), start=1):
        (rules / "a.yaml").write_text(f"{word.split()[0]}: ['{word}']\n{pack('a', 'first')}")
        wait_for_event(served, "rules_not_reloaded", count)


def shown(slack: SlackStandIn) -> str:
    """What the one message of the channel says; nothing while there is none."""
    messages = slack.messages["alerts"]
    assert len(messages) <= 1
    return messages[0].shown if messages else ""


async def in_thread(call: Callable[[], Any]) -> Any:
    """Wait in a thread, so that the stand-in can answer meanwhile."""
    return await asyncio.to_thread(call)


# -- runs under way --


def test_a_run_that_waits_keeps_the_rule_that_it_started_with(served: Served) -> None:
    """It goes by that one to its end; but what was asked for before the rule was changed is asked for anew."""
    served.configure(mode="gated")
    served.start()
    deliver(served, "Down", service="web")
    services.wait_until(lambda: bool(served.runs()) and bool(served.run()["waiting"]), "the plan to wait")
    text = (served.folder / "rules.yaml").read_text()
    (served.folder / "rules.yaml").write_text(
        text.replace("mode: gated", "mode: observe").replace("name: mend", "name: other").replace("web", "site")
    )
    services.wait_until(lambda: "rules_reloaded" in served.log(), "the reload")
    deliver(served, "Down", service="db")
    services.wait_until(lambda: len(served.runs()) == 2 and served.runs()[1]["outcome"] == "told", "the new rule")
    first = served.runs()[0]["id"]
    too_late = served.command("approve", first, "--yes")
    services.wait_until(
        lambda: served.command("runs", "show", first).stdout.count("asked for a decision") == 2, "a new question"
    )
    approved = served.command("approve", first, "--yes")
    services.wait_until(lambda: served.runs()[0]["outcome"] is not None, "the first run to end")

    assert 1 == too_late.returncode
    assert "the rule has changed since this was asked for" in too_late.stderr
    assert 0 == approved.returncode, approved.stderr
    assert "healed" == served.runs()[0]["outcome"]
    assert (served.folder / "mended-web").exists()
    assert not (served.folder / "mended-db").exists()


def test_a_service_that_logs_beside_its_rules_stays_quiet(served: Served) -> None:
    """Each line is a change in the folder that is watched: it must neither be a reload, nor make a line itself."""
    served.configure(log={"level": "debug"})
    served.start()
    for count in range(1, 4):
        deliver(served, f"Nobody{count}")
        wait_for_event(served, "alert_matches_no_rule", count)
    hang_up(served)
    wait_for_event(served, "rules_reloaded")

    assert "watchfiles" not in served.log()
    assert 1 == sum(number for name, number in served.series().items() if "rules_reloads_total" in name)
