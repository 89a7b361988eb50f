"""`remediator send`: what is sent looks like Alertmanager's, and a token goes to nobody else."""

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click
import pytest

from remediator.cli import main
from remediator.cli.send import parse_pairs, payload
from remediator.cli.service import Service
from remediator.model.alert import fingerprint_of
from tests.unit.cli.calling import ROOT, answering, call

pytestmark = pytest.mark.usefixtures("dead_proxy")

PAYLOADS = ROOT / "tests" / "payloads"
NOON = datetime(2026, 1, 1, 12, 0, tzinfo=UTC)


@pytest.mark.parametrize("name", ["firing", "resolved"])
def test_what_is_sent_looks_like_alertmanagers_own(name: str) -> None:
    """A rule that works with `send` has to work in earnest: the same fields, types and fingerprint."""
    real = json.loads((PAYLOADS / f"recorded-0.25-{name}.json").read_text())
    (alert,) = real["alerts"]
    ours = payload(alert["labels"], alert["annotations"], resolved=name == "resolved", at=NOON)

    assert shape_of(real) == shape_of(ours)
    assert alert["fingerprint"] == ours["alerts"][0]["fingerprint"]
    for key in ("version", "status", "groupKey", "groupLabels", "commonLabels", "truncatedAlerts"):
        assert real[key] == ours[key]
    assert (alert["endsAt"] == "0001-01-01T00:00:00Z") == (ours["alerts"][0]["endsAt"] == "0001-01-01T00:00:00Z")


def shape_of(value: Any) -> Any:
    """The types of a JSON value, with the keys of objects."""
    if isinstance(value, dict):
        return {key: shape_of(item) for key, item in value.items()}
    return [shape_of(item) for item in value] if isinstance(value, list) else type(value).__name__


@pytest.mark.parametrize(
    ("given", "labels"),
    [
        (["a=b"], {"a": "b"}),
        (["url=http://x/?a=b&c=d"], {"url": "http://x/?a=b&c=d"}),
        (["a="], {"a": ""}),
        (["a=b=c", "d=="], {"a": "b=c", "d": "="}),
        (["a=1", "a=2"], {"a": "2"}),
        (["a= spaces "], {"a": " spaces "}),
    ],
)
def test_a_label_may_hold_anything_after_the_first_equals_sign(given: list[str], labels: dict[str, str]) -> None:
    """URLs and selectors have more of them."""
    context = click.Context(main)

    assert labels == parse_pairs(context, click.Option(["-l"]), tuple(given))


def test_send_posts_one_alert_with_its_labels() -> None:
    """The name is the argument's, whatever a label says; an empty label is none, as in Alertmanager."""
    with answering() as (url, asked):
        result = call(
            "send", "Down", "-l", "service=web", "-l", "alertname=Other", "-l", "e=", "-a", "s=t", "--url", url
        )
    ((verb, path, _, body),) = asked
    (alert,) = json.loads(body)["alerts"]

    assert (0, 1) == (result.exit_code, len(result.output.splitlines()))
    assert (
        "accepted: Down firing. If no run appears in `remediator runs list`, it was open already (see: remediator "
        "alerts), or no rule matches it; why not, says: remediator explain Down -l service=web\n"
    ) == result.output
    assert ("POST", "/api/v1/alerts") == (verb, path)
    assert {"alertname": "Down", "service": "web"} == alert["labels"]
    assert ("firing", {"s": "t"}, fingerprint_of(alert["labels"])) == (
        alert["status"],
        alert["annotations"],
        alert["fingerprint"],
    )


def test_send_names_the_command_that_explains_the_alert_to_a_shell(tmp_path: Path) -> None:
    """It is copied as it stands: with the same settings, and quoted where a shell would read it otherwise."""
    (tmp_path / "my own.yaml").write_text("{}\n".replace("{}", "mode_ceiling: suggest"))
    with answering() as (url, _):
        result = call("-c", "my own.yaml", "send", "Down now", "-l", "path=$(x) y", "-l", "e=", "--url", url)

    assert result.output.endswith(": remediator -c 'my own.yaml' explain 'Down now' -l 'path=$(x) y'\n")


@pytest.mark.parametrize(
    ("settings", "authorization"),
    [
        ("webhook: {tokens: [first, second]}", "Bearer first"),
        ("webhook: {users: {am: pass}}", "Basic YW06cGFzcw=="),
        ("token: api-token", "Bearer api-token"),
        ("{}", ""),
    ],
)
def test_send_names_itself_as_a_sender_that_the_settings_know(
    tmp_path: Path, settings: str, authorization: str
) -> None:
    """The API's token is not the webhook's."""
    with answering() as (url, asked):
        listen = url.removeprefix("http://")
        (tmp_path / "remediator.yaml").write_text(f"listen: {listen}\n{settings}\n".replace("{}\n", ""))
        results = [call("send", "Down", *where) for where in ([], ["--url", url], ["--url", f"{url}/"])]

    assert [0] * 3 == [result.exit_code for result in results]
    assert {authorization} == {said for _, _, said, _ in asked}


@pytest.mark.parametrize(
    ("settings", "authorization"),
    [
        ("webhook: {tokens: [first, second]}", ""),
        ("webhook: {users: {am: pass}}", ""),
        ("webhook: {tokens: [first]}\ntoken: given", "Bearer given"),
    ],
)
def test_send_tells_no_secret_of_the_webhook_to_another_address(
    tmp_path: Path, settings: str, authorization: str
) -> None:
    """Whoever listens there could send alerts with it; and with the API's token, approve plans."""
    (tmp_path / "store").mkdir()
    (tmp_path / "store" / "admin-token").write_text("local")
    (tmp_path / "remediator.yaml").write_text(f"store: {{directory: store}}\n{settings}\n")
    with answering() as (url, asked):
        result = call("send", "Down", "--url", url)

    assert 0 == result.exit_code
    assert authorization == asked[0][2]


@pytest.mark.parametrize(
    ("host", "token", "sent"),
    [
        ("127.0.0.1", "", "Bearer local"),
        ("localhost", "", "Bearer local"),
        ("elsewhere.example", "", ""),
        ("127.0.0.1.elsewhere.example", "", ""),
        ("localhost.elsewhere.example", "", ""),
        ("elsewhere.example", "given", "Bearer given"),
    ],
)
def test_the_local_token_goes_to_this_machine_only(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, host: str, token: str, sent: str
) -> None:
    """Whoever listens elsewhere could approve plans with it; a token that was given goes where it was told to."""
    (tmp_path / "store").mkdir()
    (tmp_path / "store" / "admin-token").write_text("local")
    (tmp_path / "remediator.yaml").write_text("store: {directory: store}\n")
    if token:
        monkeypatch.setenv("REMEDIATOR_TOKEN", token)
    with click.Context(main, obj=None) as context:
        service = Service.of(context, f"http://{host}:1")

    assert (sent.removeprefix("Bearer ") or None) == service.token


@pytest.mark.parametrize(("url", "is_ours"), [
    ("http://127.0.0.1:9099", True),
    ("http://LOCALHOST:9099/", True),
    ("http://[::1]:9099", True),
    ("http://127.0.0.1:9098", False),
    ("https://127.0.0.1:9099", False),
    ("http://elsewhere.example:9099", False),
])  # fmt: skip
def test_an_address_is_compared_by_what_it_leads_to(url: str, is_ours: bool) -> None:
    """The default address is written in many ways."""
    with click.Context(main, obj=None) as context:
        assert is_ours == Service.of(context, url).is_ours
