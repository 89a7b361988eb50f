"""The service as a process: what it refuses, how it stops, what survives a kill, and that no body upsets it."""

import base64
import socket
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from remediator.kit.clock import SystemClock
from remediator.kit.metrics import Metrics
from remediator.model.run import Decision
from remediator.storage.sqlite import SqliteStore
from tests import services
from tests.integration.delivering import body_of, deliver, down, ended, wait_for_stage
from tests.served import Served

ALERTS, REQUESTS = 2000, 200


@pytest.mark.parametrize("host", ["0.0.0.0", "[::]"])
def test_a_wide_address_is_refused_until_senders_are_known(served: Served, host: str) -> None:
    """Anybody on the network could start changes otherwise."""
    served.configure(listen=f"{host}:{served.port}")
    code, said = ended(served)

    assert 2 == code
    assert said == (
        f"listen: {host}:{served.port} can be reached from other machines, and the webhook has neither "
        "a token nor a user; add webhook.tokens or webhook.users, or listen on 127.0.0.1\n"
    )
    assert not (served.folder / "store").exists()


def test_a_wide_address_is_taken_with_a_token(served: Served) -> None:
    """As every installation in a container has it."""
    served.configure(listen=f"0.0.0.0:{served.port}", webhook={"tokens": ["hook-token"]})
    served.start()

    assert 401 == served.ask("/api/v1/alerts", body=body_of(down()))[0]


def test_a_second_service_on_the_same_store_is_refused(served: Served, tmp_path: Path) -> None:
    """Each would act on every run. The first one does not notice."""
    served.configure()
    served.start()
    (tmp_path / "second").mkdir()
    second = Served(tmp_path / "second")
    second.configure(store={"directory": str(served.folder / "store")})
    code, said = ended(second)

    assert 2 == code
    assert f"another remediator is using the store in {served.folder / 'store'}; stop it, or give this one" in said
    assert 200 == served.readiness()[0]


async def test_a_used_port_is_refused_before_anything_is_done(served: Served, tmp_path: Path) -> None:
    """A plan that may go on must not be begun by a process that is about to end."""
    served.configure()
    served.start()
    deliver(served, down())
    wait_for_stage(served, "drafted*")
    run = served.run()
    served.stop()
    await approve_behind_its_back(served, run)
    (tmp_path / "other").mkdir()
    other = Served(tmp_path / "other", port=served.port)
    other.configure()
    other.start()
    code, said = ended(served)
    other.end()
    done = (served.folder / "mended-web").exists()
    served.start()
    services.wait_until((served.folder / "mended-web").exists, "the plan to be carried out")

    assert 2 == code
    assert f"cannot listen on 127.0.0.1:{served.port}: address already in use\n" == said
    assert not done


async def approve_behind_its_back(served: Served, run: Mapping[str, Any]) -> None:
    """Leave a decision in the store of a service that is stopped."""
    clock = SystemClock()
    store = SqliteStore(served.folder / "store", clock=clock, metrics=Metrics())
    await store.open()
    digest = run["waiting"]["digest"]
    decision = Decision(clock.now(), approved=True, digest=digest, round=1, revision=1, by="ann")
    assert await store.signal(run["id"], decision)
    await store.close()


@pytest.mark.parametrize(
    ("file", "text", "said"),
    [
        ("rules.yaml", "pack: web\nrulez: []\n", "rules.yaml:2:1: `rulez` is not known here; did you mean `rules`?"),
        ("remediator.yaml", "listne: x\n", "remediator.yaml:1:1: `listne` is not known here; did you mean `listen`?"),
        ("remediator.yaml", "rules: [gone]\n", "gone"),
        ("remediator.yaml", "store: {directory: remediator.yaml/x}\n", "store"),
    ],
)
def test_a_mistake_ends_the_start_with_two_and_its_place(served: Served, file: str, text: str, said: str) -> None:
    """Supervisors show the last lines; a traceback would hide the one that counts."""
    served.configure()
    if file == "remediator.yaml" and "listne" not in text:
        text = f"{text}listen: 127.0.0.1:{served.port}\n" + ("" if "rules" in text else "rules: [rules.yaml]\n")
    (served.folder / file).write_text(text)
    code, log = ended(served)

    assert 2 == code
    assert said in log
    assert "Traceback" not in log


