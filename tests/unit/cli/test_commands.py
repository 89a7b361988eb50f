"""The command line without a service: what it prints, what it refuses, its exit codes, and that it starts fast."""

import getpass
import http.server
import json
import os
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click
import pytest
from click.testing import CliRunner, Result

from remediator.cli import main
from remediator.cli.check import _escaped
from remediator.cli.send import parse_pairs, payload
from remediator.cli.service import Service
from remediator.model.alert import fingerprint_of
from tests import services

ROOT = Path(__file__).parents[3]
PAYLOADS = ROOT / "tests" / "payloads"
NOON = datetime(2026, 1, 1, 12, 0, tzinfo=UTC)

GOOD = """
pack: web
rules:
  - name: down
    summary: it is down
    match: ['alertname="Down"']
    diagnose: {page: {http.get: {url: "http://127.0.0.1/"}}}
"""
BAD = GOOD.replace("http.get", "http.gett").replace("summary:", "sumary:")


@pytest.fixture(autouse=True)
def _clean(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Neither a settings file nor variables of the machine may reach a test; a proxy must not matter."""
    monkeypatch.chdir(tmp_path)
    for name in [name for name in os.environ if name.upper().startswith("REMEDIATOR_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")


def call(*arguments: str) -> Result:
    return CliRunner().invoke(main, arguments)


def told(result: Result) -> tuple[int, list[str]]:
    return result.exit_code, result.output.splitlines()


COMMANDS = main.list_commands(click.Context(main))


def test_help_lists_every_command() -> None:
    """It is where people look first."""
    result = call("--help")

    assert 0 == result.exit_code
    assert [] == [name for name in COMMANDS if f"\n  {name} " not in result.output]


@pytest.mark.parametrize("command", [*[[name] for name in COMMANDS], ["runs", "list"], ["runs", "show"]], ids=" ".join)
def test_every_command_has_its_help(command: list[str]) -> None:
    """And its module can be imported, which happens only when it is called."""
    result = call(*command, "--help")

    assert 0 == result.exit_code
    assert result.output.startswith("Usage: ")


@pytest.mark.parametrize(
    "arguments",
    [
        ["nonsense"],
        ["runs", "list", "--limit", "0"],
        ["runs", "list", "--limit", "501"],
        ["deny", "r1"],
        ["approve"],
        ["send"],
        ["send", "Down", "-l", "no-equals-sign"],
        ["send", "Down", "-a", "=no-name"],
        ["check", "-o", "yaml"],
        ["send", "Down", "--url", "ftp://127.0.0.1/"],
        ["send", "Down", "--url", "nonsense"],
        ["runs", "list", "--url", "http://[::1/"],
        ["runs", "list", "--url", "http://127.0.0.1:port/"],
    ],
    ids=" ".join,
)
def test_wrong_usage_ends_with_two(arguments: list[str]) -> None:
    """Scripts tell it apart from a service that is away."""
    assert 2 == call(*arguments).exit_code


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["aprove", "r1"], "No such command 'aprove'. Did you mean 'approve'?"),
        (["runs", "lst"], "No such command 'lst'. Did you mean 'list'?"),
        (["xyzzy"], "No such command 'xyzzy'.\n"),
        (["runs", "list", "--outcome", "nonsens"], "'resolved by itself'"),
        (["approve", "r1", "--plan", ""], "--plan is empty; give at least 8 characters of the plan's digest"),
        (["approve", "r1", "--plan", "  "], "--plan is empty; give at least 8 characters of the plan's digest"),
        (["approve", "r1", "--plan", "0308d01"], "--plan 0308d01 is too short; give at least 8 characters"),
        (
            ["actions", "docker.restrat"],
            "there is no action docker.restrat; did you mean docker.restart? See all: remed",
        ),
        (["actions", "disk"], "there is no action disk; did you mean files.disk? See all: remediator actions"),
        (["actions", "system.disk"], "did you mean files.disk? See all"),
        (["actions", "redis"], "did you mean redis.config_set or redis.ping? See all"),
        (["actions", "ping"], "did you mean redis.ping? See all"),
        (["actions", "xyzzy"], "there is no action xyzzy; See all: remediator actions"),
        (["schema", "rule"], "'rules', 'settings'"),
        (["completion", "tcsh"], "'bash', 'zsh', 'fish'"),
        (["send", "Down", "-l", "service"], "'service': write it as name=value, such as service=web"),
    ],
)
def test_wrong_usage_says_what_is_right(arguments: list[str], said: str) -> None:
    """An empty variable of a script must not approve whatever waits; a typing mistake is told with its remedy."""
    result = call(*arguments)

    assert 2 == result.exit_code
    assert said in result.stderr


@pytest.mark.parametrize("arguments", [["send", "Down"], ["runs", "list"], ["approve", "r1"], ["serve"]])
def test_mistakes_of_the_settings_end_with_two_and_have_their_places(arguments: list[str], tmp_path: Path) -> None:
    """Whatever was asked for, it is told where to mend what."""
    (tmp_path / "remediator.yaml").write_text("slak: {}\nmode_ceiling: gatted\n")
    result = call(*arguments)

    assert 2 == result.exit_code
    assert [
        "remediator.yaml:1:1: `slak` is not known here; did you mean `slack`?",
        "remediator.yaml:2:15: `mode_ceiling` is one of 'observe', 'suggest', 'gated' or 'auto'; did you mean `gated`?",
    ] == result.stderr.splitlines()[:-1]
    assert "name another file before the command: remediator -c FILE" in result.stderr.splitlines()[-1]


def test_a_settings_file_that_is_not_there_ends_with_two() -> None:
    """To go on with the defaults would look like working."""
    result = call("-c", "gone.yaml", "runs", "list")

    assert 2 == result.exit_code
    assert result.stderr.startswith("gone.yaml: cannot be read: No such file or directory\n")


def test_good_rules_check_out(tmp_path: Path) -> None:
    """What CI runs on every change of a rule."""
    (tmp_path / "good.yaml").write_text(GOOD)
    as_text, as_json = call("check", "good.yaml"), call("check", "-o", "json", "good.yaml")

    assert (0, ["ok: 1 rule"]) == told(as_text)
    nothing: dict[str, Any] = {"mistakes": [], "rules": 1, "held": [], "notes": [], "settings": []}
    assert (0, nothing) == (as_json.exit_code, json.loads(as_json.output))


def test_bad_rules_are_told_with_their_places(tmp_path: Path) -> None:
    """Every mistake at once, in a form that editors jump to and in one that scripts read."""
    (tmp_path / "bad.yaml").write_text(BAD)
    as_text, as_json = call("check", "bad.yaml"), call("check", "-o", "json", "bad.yaml")
    found = json.loads(as_json.stdout)["mistakes"]

    assert (1, 1) == (as_text.exit_code, as_json.exit_code)
    assert [("bad.yaml", 5), ("bad.yaml", 7)] == sorted({(m["file"], m["line"]) for m in found})
    assert [f"{m['file']}:{m['line']}:{m['column']}: {m['what']}" for m in found] == as_text.stdout.splitlines()
    assert [f"{len(found)} mistakes"] == as_text.stderr.splitlines()


def test_the_rules_of_the_settings_are_checked_where_none_are_named(tmp_path: Path) -> None:
    """`remediator check` alone answers whether `serve` would start."""
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "bad.yaml").write_text(BAD)
    (tmp_path / "remediator.yaml").write_text("rules: [mine]\n")
    result = call("check")

    assert 1 == result.exit_code
    assert "mine/bad.yaml:5:" in result.stdout


def test_mistakes_become_annotations_of_a_workflow(tmp_path: Path) -> None:
    """GitHub shows them at their lines; the file's path is the one from the folder of the checkout."""
    (tmp_path / "a,b:c").mkdir()
    (tmp_path / "a,b:c" / "bad.yaml").write_text(BAD.replace("Down", "100%"))
    (tmp_path / "remediator.yaml").write_text(f"rules: [{json.dumps(str(tmp_path / 'a,b:c'))}]\n")
    as_github, as_json = call("check", "-o", "github"), call("check", "-o", "json")
    found = json.loads(as_json.stdout)["mistakes"]

    assert (1, 1) == (as_github.exit_code, as_json.exit_code)
    assert [
        f"::error file=a%2Cb%3Ac/bad.yaml,line={m['line']},col={m['column']},title=remediator::{m['what']}"
        for m in found
    ] == as_github.stdout.splitlines()
    assert ["2 mistakes"] == as_github.stderr.splitlines()


@pytest.mark.parametrize(
    ("text", "of_property", "escaped"),
    [
        ("100%: a, b", False, "100%25: a, b"),
        ("100%: a, b", True, "100%25%3A a%2C b"),
        ("a\r\nb", False, "a%0D%0Ab"),
        ("a\r\nb", True, "a%0D%0Ab"),
        ("%0A", False, "%250A"),
        ("::error::x", False, "::error::x"),
    ],
)
def test_annotations_are_escaped_as_github_reads_them(text: str, of_property: bool, escaped: str) -> None:
    """A file or a message must not end its command, nor begin another one."""
    assert escaped == _escaped(text, of_property=of_property)


def test_a_mistake_without_a_file_is_an_annotation_without_one(tmp_path: Path) -> None:
    """GitHub refuses to show a file that there is not."""
    (tmp_path / "good.yaml").write_text(GOOD)
    (tmp_path / "remediator.yaml").write_text("listen: 0.0.0.0:9099\nrules: [good.yaml, gone.yaml]\n")
    result = call("check", "-o", "github")

    assert 1 == result.exit_code
    assert [
        "::error title=remediator::gone.yaml: there is no such file or folder",
        "::error title=remediator::settings: listen: 0.0.0.0:9099 can be reached from other machines",
    ] == [line.partition(", and")[0] for line in sorted(result.stdout.splitlines())]


MISTAKEN = "rules: [bad.yaml]\nslak: {}\nslack:\n  token_file: gone\n"


@pytest.mark.parametrize("given", [[], ["bad.yaml"]], ids=["rules-of-the-settings", "rules-named"])
def test_mistakes_of_settings_and_rules_are_told_in_one_go_and_in_the_form_asked_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, given: list[str]
) -> None:
    """A workflow that marks nothing hides what is wrong, and a second round costs another push."""
    (tmp_path / "bad.yaml").write_text(BAD)
    (tmp_path / "remediator.yaml").write_text(MISTAKEN)
    monkeypatch.setenv("REMEDIATOR_LOG__LEVEL", "loud")
    as_text, as_json, as_github = (call("check", "-o", form, *given) for form in ("text", "json", "github"))
    found, annotated = json.loads(as_json.stdout)["mistakes"], as_github.stdout.splitlines()

    assert [1, 1, 1] == [result.exit_code for result in (as_text, as_json, as_github)]
    assert [
        ("REMEDIATOR_LOG__LEVEL", 0, 0),
        ("remediator.yaml", 2, 1),
        ("remediator.yaml", 4, 15),
        ("bad.yaml", 5, 5),
        ("bad.yaml", 7, 23),
    ] == [(m["file"], m["line"], m["column"]) for m in found]
    assert [m["what"] for m in found] == [line.split(": ", 1)[1] for line in as_text.stdout.splitlines()]
    assert [f"::error title=remediator::REMEDIATOR_LOG__LEVEL: {found[0]['what']}"] == annotated[:1]
    assert [
        f"::error file={m['file']},line={m['line']},col={m['column']},title=remediator::{m['what']}" for m in found[1:]
    ] == annotated[1:]
    assert "5 mistakes" == as_text.stderr.splitlines()[0] == as_github.stderr.splitlines()[0]
    assert "name another file before the command: remediator -c FILE" in as_github.stderr


