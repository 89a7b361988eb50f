"""WALErrors on a disk that is really full: the shipped alert, the shipped rule, and a writer that goes on meanwhile."""

import json
import random
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests import full_disk, services
from tests.acceptance import story
from tests.served import ROOT, Served


@dataclass
class Scene:
    """The disk, its writer, and the service that looks after it."""

    disk: Path
    writer: full_disk.Writer
    served: Served

    def outcomes(self) -> list[str | None]:
        """How the runs of the rule ended; nothing while the service does not answer."""
        return [run["outcome"] for run in self.runs()]

    def runs(self) -> list[dict[str, Any]]:
        if self.served.readiness()[0] != 200:
            return []
        return [run for run in self.served.runs() if run["rule"].endswith("wal-errors")]


def alert_rules(only: str) -> dict[str, Any]:
    """One of the shipped alerts, fired after a second instead of a minute."""
    rules: dict[str, Any] = yaml.safe_load((ROOT / "deploy" / "prometheus" / "fractal-lba.yml").read_text())
    for group in rules["groups"]:
        group["rules"] = [{**rule, "for": "1s"} for rule in group["rules"] if rule["alert"] == only]
    return rules


def pack(within: str) -> str:
    """The shipped pack with this test's folders, as a user adapts it, and a proof that is found sooner."""
    made = yaml.safe_load((ROOT / "rules" / "fractal-lba.yaml").read_text())
    made["vars"]["wal"]["error_rate"] = "sum(rate(flk_wal_errors[10s]))"
    made["vars"]["outbox"]["root"] = "wal"
    made["rules"] = [rule for rule in made["rules"] if rule["name"] == "wal-errors"]
    made["rules"][0]["verify"].update({"settle": "500ms", "sustain": "2s", "within": within, "every": "500ms"})
    return yaml.safe_dump(made)


@contextmanager
def watched(folder: Path, disk: Path, writer: full_disk.Writer, alert: str, *, within: str) -> Iterator[Scene]:
    """The chain from Prometheus to the service, all of it real."""
    served = Served(folder)
    with (
        services.alertmanager(
            webhook=f"{served.url}/api/v1/alerts", route={"group_by": ["..."], "group_interval": "1s"}
        ) as alertmanager,
        services.prometheus(
            rules=alert_rules(alert),
            alertmanagers=[alertmanager.address.removeprefix("http://")],
            scrape=[f"127.0.0.1:{writer.port}"],
        ) as prometheus,
    ):
        rules = folder / "rules"
        rules.mkdir()
        (rules / "fractal-lba.yaml").write_text(pack(within))
        served.configure(
            rules=[str(rules)],
            files={"roots": {"wal": str(disk), "logs": str(folder)}},
            prometheus={"url": prometheus.address},
            alertmanager={"url": alertmanager.address},
        )
        served.start()
        try:
            yield Scene(disk, writer, served)
        finally:
            served.end()


@contextmanager
def filling(tmp_path: Path) -> Iterator[tuple[Path, full_disk.Writer]]:
    """A disk with generations of the last weeks, and a writer that has filled it."""
    services.requires("prometheus", "prometheus-alertmanager")
    with full_disk.small_disk(tmp_path / "disk", 4) as disk:
        full_disk.old_generations(disk, 20, 60_000)
        with full_disk.writer(disk, tmp_path) as writer:
            services.wait_until(lambda: writer.value("flk_wal_errors") > 0, "the disk to be full")
            yield disk, writer


def test_a_full_disk_is_rotated_and_the_writer_goes_on(tmp_path: Path) -> None:
    """What the rule is for, with nothing made up but the time that the proof takes."""
    with filling(tmp_path) as (disk, writer), watched(tmp_path, disk, writer, "WALErrors", within="1m") as scene:
        services.wait_until(lambda: scene.outcomes()[:1] not in ([], [None]), "the run to end", limit=150)
        written = writer.value("flk_wal_written")
        services.wait_until(lambda: writer.value("flk_wal_written") > written, "the writer to go on")
        run = scene.runs()[0]

        assert "healed" == run["outcome"], json.dumps(run)[-3000:]
        assert list(disk.glob("inbox-001*.wal.gz"))
        assert set() == writer.lost()


@pytest.mark.parametrize("turn", range(3))
def test_the_service_killed_in_the_middle_heals_it_all_the_same(tmp_path: Path, turn: int) -> None:
    """Both changes may be done twice, so that a restart goes on with them instead of asking a person."""
    chance = random.Random(story.seed() + turn)
    with filling(tmp_path) as (disk, writer), watched(tmp_path, disk, writer, "WALErrors", within="1m") as scene:
        services.wait_until(lambda: bool(scene.runs()), "the alert to be accepted", limit=90)
        time.sleep(chance.uniform(0, 1.5))
        scene.served.kill()
        scene.served.start()
        services.wait_until(lambda: scene.outcomes()[:1] not in ([], [None]), "the run to end", limit=150)
        run = scene.runs()[0]

        assert "healed" == run["outcome"], json.dumps(run)[-3000:]
        assert set() == writer.lost()


def test_an_outbox_is_compacted_once_a_person_has_approved(tmp_path: Path) -> None:
    """Where rotating does not help, the next remedy waits for somebody, and loses nothing that is not acknowledged."""
    services.requires("prometheus", "prometheus-alertmanager")
    with full_disk.small_disk(tmp_path / "disk", 16) as disk:
        acked = b"".join(
            b'{"id": "a%d", "ts": 5, "acked": true, "pad": "%s"}\n' % (n, b"x" * 1000) for n in range(14_700)
        )
        stays = b'{"id": "open", "ts": 5}\n'
        (disk / "outbox.wal").write_bytes(acked + stays)
        with full_disk.slow_writer(disk, tmp_path) as writer:
            with watched(tmp_path, disk, writer, "WALDiskFull", within="6s") as scene:
                services.wait_until(
                    lambda: any((run["waiting"] or {}).get("until") for run in scene.runs()),
                    "the gate of the second remedy",
                    limit=120,
                )
                run = scene.runs()[0]
                size_before = (disk / "outbox.wal").stat().st_size
                approved = scene.served.command("approve", run["id"], "--yes")
                services.wait_until(lambda: scene.outcomes()[:1] not in ([], [None]), "the run to end", limit=120)
                run = scene.runs()[0]

                assert 0 == approved.returncode, approved.stderr
                assert "healed" == run["outcome"], json.dumps(run)[-3000:]
                assert size_before > 10 * (disk / "outbox.wal").stat().st_size
                assert (disk / "outbox.wal").read_bytes().startswith(stays)
            assert set() == writer.lost()
