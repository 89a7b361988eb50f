"""Our matchers route alerts as the real Alertmanager's do: `amtool config routes test` is the oracle.

Debian's 0.25 knows the classic grammar only, so the matchers here are those that it can read.
"""

import json
import subprocess
from pathlib import Path

import pytest

from remediator.model.matchers import parse_matchers
from tests import services

_MATCHERS = (
    'alertname="Down"',
    "alertname=Down",
    'alertname!="Down"',
    'alertname=~"Down|Gone"',
    'alertname=~"Do.n"',
    'alertname=~"D"',
    'alertname!~"Do.*"',
    'alertname=~".*"',
    'alertname=~".+"',
    'team=""',
    'team!=""',
    'team=~""',
    'team!~".+"',
    "team=ops,alertname=Down",
    '{team="ops", alertname=~"D.*",}',
    r'path="C:\\temp"',
    r'path=~"C:\\\\t.*"',
    r'path="say \"hi\""',
    'path=~"a.b"',
    'path=~"(?i)ABC"',
    'path=~"(a|b)c{2,3}"',
    'path=~"[[:alpha:]]+"',
    r'path=~"\\d+"',
    'path="größe"',
    'path=~"gr.{1,2}ße"',
)
_ALERTS = (
    {"alertname": "Down"},
    {"alertname": "Gone", "team": "ops"},
    {"alertname": "Down", "team": "ops"},
    {"alertname": "D"},
    {"alertname": "Downtown", "team": "dev"},
    {"alertname": "x", "path": "C:\\temp"},
    {"alertname": "x", "path": 'say "hi"'},
    {"alertname": "x", "path": "a\nb"},
    {"alertname": "x", "path": "aXb"},
    {"alertname": "x", "path": "abc"},
    {"alertname": "x", "path": "acc"},
    {"alertname": "x", "path": "bcccc"},
    {"alertname": "x", "path": "42"},
    {"alertname": "x", "path": "größe"},
)


@pytest.fixture(scope="module")
def config(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One route for each matcher, each with a receiver of its own."""
    services.requires("amtool")
    names = [f"r{number}" for number in range(len(_MATCHERS))]
    routes = [{"receiver": n, "matchers": [m], "continue": True} for n, m in zip(names, _MATCHERS, strict=True)]
    path = tmp_path_factory.mktemp("amtool") / "config.json"
    path.write_text(
        json.dumps(
            {
                "route": {"receiver": "nobody", "routes": routes},
                "receivers": [{"name": name} for name in ("nobody", *names)],
            }
        )
    )
    return path


@pytest.mark.parametrize("labels", _ALERTS, ids=str)
def test_an_alert_matches_here_what_it_matches_there(config: Path, labels: dict[str, str]) -> None:
    """People copy matchers from their routes, and expect the same alerts."""
    said = subprocess.run(
        [
            "amtool",
            "config",
            "routes",
            "test",
            f"--config.file={config}",
            *(f"{n}={json.dumps(v, ensure_ascii=False)}" for n, v in labels.items()),
        ],
        capture_output=True,
        text=True,
        check=True,
    ).stdout.strip()
    there = {_MATCHERS[int(name[1:])] for name in said.split(",") if name != "nobody"}
    here = {text for text in _MATCHERS if all(matcher.matches(labels) for matcher in parse_matchers(text))}

    assert there == here
