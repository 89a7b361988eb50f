"""The branches that change something for a while, or for good, with every part real: played on to the putting back.

ServiceDown's memory is raised for good, so a person has it put back; HighEscalationRate's tolerance is put back by
itself where it has not helped, though the alert goes on. (Where it has, see test_high_escalation.)
"""

from pathlib import Path

from remediator.testing.slack import SlackStandIn
from tests import services
from tests.acceptance import world
from tests.acceptance.test_high_escalation import chain, run_backend
from tests.acceptance.world import SERVICE, World

_LIMIT = 120.0
_MIB = 1024**2
_EIGHT_GIB = 8 * 1024**3


def limit_of(told: World) -> int:
    return int(told.inspect(SERVICE)["HostConfig"]["Memory"])


def undo(told: World, *options: str) -> tuple[int, str]:
    """The exit code of `remediator undo` for the one run, and all that it says."""
    done = told.served.command("undo", told.served.run()["id"], *options)
    return done.returncode, done.stdout + done.stderr


def of_memory(told: World) -> str:
    """What has become of the change to the memory; the restart after it cannot be put back."""
    (found,) = [one for one in told.served.run()["changes"] if one["action"] == "docker.set_memory"]
    return str(found["stands"])


def take_memory(told: World) -> None:
    """Some 100 MiB in the service's container, until that is restarted."""
    taken = "x=$(head -c 100000000 /dev/zero | /bin/busybox tr '\\000' x); while true; do sleep 1; done"
    with services.docker_api(told.engine) as api:
        api.exec_start(api.exec_create(SERVICE, ["/bin/sh", "-c", taken])["Id"], detach=True)


def in_use(told: World) -> int:
    """The memory that the service has taken, in bytes."""
    with services.docker_api(told.engine) as api:
        return int(api.stats(SERVICE, stream=False)["memory_stats"].get("usage", 0))


def test_memory_that_was_raised_is_put_back_once_nobody_needs_it(docker_engine: str, tmp_path: Path) -> None:
    """Not before: a limit below what is in use would have the kernel kill the service that was healed."""
    with world.octollm(docker_engine, tmp_path, world.LEAKING, mem_limit="64m", memswap_limit="64m") as told:
        told.run_in(SERVICE, "/bin/busybox", "touch", "/tmp/leak")
        services.wait_until(
            lambda: any(run["waiting"] for run in told.served.runs()), "the plan to wait for a person", limit=_LIMIT
        )
        waiting = told.served.run()
        told.served.command("approve", waiting["id"], "--plan", waiting["waiting"]["digest"])
        services.wait_until(lambda: told.outcome() == "healed", "the run to heal", limit=_LIMIT)
        raised = limit_of(told)
        take_memory(told)
        services.wait_until(lambda: in_use(told) > 90 * _MIB, "the service to need more than it had")
        too_early, stayed = undo(told), limit_of(told)
        with services.docker_api(docker_engine) as api:
            api.restart(SERVICE, timeout=1)
        services.wait_until(told.is_well, "the service to be well again")
        in_time = undo(told)

        assert (_EIGHT_GIB, _EIGHT_GIB, 64 * _MIB) == (raised, stayed, limit_of(told))
        assert 1 == too_early[0], too_early
        assert "so a limit of 64 MiB would kill it; nothing was done" in too_early[1]
        assert 0 == in_time[0], in_time
        assert ("healed", "was put back") == (told.outcome(), of_memory(told))
        assert told.is_well()


def test_a_tolerance_that_has_not_helped_is_put_back_though_the_alert_goes_on(
    docker_engine: str, slack: SlackStandIn, tmp_path: Path
) -> None:
    """A wide tolerance that hides nothing and mends nothing is one more fault for the person who is told."""
    tolerance = tmp_path / "tolerance"
    tolerance.symlink_to("0.15")
    with chain(docker_engine, slack, tmp_path) as it:
        it.remediator.stop()
        pack = tmp_path / "rules" / "fractal-lba.yaml"
        times = {"sustain: 1m\n": "sustain: 2s\n", "within: 20m\n": "within: 12s\n", "every: 15s\n": "every: 1s\n"}
        shorter = pack.read_text()
        for shipped, ours in times.items():
            shorter = shorter.replace(shipped, ours)
        assert shorter != pack.read_text()
        pack.write_text(shorter)
        it.remediator.start()
        run_backend(docker_engine)
        it.exporter.escalated_of_hundred = 10
        it.wait_for_fact("asked")
        it.approve()
        services.wait_until(lambda: str(tolerance.readlink()) == "0.20", "the tolerance to be raised")
        services.wait_until(lambda: bool(it.remediator.runs()[0]["outcome"]), "the run to end", limit=_LIMIT)
        (run,) = it.remediator.runs()

        assert ("not healed", ["was put back"]) == (run["outcome"], [change["stands"] for change in run["changes"]])
        assert "0.15" == str(tolerance.readlink())
        assert 10 == it.exporter.escalated_of_hundred