@pytest.mark.parametrize(
    ("settings", "variables"),
    [
        ("rules: nowhere\n", {}),
        ("ruels: [bad.yaml]\n", {}),
        ("rules: [bad.yaml\n", {}),
        ("rules: [!x bad.yaml]\n", {}),
        ("log: {level: loud, level: info}\n", {}),
        ("slak: {}\n", {"REMEDIATOR_RULES": "bad.yaml"}),
        ("slak: {}\n", {"REMEDIATOR_RULSE": '["bad.yaml"]'}),
    ],
    ids=["no-list", "misspelt", "no-yaml", "broken", "may-be-missing", "variable-no-json", "variable-misspelt"],
)
def test_rules_are_not_looked_at_where_the_settings_do_not_tell_which(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, settings: str, variables: dict[str, str]
) -> None:
    """Those of the default folder would be others, and to say nothing would look like no mistake."""
    (tmp_path / "rules").mkdir()
    (tmp_path / "rules" / "bad.yaml").write_text(BAD)
    (tmp_path / "remediator.yaml").write_text(settings)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    as_text, as_json, as_github = (call("check", "-o", form) for form in ("text", "json", "github"))
    shown = json.loads(as_json.stdout)
    note = "not looked at, since the settings do not tell which there are; name them to check them now"

    assert [1, 1, 1] == [result.exit_code for result in (as_text, as_json, as_github)]
    assert [] == [m for m in shown["mistakes"] if m["file"].endswith("bad.yaml")]
    assert (None, [{"rule": "rules", "what": note}]) == (shown["rules"], shown["notes"])
    assert f"note: rules: {note}" == as_text.stdout.splitlines()[-1]
    assert f"::notice title=rules::{note}" == as_github.stdout.splitlines()[-1]