def test_what_is_not_configured_is_named_once_with_its_remedy(served: Served) -> None:
    """In the log at the start, and in readiness for as long as it is so; the service is ready all the same."""
    served.configure()
    served.start()
    status, ready = served.readiness()
    named = [line for line in served.log().splitlines() if "not_configured" in line]
    degraded = {check["name"]: check["detail"] for check in ready["checks"] if check["degraded"]}

    assert (200, True) == (status, ready["ready"])
    assert ["slack", "docker", "prometheus", "alertmanager", "http"] == [
        next(word for word in line.split() if word.startswith("what=")).removeprefix("what=") for line in named
    ]
    assert {"slack", "docker", "prometheus", "alertmanager", "http"} == set(degraded)
    assert "set slack.token and slack.channel" in degraded["slack"]
    fine = {check["name"] for check in ready["checks"] if check["ok"] and not check["degraded"]}
    assert {"store", "pressure", "parts", "rules", "chat", "systems"} == fine


def test_check_refuses_a_wide_address_as_the_start_does(served: Served) -> None:
    """What `check` calls good must start."""
    served.configure(listen=f"0.0.0.0:{served.port}")
    checked = served.command("check")

    assert 1 == checked.returncode
    assert f"settings: listen: 0.0.0.0:{served.port} can be reached from other machines" in checked.stdout


def degraded(served: Served) -> dict[str, str]:
    """What readiness calls degraded, with why; the service is ready all the same."""
    status, said = served.readiness()
    assert (200, True) == (status, said["ready"])
    return {check["name"]: check["detail"] for check in said["checks"] if check["degraded"]}


def test_services_that_do_not_answer_are_told_at_the_start(served: Served) -> None:
    """Else the first alert would find out. One that hangs delays neither readiness nor the news of the others."""
    dead = f"127.0.0.1:{services.free_port()}"
    with socket.create_server(("127.0.0.1", 0)) as hanging:  # it takes connections, and says nothing
        silent = f"127.0.0.1:{hanging.getsockname()[1]}"
        served.configure(
            docker={"engines": {"gone": f"unix://{served.folder}/none.sock", "stuck": f"tcp://{silent}"}},
            prometheus={"url": f"http://{dead}"},
            alertmanager={"url": f"http://{silent}"},
        )
        served.start()
        services.wait_until(lambda: len(set(degraded(served)) & set(UNREACHED)) == 4, "all four to be degraded")
        services.wait_until(lambda: seconds_to_answer(served) < 1, "readiness to be answered at once")
        found = degraded(served)
        logged = [line for line in served.log().splitlines() if "_unreachable" in line]

    assert "is the engine running, and is docker.engines.gone its address?" in found["docker gone"]
    assert "no answer in " in found["docker stuck"]
    assert "check prometheus.url" in found["prometheus"]
    assert "no answer in " in found["alertmanager"]
    assert 4 == len(logged)
    assert {"engine=gone", "engine=stuck"} == {word for line in logged for word in line.split() if "engine=" in word}
    assert "Traceback" not in served.log()


def seconds_to_answer(served: Served) -> float:
    began = time.monotonic()
    served.readiness()
    return time.monotonic() - began


UNREACHED = ("docker gone", "docker stuck", "prometheus", "alertmanager")


def test_an_engine_that_answers_is_not_degraded(served: Served) -> None:
    """The other side of the check, against a real engine."""
    services.requires("dockerd")
    with services.dockerd() as engine:
        served.configure(docker={"engines": {"local": engine.address}})
        served.start()
        services.wait_until(
            lambda: "docker local" in {check["name"] for check in served.readiness()[1]["checks"]}, "the first look"
        )
        found = degraded(served)

    assert "docker local" not in found
    assert "docker_unreachable" not in served.log()


def test_alerts_that_no_rule_is_for_are_logged_once_for_a_delivery(served: Served) -> None:
    """Somebody who tries a rule sees why nothing happens; a flood must not fill the disk."""
    served.configure()
    served.start()
    others = [{"alertname": f"Other{number}", "n": str(number)} for number in range(5)]
    deliver(served, *others, down())
    deliver(served, *others)
    lines = [line for line in served.log().splitlines() if "alert_matches_no_rule" in line]

    assert 1 == len(lines)
    assert "count=5" in lines[0]
    assert "'Other0, Other1, Other2'" in lines[0]


