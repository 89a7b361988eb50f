"""`remediator check`: what is a mistake, what is only noted, and how both are told to a person and to a workflow."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from remediator.cli.check import _escaped
from tests.unit.cli.calling import GOOD, call, told

BAD = GOOD.replace("http.get", "http.gett").replace("summary:", "sumary:")


def test_good_rules_check_out(tmp_path: Path) -> None:
    """What CI runs on every change of a rule."""
    (tmp_path / "good.yaml").write_text(GOOD)
    as_text, as_json = call("check", "good.yaml"), call("check", "-o", "json", "good.yaml")

    assert (0, ["ok: 1 rule"]) == told(as_text)
    nothing: dict[str, Any] = {"mistakes": [], "rules": 1, "notes": [], "settings": []}
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
    (tmp_path / "remediator.yaml").write_text("listen: 0.0.0.0:9099\n")
    result = call("check", "-o", "github", "good.yaml", "gone.yaml")

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
    assert f"::notice title=remediator::rules: {note}" == as_github.stdout.splitlines()[-1]


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


ASKS = GOOD + "    remediate: [{gate: {approvers: [dba], quorum: 2}, do: [{http.get: {url: a}}]}]\n"


def test_approvers_who_are_not_there_are_noted_and_no_mistake(tmp_path: Path) -> None:
    """Nobody is to find out at night that no one can approve."""
    (tmp_path / "asks.yaml").write_text(ASKS)
    as_text, as_json, as_github = (call("check", "asks.yaml", "-o", form) for form in ("text", "json", "github"))
    ok, note = as_text.stdout.splitlines()
    (noted,) = json.loads(as_json.stdout)["notes"]

    assert [0, 0, 0] == [result.exit_code for result in (as_text, as_json, as_github)]
    assert "ok: 1 rule" == ok
    assert noted["what"].startswith(
        "who approves the remedy “http.get”: approval.groups has no group dba; 2 have to ap"
    )
    assert f"note: web/down: {noted['what']}" == note
    assert [f"::notice title=web/down::{noted['what']}"] == as_github.stdout.splitlines()


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
    (tmp_path / "remediator.yaml").write_text(
        "redis: {main: {}, others: {}}\ncommands: {mend: {argv: [mend], effect: read}}\n"
    )
    (tmp_path / "named.yaml").write_text(GOOD.partition("    diagnose:")[0] + NAMES.removeprefix("\n"))
    as_text, as_json, as_github = (call("check", "named.yaml", "-o", form) for form in ("text", "json", "github"))
    said = [
        (8, 35, "the settings name no Redis server `other`; did you mean `others`?"),
        (11, 36, "the settings name no Docker engine `far`; remediator doctor tells more"),
        (12, 33, "the settings name no files root `data`; remediator doctor tells more"),
        (13, 37, "the settings name no command `look`; known are `mend`"),
    ]

    assert [0, 0, 0] == [result.exit_code for result in (as_text, as_json, as_github)], as_text.output
    at = [f"named.yaml:{line}:{column}" for line, column, _ in said]
    lines = [f"note: {place}: web/down: {what}" for place, (*_, what) in zip(at, said, strict=True)]
    assert ["ok: 1 rule", *lines] == as_text.stdout.splitlines()
    assert [
        {"rule": "web/down", "what": what, "file": "named.yaml", "line": line, "column": column}
        for line, column, what in said
    ] == json.loads(as_json.stdout)["notes"]
    assert [
        f"::warning file=named.yaml,line={line},col={column},title=web/down::{what}" for line, column, what in said
    ] == as_github.stdout.splitlines()


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