def test_rules_that_a_variable_names_are_looked_at_whatever_the_file_says(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It wins over the file, also over one that is no YAML."""
    (tmp_path / "bad.yaml").write_text(BAD)
    (tmp_path / "remediator.yaml").write_text("slack: [\n")
    monkeypatch.setenv("REMEDIATOR_RULES", '["bad.yaml"]')
    found = json.loads(call("check", "-o", "json").stdout)["mistakes"]

    assert ["remediator.yaml", "bad.yaml", "bad.yaml"] == [m["file"] for m in found]


@pytest.mark.parametrize(
    ("prepare", "annotation"),
    [
        (
            lambda path: path.write_bytes(b"\xff"),
            "file=remediator.yaml,title=remediator::cannot be read: it is not text",
        ),
        (lambda path: path.mkdir(), "file=remediator.yaml,title=remediator::cannot be read: Is a directory"),
        (
            lambda path: path.write_text("a: [\n"),
            "file=remediator.yaml,line=2,col=1,title=remediator::this is not YAML",
        ),
    ],
    ids=["not-text", "a-folder", "no-yaml"],
)
def test_settings_that_cannot_be_read_are_an_annotation_too(
    tmp_path: Path, prepare: Callable[[Path], object], annotation: str
) -> None:
    """Whatever is wrong with the file, the workflow shows it."""
    prepare(tmp_path / "remediator.yaml")
    (tmp_path / "good.yaml").write_text(GOOD)
    result = call("check", "-o", "github", "good.yaml")

    assert 1 == result.exit_code
    assert result.stdout.startswith(f"::error {annotation}")
    assert 1 == len(result.stdout.splitlines())


HELD = GOOD + "    remediate: [{gate: {quorum: 2}, do: [{http.get: {url: a}}]}]\n"


def test_what_is_not_carried_out_yet_is_noted_and_no_mistake(tmp_path: Path) -> None:
    """Nobody is to rely on what is not carried out."""
    (tmp_path / "held.yaml").write_text(HELD)
    as_text, as_json, as_github = (call("check", "held.yaml", "-o", form) for form in ("text", "json", "github"))
    ok, note = as_text.stdout.splitlines()
    (held,) = json.loads(as_json.stdout)["held"]

    assert [0, 0, 0] == [result.exit_code for result in (as_text, as_json, as_github)]
    assert "ok: 1 rule" == ok
    assert "who approves it (`quorum`) is not looked at yet" in held["what"]
    assert f"note: web/down: {held['what']}" == note
    assert [f"::notice title=web/down::{held['what']}"] == as_github.stdout.splitlines()


NAMES = """
    diagnose:
      ping: {redis.ping: {server: other}}
      known: {redis.ping: {server: main}}
      late: {redis.ping: {server: "{{ labels.server }}"}}
      logs: {docker.logs: {engine: far, container: a}}
      disk: {files.disk: {root: data}}
      look: {command.run: {command: look}}
"""


def test_names_that_the_settings_do_not_have_are_noted_and_no_mistake(tmp_path: Path) -> None:
    """A rule whose server is misspelt loads, and its steps would fail at night."""
    (tmp_path / "remediator.yaml").write_text("redis: {main: {}}\n")
    (tmp_path / "named.yaml").write_text(GOOD.partition("    diagnose:")[0] + NAMES.removeprefix("\n"))
    as_text, as_json, as_github = (call("check", "named.yaml", "-o", form) for form in ("text", "json", "github"))
    said = [
        f"the settings name no {what}; remediator doctor tells more"
        for what in ("Docker engine `far`", "Redis server `other`", "command `look`", "files root `data`")
    ]

    assert [0, 0, 0] == [result.exit_code for result in (as_text, as_json, as_github)], as_text.output
    assert ["ok: 1 rule", *(f"note: web/down: {what}" for what in said)] == as_text.stdout.splitlines()
    assert [{"rule": "web/down", "what": what} for what in said] == json.loads(as_json.stdout)["notes"]
    assert [f"::notice title=web/down::{what}" for what in said] == as_github.stdout.splitlines()


NOBODY = """
rules: [good.yaml]
limits:
  packs:
    wbe: {per_target: 1/1h}
  actions:
    docker.restrat: {per_target: 1/1h}
calendar:
  time_intervals: [{name: night, time_intervals: [{times: [{start_time: "00:00", end_time: "06:00"}]}]}]
  freezes:
    - interval: night
      scopes: [pack:web, "rule:web/dwon"]
"""


def test_what_the_settings_limit_and_is_not_there_is_noted_with_its_place(tmp_path: Path) -> None:
    """Whoever has misspelt it believes that it holds. Files that are checked by name may be a part of all."""
    (tmp_path / "remediator.yaml").write_text(NOBODY)
    (tmp_path / "good.yaml").write_text(GOOD)
    as_text, as_json, as_github = (call("check", "-o", form) for form in ("text", "json", "github"))
    said = [
        (5, 5, "there is no pack `wbe`, so these limits hold for nothing; did you mean `web`?"),
        (7, 5, "there is no action `docker.restrat`, so these limits hold for nothing; did you mean `docker.restart`?"),
        (12, 26, "there is no rule `web/dwon`, so this freeze holds nothing back; did you mean `web/down`?"),
    ]

    assert [0, 0, 0] == [result.exit_code for result in (as_text, as_json, as_github)], as_text.output
    lines = [f"note: remediator.yaml:{line}:{column}: {what}" for line, column, what in said]
    assert ["ok: 1 rule", *lines] == as_text.stdout.splitlines()
    assert said == [(m["line"], m["column"], m["what"]) for m in json.loads(as_json.stdout)["settings"]]
    assert [
        f"::warning file=remediator.yaml,line={line},col={column},title=remediator::{what}"
        for line, column, what in said
    ] == as_github.stdout.splitlines()
    assert ["ok: 1 rule"] == call("check", "good.yaml").stdout.splitlines()


def test_what_a_variable_limits_and_is_not_there_is_noted_by_its_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """There is no line to point to."""
    (tmp_path / "remediator.yaml").write_text("rules: [good.yaml]\n")
    (tmp_path / "good.yaml").write_text(GOOD)
    monkeypatch.setenv("REMEDIATOR_LIMITS__PACKS", '{"nix": {"per_target": "1/1h"}}')

    assert [
        "ok: 1 rule",
        "note: settings: limits.packs.nix: there is no pack `nix`, so these limits hold for nothing",
    ] == call("check").stdout.splitlines()


def test_nothing_to_tell_is_nothing_in_a_workflow(tmp_path: Path) -> None:
    """A line of text there would only be in the way."""
    (tmp_path / "good.yaml").write_text(GOOD)

    assert (0, "") == ((result := call("check", "-o", "github", "good.yaml")).exit_code, result.stdout)


@pytest.mark.parametrize("name", ["gone.yaml", "folder"])
def test_rules_that_cannot_be_read_are_a_mistake(tmp_path: Path, name: str) -> None:
    """A path that is misspelt must not check out as nothing wrong."""
    (tmp_path / "folder").mkdir()
    result = call("check", name)

    assert 1 == result.exit_code
    assert name in result.stdout


@pytest.mark.parametrize("command", ["check", "serve"])
def test_rules_of_the_settings_that_are_missing_are_told_with_where_they_were_sought(
    tmp_path: Path, command: str
) -> None:
    """It helps whoever started it in another folder, and only misleads whoever named the path."""
    (tmp_path / "remediator.yaml").write_text("rules: [gone]\n")
    by_settings, by_path = call(command), call("check", "gone.yaml")

    assert f"rule files are sought from {tmp_path}; set `rules` in the settings" in by_settings.stderr
    assert "gone.yaml: there is no such file or folder\n" == by_path.stdout
    assert "in the settings" not in by_path.stderr


def test_actions_are_listed() -> None:
    """What rules may use, with the schema of each for tools."""
    as_text, as_json = call("actions"), call("actions", "-o", "json")
    known = {action["name"]: action for action in json.loads(as_json.output)}

    assert (0, 0) == (as_text.exit_code, as_json.exit_code)
    assert ("change", "read") == (known["docker.restart"]["effect"], known["http.get"]["effect"])
    assert "container" in known["docker.restart"]["params"]["properties"]
    assert list(known) == [line.split()[0] for line in as_text.output.splitlines()]


def test_one_action_is_shown_with_its_parameters_and_result() -> None:
    """What a rule's author looks up while writing."""
    as_text, as_json = call("actions", "docker.logs"), call("actions", "docker.logs", "-o", "json")
    lines = as_text.output.splitlines()

    assert "docker.logs (read): The last lines that a container wrote." == lines[0]
    assert "  container (text; needed): Its name, or its id." in lines
    assert (
        "  tail (whole number, at least 1 and at most 1000; default: `100`): How many lines, counted from the end."
        in lines
    )
    assert "  count (whole number): How many there are." in lines
    assert "docker.logs" == json.loads(as_json.output)["name"]


# -- send --


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


class _Asked(http.server.BaseHTTPRequestHandler):
    """Answers as told, and keeps what it was asked."""

    status = 202
    body = b"{}"
    headers_sent: tuple[tuple[str, str], ...] = ()
    asked: list[tuple[str, str, str, bytes]]

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        self.asked.append((self.command, self.path, self.headers.get("Authorization", ""), body))
        self.send_response(self.status)
        for name, value in self.headers_sent:
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(self.body)))
        self.end_headers()
        self.wfile.write(self.body)

    do_GET = do_POST  # noqa: N815 - its name there

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - its name there
        """Quiet."""


