"""Calls of `remediator explain` and `alerts`, with rules in the working folder, and a service that has alerts."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any

from click.testing import CliRunner, Result

from remediator.cli import main
from tests.unit.cli.calling import listening

PAYLOADS = Path(__file__).parents[3] / "tests" / "payloads"
RULES = r"""
pack: web
rules:
  - name: down
    summary: "{{ labels.service }} is down"
    match: ['alertname="Down"', 'service=~"web|db"']
    mode: auto
    group_by: [service]
    diagnose:
      mark: {command.run: {command: look}}
      lines: {command.run: {command: "{{ steps.mark.stdout }}"}}
    remediate:
      - name: by hand
        when: steps.mark.exit_code == 77
        tell: "look at {{ labels.service }}: {{ steps.mark.stderr }}"
      - name: mend
        when: steps.mark.exit_code != 0
        gate: {approvers: [sre], quorum: 2}
        do: [{command.run: {command: mend, parameters: {service: "{{ labels.service }}"}}}]
        verify:
          {settle: 1s, sustain: 2s, within: 1m, checks: [{command.run: {command: look}, expect: result.exit_code == 0}]}
  - name: other
    match: ['alertname="Down"', 'service="mail"']
  - name: rest
    match: ['alertname=~"Down|Up"']
  - name: last
    match: ['alertname="Down"']
"""
SETTINGS = """
rules: [rules.yaml]
mode_ceiling: gated
commands:
  mend: {argv: [touch, mended], parameters: {service: {}}, effect: change, target: "{service}"}
  look: {argv: ["false"], effect: read}
"""


def write_rules(folder: Path) -> None:
    """The settings and rules of a folder."""
    (folder / "remediator.yaml").write_text(SETTINGS)
    (folder / "rules.yaml").write_text(RULES)


def call(*arguments: str, given: bytes | None = None) -> Result:
    return CliRunner().invoke(main, arguments, input=given)


def as_json(*arguments: str) -> dict[str, Any]:
    shown: dict[str, Any] = json.loads(call("explain", "-o", "json", *arguments).stdout)
    return shown


URL = "http://127.0.0.1:9"
MONITORING = {
    "webhook": ("", "what the webhook has said last"),
    "prometheus": (f"prometheus: {{url: '{URL}'}}\n", "Prometheus"),
    "not its alerts": (f"prometheus: {{url: '{URL}', raises_alerts: false}}\n", "what the webhook has said last"),
    "both": (f"prometheus: {{url: '{URL}'}}\nalertmanager: {{url: '{URL}'}}\n", "Alertmanager"),
}
STORED = {
    "fingerprint": "own-2fc4c353ef13c5b1",
    "labels": {"alertname": "Down", "service": "db"},
    "annotations": {"summary": "it is down"},
    "startsAt": "2026-01-31T12:00:00Z",
    "opened_at": "2026-01-31T12:00:00Z",
    "heard_at": "2026-01-31T12:00:01Z",
    "closed_at": None,
    "doubtful": False,
}


@contextmanager
def serving(pages: dict[str, Any]) -> Iterator[tuple[str, list[str]]]:
    """A service that answers these paths, and 404 to others; its URL, and what it was asked."""
    asked: list[str] = []

    class Answer(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append(self.path)
            found = pages.get(self.path)
            body = json.dumps({"error": "there is no such thing"} if found is None else found).encode()
            self.send_response(404 if found is None else 200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - its name there
            """Quiet."""

    with listening(Answer) as url:
        yield url, asked
