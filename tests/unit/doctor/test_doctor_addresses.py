"""The doctor, and `check`, tell of addresses in rules that `http.allow` or `tcp.allow` never let a step reach."""

from pathlib import Path
from typing import Any

import pytest

from remediator.doctor.allowed import forbidden
from remediator.plugins import Actions
from remediator.rules.loading import check_files
from remediator.settings import Settings

RULES = """
pack: web
vars: {url: "http://10.0.0.7:8080/health"}
rules:
  - name: full
    match: ['alertname="Full"']
    diagnose: {look: STEP}
"""
HERE: dict[str, Any] = {"http": {"allow": ["127.0.0.0/8", "fd00::/8"]}, "tcp": {"allow": ["10.0.0.0/8"]}}


def refused(action: str, host: str) -> str:
    setting = f"{action.partition('.')[0]}.allow"
    return (
        f"{action} may not connect to {host}, which is in none of the networks of {setting}; "
        f"if it may, add its network to {setting}, else leave the step out"
    )


@pytest.mark.parametrize(
    ("step", "settings", "expected"),
    [
        ('http.get: {url: "http://10.0.0.7:8080/health"}', HERE, [refused("http.get", "10.0.0.7")]),
        ('http.get: {url: "{{ vars.url }}"}', HERE, [refused("http.get", "10.0.0.7")]),
        ('http.get: {url: "http://[fe80::1]/health"}', HERE, [refused("http.get", "fe80::1")]),
        ('http.get: {url: "http://10.0.0.7/"}', {}, []),  # that no network is named at all is told once, for all rules
        ("tcp.connect: {host: 127.0.0.1, port: 80}", HERE, [refused("tcp.connect", "127.0.0.1")]),
        ('http.get: {url: "http://127.0.0.1/health"}', HERE, []),
        ('http.get: {url: "http://[::ffff:127.0.0.1]/health"}', HERE, []),
        ('http.get: {url: "http://[fd00::1]/health"}', HERE, []),
        ("tcp.connect: {host: 10.0.0.7, port: 80}", HERE, []),
        ('http.get: {url: "http://web.example/health"}', HERE, []),
        ("tcp.connect: {host: db, port: 5432}", HERE, []),
        ('http.get: {url: "http://{{ labels.instance }}/health"}', HERE, []),
        ('tcp.connect: {host: "{{ labels.instance }}", port: 80}', HERE, []),
    ],
)
def test_an_address_that_may_not_be_reached_is_told(
    tmp_path: Path, step: str, settings: dict[str, Any], expected: list[str]
) -> None:
    """It would fail when it is needed; where a name or a label leads, only the moment tells."""
    (tmp_path / "web.yaml").write_text(RULES.replace("STEP", f"{{{step}}}"))
    mistakes, book = check_files([tmp_path], Actions.installed())
    assert [] == mistakes
    assert book is not None

    assert expected == [what for _, what in forbidden(Settings.model_validate(settings), book)]