@contextmanager
def answering(status: int = 202, body: bytes = b"{}", **headers: str) -> Iterator[tuple[str, list[Any]]]:
    """A server that gives every request the same answer; its URL, and what it was asked."""
    asked: list[Any] = []
    sent = tuple(headers.items())
    handler = type("_", (_Asked,), {"status": status, "body": body, "headers_sent": sent, "asked": asked})
    server = http.server.HTTPServer(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=server.serve_forever, name="answering")
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}", asked
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


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
        ("127.0.0.1@elsewhere.example", "", ""),
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


# -- what can go wrong on the way --


def test_nobody_listening_ends_with_four(tmp_path: Path) -> None:
    """And says what to do."""
    (tmp_path / "remediator.yaml").write_text(f"listen: 127.0.0.1:{services.free_port()}\n")
    for arguments in (
        ["runs", "list"],
        ["runs", "show", "r1"],
        ["runs", "settle", "r1", "not-done"],
        ["approve", "r1"],
        ["cancel", "r1"],
        ["send", "Down"],
        ["deny", "r1", "--reason", "x"],
        ["alerts"],
        ["breaker", "list"],
        ["breaker", "reset", "redis:cache"],
        ["breaker", "reset", "action:docker.restart"],
        ["stops"],
        ["pause", "--for", "2h"],
        ["resume"],
        ["resume", "rule:web/down", "--storm"],
        ["quarantine", "clear", "docker:local/web"],
        ["promote", "web/down"],
        ["explain", "--run", "r1"],
        ["explain", "--fingerprint", "f"],
    ):
        result = call(*arguments)

        assert 4 == result.exit_code
        assert "does not answer: connection refused\n" in result.stderr
        assert "Start it with: remediator serve. Elsewhere? Set `listen`, or give --url." in result.stderr


