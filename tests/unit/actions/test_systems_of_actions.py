"""What the built-in actions talk to: what shares a name shares a limit and a breaker."""

from typing import Any

import pytest

from remediator.errors import Failed
from remediator.plugins import Actions

ACTIONS = Actions.installed()


@pytest.mark.parametrize(
    ("name", "params", "system"),
    [
        ("docker.inspect", {"container": "web"}, "docker:local"),
        ("docker.restart", {"container": "web", "engine": "east"}, "docker:east"),
        ("docker.set_memory", {"container": "web", "limit": "8g"}, "docker:local"),
        ("docker.count_logs", {"container": "web", "patterns": {"a": "a"}}, "docker:local"),
        ("redis.ping", {"server": "cache"}, "redis:cache"),
        ("redis.config_set", {"server": "cache", "parameter": "timeout", "value": 9}, "redis:cache"),
        ("alertmanager.silence", {"labels": {"alertname": "Down"}}, "alertmanager"),
        ("postgres.ready", {}, "postgres:default"),
        ("postgres.connections", {}, "postgres:default"),
        ("prometheus.query", {"query": "up"}, "prometheus"),
        ("http.get", {"url": "http://LOCALHOST:8080/health"}, "http:127.0.0.1:8080"),
        ("http.post", {"url": "https://10.0.0.5/x"}, "http:10.0.0.5:443"),
        ("http.get", {"url": "http://[2001:db8::1]:80/"}, "http:%5B2001%3Adb8%3A%3A1%5D:80"),
        ("tcp.connect", {"host": "Redis", "port": 6379}, "tcp:redis:6379"),
        ("files.disk", {"root": "wal"}, "files:wal"),
        ("files.rotate", {"root": "wal", "pattern": "*.wal", "keep": 3, "min_age": "1h"}, "files:wal"),
        ("command.run", {"command": "look"}, "command:look"),
    ],
)
def test_an_action_says_what_it_talks_to(name: str, params: dict[str, Any], system: str) -> None:
    """The engine that hangs, not the container, is what is left alone."""
    action = ACTIONS[name]

    assert system == action.system_of(action.params.model_validate(params)).name


def test_every_family_names_its_own_systems() -> None:
    """One that names none shares a limit with all of its kind; of these two there is only one."""
    assert {"alertmanager.silence", "prometheus.query"} == {
        name for name, action in ACTIONS.items() if action.system is None
    }


def test_only_files_and_commands_are_of_this_machine() -> None:
    """Nothing else is exempt from breakers."""
    here = {
        name.partition(".")[0]
        for name, params in [
            ("files.disk", {"root": "wal"}),
            ("command.run", {"command": "look"}),
            ("docker.inspect", {"container": "web"}),
            ("redis.ping", {}),
            ("http.get", {"url": "http://127.0.0.1/"}),
        ]
        if ACTIONS[name].system_of(ACTIONS[name].params.model_validate(params)).is_here
    }

    assert {"files", "command"} == here


def test_a_url_that_is_none_names_no_system() -> None:
    """The message is the one that the call itself would have."""
    action = ACTIONS["http.get"]
    with pytest.raises(Failed, match="is not a URL"):
        action.system_of(action.params.model_validate({"url": "nonsense"}))