def test_the_admin_token_is_its_owners_alone_and_stays(served: Served) -> None:
    """Whoever reads it may approve plans; a new one at each start would lock scripts out."""
    served.configure()
    served.start()
    path = served.folder / "store" / "admin-token"
    first, modes = path.read_text(), (path.stat().st_mode & 0o777, path.parent.stat().st_mode & 0o777)
    served.stop()
    served.start()

    assert (0o600, 0o700) == modes
    assert first == path.read_text()
    assert first.strip() not in served.log()


def test_a_stop_ends_at_once_while_runs_wait_and_verify(served: Served) -> None:
    """A deployment must not wait for a person, nor for a proof that takes minutes."""
    served.configure(mode="auto", sustain="5m")
    served.start()
    deliver(served, down("web"))
    wait_for_stage(served, "acted")
    served.stop()
    served.configure(mode="gated", sustain="5m")
    served.start()
    deliver(served, down("api"))
    wait_for_stage(served, "acted", "drafted*")
    began = time.monotonic()
    code = served.stop()
    took = time.monotonic() - began

    assert 0 == code
    assert took < 60
    assert served.log().index("service_stopping") < served.log().index("service_stopped")
    assert "Traceback" not in served.log()


def test_a_run_that_waits_for_a_person_outlives_a_kill(served: Served) -> None:
    """The approval is bound to the plan, not to the process that asked."""
    served.configure()
    served.start()
    deliver(served, down())
    wait_for_stage(served, "drafted*")
    before = served.run()["waiting"]
    served.kill()
    served.start()
    after = served.run()["waiting"]
    approved = served.command("approve", served.run()["id"], "--plan", before["digest"][:16])
    services.wait_until(lambda: served.run()["outcome"] is not None, "the run to end")

    assert before == after
    assert 0 == approved.returncode, approved.stderr
    assert "healed" == served.run()["outcome"]
    assert (served.folder / "mended-web").exists()
    assert 1 == [fact["kind"] for fact in served.run()["timeline"]].count("started")


def basic(pair: str) -> dict[str, str]:
    return {"Authorization": f"Basic {base64.b64encode(pair.encode()).decode()}"}


def test_senders_name_themselves_by_token_or_user(served: Served) -> None:
    """Both are what Alertmanager's `http_config` can do."""
    served.configure(webhook={"tokens": ["old", "new"], "users": {"am": "pass:word"}})
    served.start()
    admin = (served.folder / "store" / "admin-token").read_text().strip()
    tried = {
        "old": {"Authorization": "Bearer old"},
        "new": {"Authorization": "bearer new"},
        "user": basic("am:pass:word"),
        "nobody": {},
        "wrong-token": {"Authorization": "Bearer newer"},
        "wrong-word": basic("am:pass"),
        "wrong-user": basic("ma:pass:word"),
        "admin": {"Authorization": f"Bearer {admin}"},
        "broken": {"Authorization": "Basic !!!"},
    }
    body = body_of({"alertname": "Other"})

    assert {"old": 202, "new": 202, "user": 202} == {
        name: status
        for name, headers in tried.items()
        if (status := served.ask("/api/v1/alerts", body=body, headers=headers)[0]) != 401
    }
    assert 401 == served.ask("/api/v1/runs", headers={"Authorization": "Bearer new"})[0]


def test_the_metrics_are_all_there_and_tell_nothing_of_alerts(served: Served) -> None:
    """They are open to whoever reaches the port, and a label of each alert would be a series of each alert."""
    served.configure()
    served.start()
    secret = "SecretCustomer"
    deliver(served, {**down(), "customer": secret}, {"alertname": secret, "service": "x"})
    wait_for_stage(served, "drafted*")
    found = served.series()
    _, text = served.ask("/metrics")
    shown = {line.split()[2] for line in text.decode().splitlines() if line.startswith("# TYPE ")}

    assert {metric.name for metric in Metrics().registry.collect()} == {
        name.removesuffix("_total") for name in shown if not name.endswith("_created")
    }
    assert 2 == found['remediator_alerts_total{ruling="opened"}']
    assert 1 == found['remediator_deliveries_total{status="202"}']
    assert 1 == found['remediator_runs_started_total{rule="web/down"}']
    assert 1 == found["remediator_ready"]
    assert secret not in text.decode()