@pytest.mark.parametrize(
    ("status", "body", "code", "said"),
    [
        (401, b'{"error": "the API needs a token"}', 5, "not allowed: the API needs a token"),
        (403, b"<html>", 5, "not allowed: Forbidden"),
        (404, b'{"error": "there is no such run"}', 1, "there is no such run"),
        (409, b'{"error": "the run has ended meanwhile"}', 1, "the run has ended meanwhile"),
        (400, b'{"error": "outcome is not one of"}', 2, "the service answered 400: outcome is not one of"),
        (503, b'{"error": "the store cannot be written"}', 4, "the service answered 503: the store cannot"),
        (404, b'{"error": "\x1b[2J\\u001b[2J"}', 1, "Not Found"),
        (404, b'{"error": "\\u001b[2J"}', 1, "\N{REPLACEMENT CHARACTER}[2J"),
        (404, b"[1]", 1, "Not Found"),
        (200, b"<html>hello</html>", 4, "does not answer"),
        (200, b"\xff\xfe", 4, "does not answer"),
        (200, b"[]", 4, "is not remediator"),
        (200, b'{"runs": []}', 4, "is not remediator"),
    ],
)
def test_every_answer_becomes_an_exit_code_and_a_sentence(status: int, body: bytes, code: int, said: str) -> None:
    """Never a traceback, and nothing that a terminal would obey."""
    with answering(status, body) as (url, _):
        result = call("runs", "show", "r1", "--url", url)

    assert code == result.exit_code
    assert said in result.stderr.splitlines()[0]
    assert "\x1b" not in result.output


