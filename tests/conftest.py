"""Fixtures that every test can use. Real services come from `tests.services`, one copy for the session."""

import asyncio
import os
from collections.abc import AsyncIterator, Iterator
from itertools import count
from pathlib import Path

import hypothesis
import pytest
import structlog

from tests import services
from tests.served import Served

# The same examples in every run, so that a change is to blame for what fails; others: --hypothesis-profile=default
hypothesis.settings.register_profile("repeatable", derandomize=True)
hypothesis.settings.load_profile("repeatable")


@pytest.fixture(autouse=True)
async def _no_task_left_behind() -> AsyncIterator[None]:
    """A test that leaves a task running hides a leak, or fails another test later: so it fails itself."""
    yield
    left = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
    for task in left:
        task.cancel()
    await asyncio.gather(*left, return_exceptions=True)
    if left:
        pytest.fail(f"tasks left behind: {', '.join(sorted(map(str, left)))}", pytrace=False)


@pytest.fixture(autouse=True)
def _logs_as_they_were() -> Iterator[None]:
    """A command that a test calls sets up the logs of its process, which is this one."""
    yield
    structlog.reset_defaults()


@pytest.fixture
def away(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """In an empty folder: neither a settings file nor variables of the machine may reach the test."""
    monkeypatch.chdir(tmp_path)
    for name in [name for name in os.environ if name.upper().startswith("REMEDIATOR_")]:
        monkeypatch.delenv(name)


@pytest.fixture(scope="session")
def docker_of_session() -> Iterator[str]:
    """The engine behind `docker_engine`: starting one takes a while."""
    services.requires("dockerd", "containerd", "runc", "busybox")
    with services.dockerd() as engine:
        services.import_busybox_image(engine.address, "busybox")
        yield engine.address


@pytest.fixture
def docker_engine(docker_of_session: str) -> Iterator[str]:
    """The address (`unix://…`) of a private Docker engine with an image called `busybox`, and no containers."""
    yield docker_of_session
    services.remove_containers(docker_of_session)


@pytest.fixture(scope="session")
def prometheus_url() -> Iterator[str]:
    """A private Prometheus that scrapes itself."""
    services.requires("prometheus")
    with services.prometheus() as running:
        yield running.address


@pytest.fixture
def alertmanager_url() -> Iterator[str]:
    """A private Alertmanager that tells nobody; each test has its own, as its alerts cannot be deleted."""
    services.requires("prometheus-alertmanager")
    with services.alertmanager(route={"group_by": ["alertname"]}) as running:
        yield running.address


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[services.Postgres]:
    """A private PostgreSQL that trusts everybody, for tests that leave it as it is."""
    services.requires("postgres", "initdb", "pg_isready", "psql")
    with services.postgresql() as running:
        running.sql("CREATE ROLE remediator LOGIN")
        yield running


@pytest.fixture
def served(tmp_path: Path) -> Iterator[Served]:
    """The service, not started yet; it is ended at last."""
    made = Served(tmp_path)
    yield made
    made.end()


_databases = count(1)


@pytest.fixture
def new_database(postgres_server: services.Postgres) -> str:
    """The URL of an empty database of the test's own, whose owner is not the superuser."""
    name = f"store_{next(_databases)}"
    postgres_server.sql(f"CREATE DATABASE {name} OWNER remediator")
    return f"postgresql://remediator@{postgres_server.address}/{name}"
