"""What an engine's statistics say that a container uses. Used by the docker client; it asks nobody."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Usage:
    """What a container uses now; 0 where the engine does not tell."""

    memory: int  # bytes, without what is only cached
    memory_limit: int  # bytes; the machine's memory where there is none
    cpu_percent: float  # of one core: two busy cores are 200
    pids: int


def usage_of(said: Mapping[str, Any]) -> Usage:
    """The usage in one answer of the engine's, which has two samples of the processor."""
    memory, pids = said.get("memory_stats") or {}, said.get("pids_stats") or {}
    details = memory.get("stats") or {}
    used = int(memory.get("usage") or 0)
    cached = int(details.get("total_inactive_file") or details.get("inactive_file") or 0)  # the first is of cgroup v1
    return Usage(
        memory=used - cached if cached < used else used,
        memory_limit=int(memory.get("limit") or 0),
        cpu_percent=_cpu_percent(said.get("cpu_stats") or {}, said.get("precpu_stats") or {}),
        pids=int(pids.get("current") or 0),
    )


def _cpu_percent(now: Mapping[str, Any], before: Mapping[str, Any]) -> float:
    """The share of one core between two samples, as `docker stats` works it out."""
    used = _total(now) - _total(before)
    passed = int(now.get("system_cpu_usage") or 0) - int(before.get("system_cpu_usage") or 0)
    cores = int(now.get("online_cpus") or 0) or len((now.get("cpu_usage") or {}).get("percpu_usage") or ()) or 1
    return round(100 * cores * used / passed, 1) if used > 0 and passed > 0 else 0.0


def _total(sample: Mapping[str, Any]) -> int:
    return int((sample.get("cpu_usage") or {}).get("total_usage") or 0)