@pytest.mark.parametrize(
    ("ids", "said"),
    [
        (
            ["aaaaaaaaaaaagfl2", "bbbbbbbbbbbbgfl2"],
            "2 runs end with gfl2: aaaaaaaaaaaagfl2, bbbbbbbbbbbbgfl2; give more",
        ),
        (["aaaaaaaaaaaagfl3"], "there is no run gfl2"),
    ],
)
def test_an_end_of_an_id_that_names_not_one_run_is_refused(ids: list[str], said: str) -> None:
    """Nothing may be approved by guessing."""
    with answering(200, json.dumps({"runs": [{"id": run} for run in ids]}).encode()) as (url, asked):
        results = [call(command, "gfl2", "--url", url) for command in ("approve", "cancel")]

    assert [1, 1] == [result.exit_code for result in results]
    assert all(said in result.stderr for result in results)
    assert {"GET"} == {verb for verb, *_ in asked}


def test_a_token_does_not_follow_a_redirect(tmp_path: Path) -> None:
    """Whoever sits at the address could collect it otherwise."""
    (tmp_path / "remediator.yaml").write_text("token: api-token\n")
    with answering(200, b'{"runs": []}') as (thief, stolen), answering(302, Location=f"{thief}/x") as (url, _):
        result = call("runs", "list", "--url", url)

    assert 4 == result.exit_code
    assert [] == stolen


def test_something_that_speaks_no_http_is_not_reachable(tmp_path: Path) -> None:
    """A database on the port of ours must not end in a traceback."""
    import socket

    with socket.create_server(("127.0.0.1", 0)) as server:
        url = f"http://127.0.0.1:{server.getsockname()[1]}"

        def greet() -> None:
            link, _ = server.accept()
            with link:
                link.recv(1000)
                link.sendall(b"-ERR what?\r\n")

        thread = threading.Thread(target=greet, name="greet")
        thread.start()
        result = call("runs", "list", "--url", url)
        thread.join()

    assert 4 == result.exit_code


