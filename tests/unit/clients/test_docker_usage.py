"""Statistics of both kinds of control groups are read as `docker stats` reads them."""

from typing import Any

import pytest

from remediator.clients.docker_usage import Usage, usage_of

V1: dict[str, Any] = {
    "memory_stats": {"usage": 1000, "limit": 4000, "stats": {"total_inactive_file": 300, "inactive_file": 7}},
    "pids_stats": {"current": 3},
    "cpu_stats": {"cpu_usage": {"total_usage": 600, "percpu_usage": [1, 2]}, "system_cpu_usage": 3000},
    "precpu_stats": {"cpu_usage": {"total_usage": 100}, "system_cpu_usage": 2000},
}
V2: dict[str, Any] = {
    "memory_stats": {"usage": 1000, "limit": 4000, "stats": {"inactive_file": 200}},
    "pids_stats": {"current": 3, "limit": 100},
    "cpu_stats": {"cpu_usage": {"total_usage": 600}, "system_cpu_usage": 3000, "online_cpus": 4},
    "precpu_stats": {"cpu_usage": {"total_usage": 100}, "system_cpu_usage": 2000, "online_cpus": 4},
}


@pytest.mark.parametrize(
    ("said", "usage"),
    [
        (V1, Usage(memory=700, memory_limit=4000, cpu_percent=100.0, pids=3)),
        (V2, Usage(memory=800, memory_limit=4000, cpu_percent=200.0, pids=3)),
        ({}, Usage(0, 0, 0.0, 0)),
        (dict.fromkeys(V1), Usage(0, 0, 0.0, 0)),
        ({**V2, "precpu_stats": {}}, Usage(800, 4000, 80.0, 3)),
        ({**V2, "precpu_stats": V2["cpu_stats"]}, Usage(800, 4000, 0.0, 3)),
        ({**V2, "memory_stats": {"usage": 5, "stats": {"inactive_file": 9}}}, Usage(5, 0, 200.0, 3)),
    ],
    ids=["cgroup v1", "cgroup v2", "nothing", "nulls", "first sample", "no time between", "more cached than used"],
)
def test_usage_is_read(said: dict[str, Any], usage: Usage) -> None:
    """An engine that leaves things out is no reason to break."""
    assert usage == usage_of(said)