def test_labels_cannot_command_the_terminal() -> None:
    """They are anybody's."""
    run = {
        "id": "r1",
        "created_at": "2026-01-01T00:00:00Z",
        "outcome": None,
        "rule": "p/r",
        "alertname": "\x1b]0;owned\x07\nr2  fake line",
        "stage": "drafted",
        "wake_at": None,
    }
    with answering(200, json.dumps({"runs": [run]}).encode()) as (url, _):
        result = call("runs", "list", "--url", url)

    head, _ = result.output.splitlines()
    assert ["RUN", "BEGAN", "STANDS", "RULE", "ALERT"] == head.split()
    assert not {"\x1b", "\x07"} & set(result.output)


def test_a_decision_names_its_user_even_where_he_has_no_name(monkeypatch: pytest.MonkeyPatch) -> None:
    """In a container a user is often a number only; who approved what must be told all the same."""

    def nobody() -> str:
        raise KeyError("getpwuid(): uid not found: 12345")

    monkeypatch.setattr(getpass, "getuser", nobody)  # the password database cannot be had otherwise
    plan = {"digest": "d" * 64, "until": "x", "steps": []}
    with answering(200, json.dumps({"waiting": plan}).encode()) as (url, asked):
        result = call("approve", "r1", "--url", url)

    assert 0 == result.exit_code
    assert f"user {os.getuid()}" == json.loads(asked[1][3])["by"]


@pytest.mark.parametrize(
    ("arguments", "path", "said", "told"),
    [
        (
            ["breaker", "reset", "redis:cache"],
            "breakers/reset",
            {"system": "redis:cache"},
            "closed: the breaker of redis:cache (see: remediator breaker list)",
        ),
        (
            ["breaker", "reset", "rule:web/down"],
            "stops/lift",
            {"kind": "breaker", "scope": "rule:web/down"},
            "closed: the breaker of rule:web/down (see: remediator stops)",
        ),
        (
            ["breaker", "reset", "web/down"],
            "stops/lift",
            {"kind": "breaker", "scope": "rule:web/down"},
            "closed: the breaker of rule:web/down (see: remediator stops)",
        ),
        (
            ["breaker", "reset", "action:docker.restart"],
            "stops/lift",
            {"kind": "breaker", "scope": "action:docker.restart"},
            "closed: the breaker of action:docker.restart (see: remediator stops)",
        ),
        (
            ["quarantine", "clear", "docker:local/web"],
            "stops/lift",
            {"kind": "quarantine", "scope": "target:docker:local/web"},
            "cleared: target:docker:local/web",
        ),
        (
            ["promote", "web/down"],
            "stops/lift",
            {"kind": "demotion", "scope": "rule:web/down"},
            "promoted: rule:web/down",
        ),
    ],
)
def test_what_is_lifted_is_said_by_its_kind_and_scope(
    arguments: list[str], path: str, said: dict[str, str], told: str
) -> None:
    """A system's breaker is in the process that is asked; all else is stored."""
    with answering(200) as (url, asked):
        result = call(*arguments, "--url", url)
    ((verb, at, _, body),) = asked
    given = json.loads(body)

    assert (0, f"{told}\n", "POST", f"/api/v1/{path}") == (result.exit_code, result.output, verb, at)
    assert getpass.getuser() == given.pop("by")
    assert said == given


@pytest.mark.parametrize(
    ("settled", "why"),
    [("since then: run r0 counts as done", "a step failed; since then: run r0 counts as done"), ("", "a step failed")],
)
def test_what_became_known_since_is_listed_with_a_stop(settled: str, why: str) -> None:
    """Whoever promotes the rule should know it."""
    at = "2026-01-01T12:00:00+00:00"
    stop = {"kind": "demotion", "scope": "rule:web/down", "at": at, "until": None, "by": "remediator"}
    body = {"stops": [{**stop, "reason": "a step failed", "settled": settled}]}
    with answering(200, json.dumps(body).encode()) as (url, _):
        result = call("stops", "--url", url)

    assert 0 == result.exit_code, result.output
    assert result.output.splitlines()[-1].endswith(why)


@pytest.mark.parametrize(
    ("kind", "at", "until", "said"),
    [
        ("pause", "2026-01-01T12:00:00+00:00", None, "pause everything 2026-01-01 12:00:00 UTC until lifted ann why"),
        ("pause file", "2026-01-01T12:00:00+00:00", None, "everything 2026-01-01 12:00:00 UTC ann why"),
        ("freeze", None, "2026-01-02T00:00:00+00:00", "freeze everything 2026-01-02 00:00:00 UTC ann why"),
        ("window", None, None, "window everything ann why"),
    ],
)
def test_each_stop_says_how_it_ends(kind: str, at: str | None, until: str | None, said: str) -> None:
    """What nobody has lifted must not look as if somebody had."""
    stop = {"kind": kind, "scope": "everything", "at": at, "until": until, "by": "ann", "reason": "why"}
    with answering(200, json.dumps({"stops": [stop]}).encode()) as (url, _):
        result = call("stops", "--url", url)

    assert said in " ".join(result.output.splitlines()[-1].split())


def test_the_list_of_systems_says_where_other_breakers_are() -> None:
    """A breaker of a rule is a stop, and no system. What reads the table is not to meet it there."""
    system = {"system": "redis:cache", "state": None, "asked_in_seconds": 0, "opened_at": None, "calls": 0}
    body = {"breakers": [{**system, "waiting": 0, "trouble": ""}]}
    with answering(200, json.dumps(body).encode()) as (url, _):
        result = call("breaker", "list", "--url", url)

    assert "the breakers of rules and actions: remediator stops\n" == result.stderr
    assert 2 == len(result.stdout.splitlines())


def test_no_stop_says_no_more_than_is_known() -> None:
    """Limits may hold plans all the same."""
    with answering(200, b'{"stops": []}') as (url, _):
        result = call("stops", "--url", url)

    assert result.output.startswith("nobody has stopped anything, ")


@pytest.mark.parametrize("arguments", [["pause", "--for", "1m"], ["resume"]])
def test_what_the_service_says_besides_is_told(arguments: list[str]) -> None:
    """A longer pause stands, or a file holds everything still. The end is the one that the service has."""
    answer = {"note": "a file\x1b is there", "until": "2026-01-01T12:00:00+00:00"}
    with answering(200, json.dumps(answer).encode()) as (url, _):
        result = call(*arguments, "--url", url)

    assert 0 == result.exit_code
    assert "note: a file\N{REPLACEMENT CHARACTER} is there" == result.output.splitlines()[-1]
    assert ("2026-01-01 12:00:00" in result.output) is (arguments[0] == "pause")


# -- starting --


_SLOWER = ("actions", "demo")
"""The one says what fields take, and the other is a program of its own."""


@pytest.mark.parametrize(
    "arguments",
    [
        *(["--help"], ["--version"], ["check"], ["runs", "list"], ["send", "Down"], ["approve", "r1"], ["alerts"]),
        *(["breaker", "list"], ["breaker", "reset", "redis:cache"], ["stops"], ["pause"]),
        *(["explain", "Down"], ["schema"], ["schema", "settings"], ["completion", "zsh"], ["actions", "http.get"]),
    ],
)
def test_slow_libraries_are_imported_by_the_service_only(tmp_path: Path, arguments: list[str]) -> None:
    """Each takes longer than everything that these commands do."""
    (tmp_path / "good.yaml").write_text(GOOD)
    (tmp_path / "remediator.yaml").write_text(f"rules: [good.yaml]\nlisten: 127.0.0.1:{services.free_port()}\n")
    ended = _start(tmp_path, arguments, {"aiohttp", "docker", "slack_sdk"})

    assert "" == ended.stderr.splitlines()[-1]
    assert ended.returncode in (0, 4), ended.stderr


@pytest.mark.parametrize(
    "arguments",
    [["--help"], ["runs", "list", "--help"], *([name, "--help"] for name in COMMANDS if name not in _SLOWER)],
)
def test_help_needs_neither_the_settings_nor_the_web(tmp_path: Path, arguments: list[str]) -> None:
    """It is what people type most, and shows nothing of theirs."""
    ended = _start(tmp_path, arguments, {"pydantic", "yaml", "http.client"})

    assert "" == ended.stderr.splitlines()[-1]
    assert 0 == ended.returncode


def _start(folder: Path, arguments: list[str], slow: set[str]) -> "subprocess.CompletedProcess[str]":
    """The command in a process of its own, whose last line on stderr has the modules of `slow` that it has imported."""
    code = (
        "import sys\nfrom remediator.cli import main\n"
        f"try:\n    main({arguments!r})\n"
        f"finally:\n    print(*({slow!r} & set(sys.modules)), file=sys.stderr)\n"
    )
    return subprocess.run(
        [sys.executable, "-c", code],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_the_module_can_be_run(tmp_path: Path) -> None:
    """`python -m remediator` is what containers and units call."""
    ended = subprocess.run(
        [sys.executable, "-m", "remediator", "--version"],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )

    assert ended.stdout.startswith("remediator, version ")
