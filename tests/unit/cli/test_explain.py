"""`remediator explain` and `alerts` at the terminal: what is said, in what form, and with which exit code."""

import json
from pathlib import Path

import pytest

from remediator.model.alert import fingerprint_of
from tests.unit.cli.explaining import MONITORING, PAYLOADS, RULES, SETTINGS, as_json, call, write_rules


@pytest.fixture(autouse=True)
def _with_rules(tmp_path: Path) -> None:
    write_rules(tmp_path)


def test_a_matching_rule_is_told_with_all_that_a_run_would_do() -> None:
    """The whole text: it is what people read before they trust a rule."""
    result = call("explain", "Down", "-l", "service=web")
    lines = result.stdout.splitlines()

    assert 0 == result.exit_code, result.stderr
    assert lines[0].startswith("Alert Down, firing since 20")
    (shipped,) = [line for line in lines if line.startswith("    limits as shipped: per_target 3/1h; ")]
    lines.remove(shipped)
    assert [
        "  labels: service=web",
        "",
        "web/down matches: web is down",
        "  group: one run for all alerts with service=web",
        "  mode: gated (the rule says auto, and mode_ceiling is gated)",
        "  alert: has to fire still right before each change, by what the webhook has said last",
        "  looks: mark: run command look",
        "  looks: lines: run command {{ steps.mark.stdout }}",
        "    not known yet: steps.mark",
        "  remedy 1, by hand: if `steps.mark.exit_code == 77`: not known yet, it needs steps.mark",
        "    tells people: look at web: {{ steps.mark.stderr }}",
        "  remedy 2, mend: if `steps.mark.exit_code != 0`: not known yet, it needs steps.mark",
        "    1. run command mend service=web (change)",
        "       cannot be put back: the settings do not say how (commands.mend.put_back)",
        "    proof: holds for 2s within 1m, first looked at after 1s",
        "      run command look, expecting result.exit_code == 0",
    ] == lines[1:17]
    who = "    gate: 2 people of sre must approve it within 15m (else: deny): the mode is gated, the remedy has a gate"
    assert lines[17].startswith(f"{who}; approval.groups has no group sre; 2 have to approve")
    assert [
        "    digest: needs the targets of remediate.1.0 (command.run)",
        "  (--gather finds out what is not known yet: it only reads)",
        "",
        "Rules that come near:",
        '  web/other: service="mail" failed: the alert has service="web"',
        "  web/rest: its matchers hold, but web/down stands before it and has no `continue: true`",
        "  web/last: its matchers hold, but web/down stands before it and has no `continue: true`",
    ] == lines[18:]


@pytest.mark.parametrize(("written", "expected"), MONITORING.values(), ids=MONITORING)
def test_who_would_be_asked_whether_the_alert_still_fires_is_told(tmp_path: Path, written: str, expected: str) -> None:
    """People weigh them differently; `explain` itself asks nobody."""
    (tmp_path / "remediator.yaml").write_text(SETTINGS + written)
    result = call("explain", "Down", "-l", "service=web")

    assert f"  alert: has to fire still right before each change, by {expected}" in result.stdout.splitlines()
    assert expected == as_json("Down", "-l", "service=web")["alert_from"]


def test_a_rule_that_may_not_act_asks_nobody_whether_the_alert_still_fires(tmp_path: Path) -> None:
    """It changes nothing."""
    (tmp_path / "remediator.yaml").write_text(SETTINGS.replace("mode_ceiling: gated", "mode_ceiling: suggest"))
    result = call("explain", "Down", "-l", "service=web")

    assert "the mode suggest" in result.stdout
    assert "has to fire still" not in result.stdout


def test_whom_a_rule_turns_to_is_told(tmp_path: Path) -> None:
    """At night it matters who is called, and when."""
    levels = "    escalate: [{after: 0s, to: on-call}, {to: manager}]\n  - name: other\n"
    (tmp_path / "rules.yaml").write_text(RULES.replace("  - name: other\n", levels))
    told = call("explain", "Down", "-l", "service=web")
    first = as_json("Down", "-l", "service=web")["alerts"][0]["rules"][0]

    assert "\n  escalates while it lasts: on-call at once, manager after 15m\n" in told.stdout
    assert [{"after": 0.0, "to": "on-call"}, {"after": 900.0, "to": "manager"}] == first["escalate"]


def test_json_has_every_rule() -> None:
    """For scripts, which choose for themselves."""
    (shown,) = as_json("Down", "-l", "service=web", "-a", "summary=it is down")["alerts"]
    down, other, rest, _ = shown["rules"]

    assert ["web/down"] == shown["matching"]
    assert ("Down", "it is down") == (shown["alert"]["labels"]["alertname"], shown["alert"]["annotations"]["summary"])
    assert ["matches", "fails", "passed_over", "passed_over"] == [rule["standing"] for rule in shown["rules"]]
    assert {"effective": "gated", "rule": "auto", "ceiling": "gated"} == down["outlook"]["mode"]
    assert {"service": "web"} == down["group_key"]
    assert ["the targets of remediate.1.0 (command.run)"] == down["outlook"]["remediate"][1]["digest_needs"]
    assert [None, None] == [rung["digest"] for rung in down["outlook"]["remediate"]]
    assert {"approvers": ["sre"], "quorum": 2}.items() <= down["outlook"]["remediate"][1]["gate"].items()
    assert {"matcher": 'service="mail"', "value": "web", "holds": False} == other["matchers"][1]
    assert 'service="mail" failed: the alert has service="web"' == other["why_not"]
    assert ("web/down", None) == (rest["passed_over_for"], rest["outlook"])


_ABOVE = {
    "near": "what those that come near ask for stands above (--all: what each rule asks for)",
    "none": "none comes near it (--all: what each rule asks for)",
    "every": "what each rule asks for stands above",
}
"""What the advice says, which must not point to what is not there."""


@pytest.mark.parametrize(
    ("arguments", "lines"),
    [
        (["Upp"], ['  web/rest: alertname=~"Down|Up" failed: the alert has alertname="Upp"']),
        (["Zzz"], ["(4 more rules do not match; --all shows every one)"]),
        (["Zzz", "--all"], ["Other rules:", '  web/down: alertname="Down" failed: the alert has alertname="Zzz"']),
    ],
    ids=["near", "far", "all"],
)
def test_an_alert_that_no_rule_is_for_ends_with_one(arguments: list[str], lines: list[str]) -> None:
    """With what comes near, and what to do."""
    result = call("explain", *arguments)

    assert 1 == result.exit_code
    assert "No rule matches this alert." in result.stdout.splitlines()
    assert set(lines) <= set(result.stdout.splitlines())
    assert "Is it the right alert, with all its labels? Then let a rule match it" in result.stderr
    has_near, has_all = "Rules that come near:" in result.stdout, "--all" in arguments
    above = _ABOVE["every" if has_all else "near" if has_near else "none"]
    assert f"let a rule match it: {above}, and docs/rules.md says" in result.stderr


def test_a_missing_label_is_told_as_missing() -> None:
    """It is the empty text to a matcher, and something else to a person."""
    result = call("explain", "Down")

    assert '  web/down: service=~"web|db" failed: the alert has no label service' in result.stdout.splitlines()


def test_gathering_shows_the_evidence_and_the_exact_plan(tmp_path: Path) -> None:
    """And nothing is changed, nor stored."""
    result = call("explain", "Down", "-l", "service=web", "--gather")
    (shown,) = as_json("Down", "-l", "service=web", "--gather")["alerts"]
    gathered = shown["rules"][0]["gathered"]
    told = result.stdout.partition("  Looked at just now:\n")[2].partition("\n\n")[0].splitlines()

    assert 0 == result.exit_code
    assert [
        "    mark: exit code 1",
        "    lines: could not be found out: no command is named '' in the settings; add it under commands",
        "  It leads to the remedy “mend”.",
        "    1. run command mend service=web",
        "       on command:web",
        '       command.run {"command": "mend", "parameters": {"service": "web"}}',
        f"    digest: {gathered['plan']['digest'][:12]}",
    ] == told[:-1]
    assert told[-1].startswith("  A person would be asked to approve it: ")
    assert (64, ["command:web"], 1) == (
        len(gathered["plan"]["digest"]),
        gathered["plan"]["targets"],
        gathered["evidence"]["mark"]["result"]["exit_code"],
    )
    assert "--gather" not in result.stdout
    assert "not known yet" not in result.stdout
    assert "  remedy 2, mend: if `steps.mark.exit_code != 0`: steps.mark: see below" in result.stdout.splitlines()
    assert ["remediator.yaml", "rules.yaml"] == sorted(path.name for path in tmp_path.iterdir())


def test_a_payload_is_explained_alert_by_alert(tmp_path: Path) -> None:
    """A file, or standard input, as Alertmanager posts it; one that has resolved is told so."""
    labels = [{"alertname": "Down", "service": "web"}, {"alertname": "Up"}]
    alerts = [{"labels": labels[0]}, {"labels": labels[1], "status": "resolved"}]
    body = json.dumps({"alerts": alerts}).encode()
    (tmp_path / "payload").write_bytes(body)
    by_file, by_input = call("explain", "payload"), call("explain", "-", given=body)

    assert (0, 0) == (by_file.exit_code, by_input.exit_code)
    assert ["web/down matches: web is down", "web/rest matches: Up"] == [
        line for line in by_file.stdout.splitlines() if " matches: " in line
    ]
    assert 1 == by_input.stdout.count("A resolved alert starts no run")


@pytest.mark.parametrize("name", ["recorded-0.25-group", "recorded-0.25-mixed", "recorded-0.25-odd-labels"])
def test_what_alertmanager_really_posts_can_be_explained(name: str) -> None:
    """No rule here is for it, which is an answer too."""
    path = PAYLOADS / f"{name}.json"
    count = len(json.loads(path.read_text())["alerts"])
    result = call("explain", str(path))

    assert 1 == result.exit_code
    assert count == result.stdout.count("No rule matches this alert.")


def test_rule_files_may_be_named(tmp_path: Path) -> None:
    """To try one that is not in force yet."""
    (tmp_path / "new.yaml").write_text("pack: new\nrules: [{name: r, match: [alertname=Zzz]}]\n")
    result = call("explain", "Zzz", "-r", "new.yaml")

    assert 0 == result.exit_code
    assert "new/r matches: Zzz" in result.stdout.splitlines()


def test_a_label_as_long_as_a_body_does_not_flood_the_terminal() -> None:
    """Whoever sends alerts decides how long a label is; JSON shows all of it."""
    body = {"alerts": [{"labels": {"alertname": "Down", "service": "mail" * 500_000}}]}
    as_text, whole = (call("explain", "-", *form, given=json.dumps(body).encode()) for form in ((), ("-o", "json")))

    assert (0, 0) == (as_text.exit_code, whole.exit_code)
    assert 4100 >= max(map(len, as_text.stdout.splitlines()))
    assert "mail" * 500_000 in whole.stdout


def test_labels_cannot_command_the_terminal_and_secrets_are_not_told(tmp_path: Path) -> None:
    """An alert is anybody's, and a settings file has secrets."""
    (tmp_path / "remediator.yaml").write_text(SETTINGS + "token: hunter2hunter2\n")
    result = call("explain", "Up", "-l", "a=\x1b[2J\nb", "-l", "b=hunter2hunter2")
    shown = call("explain", "-o", "json", "Up", "-l", "b=hunter2hunter2")

    assert 0 == result.exit_code
    assert "\x1b" not in result.output
    assert "hunter2" not in result.output + shown.output
    assert 1 == result.stdout.count("  labels: ")


USAGE = {
    "nothing": ([], "give an alert to explain: a file with Alertmanager's payload"),
    "two": (["Down", "--run", "abcd"], "give an alert to explain"),
    "labels without a name": (["--run", "abcd", "-l", "a=b"], "--label and --annotation belong to an alert's name"),
    "labels with a file": (["a/b.json", "-l", "a=b"], "--label and --annotation belong to an alert's name"),
    "a bad label": (["Down", "-l", "service"], "'service': write it as name=value, such as service=web"),
    "no such file": (["gone.json"], "gone.json cannot be read: No such file or directory; give an alert to explain"),
    "no alerts": (["none.json"], "none.json holds no alert: its `alerts` are empty; give an alert to explain"),
    "no JSON": (["bad.json"], "bad.json is not a payload of Alertmanager's webhook: the body is not JSON"),
    "no alert": (["list.json"], "list.json is not a payload of Alertmanager's webhook: alerts[0].labels is not an"),
}


@pytest.mark.parametrize(("arguments", "said"), USAGE.values(), ids=USAGE.keys())
def test_what_cannot_be_explained_is_told_with_what_to_give(tmp_path: Path, arguments: list[str], said: str) -> None:
    """Exit code 2, as for every wrong call."""
    (tmp_path / "none.json").write_text('{"alerts": []}')
    (tmp_path / "bad.json").write_text("{")
    (tmp_path / "list.json").write_text('{"alerts": [{}]}')
    result = call("explain", *arguments)

    assert 2 == result.exit_code
    assert said in result.stderr


def test_rules_with_mistakes_are_told_and_not_used(tmp_path: Path) -> None:
    """A half of the rules would explain wrongly."""
    (tmp_path / "rules.yaml").write_text(RULES.replace("summary:", "sumary:"))
    result = call("explain", "Up")

    assert (1, "") == (result.exit_code, result.stdout)
    assert "rules.yaml:5:5: `sumary` is not known here; did you mean `summary`?" in result.stderr
    assert "mend them, then look with: remediator check" in result.stderr


def test_rules_that_are_missing_are_told_with_where_they_were_sought(tmp_path: Path) -> None:
    """As the check does."""
    (tmp_path / "rules.yaml").unlink()
    result = call("explain", "Up")

    assert 1 == result.exit_code
    assert f"rule files are sought from {tmp_path}; set `rules` in the settings" in result.stderr


def test_a_payload_of_which_one_alert_has_no_rule_ends_with_one() -> None:
    """A script learns that somebody would hear nothing; the help says so."""
    body = json.dumps({"alerts": [{"labels": {"alertname": "Up"}}, {"labels": {"alertname": "Zzz"}}]}).encode()

    assert 1 == call("explain", "-", given=body).exit_code
    assert "with 1 if any alert of a payload has none" in " ".join(call("explain", "--help").output.split())


def test_the_fingerprint_of_a_name_with_labels_is_alertmanagers() -> None:
    """An expression may use it."""
    (shown,) = as_json("Up", "-l", "a=b", "-l", "empty=")["alerts"]

    assert fingerprint_of({"alertname": "Up", "a": "b"}) == shown["alert"]["fingerprint"]


def test_the_heartbeat_is_told_to_start_nothing(tmp_path: Path) -> None:
    """A rule that matches it is never carried out, which nothing else would say."""
    (tmp_path / "remediator.yaml").write_text(SETTINGS + "heartbeat: {alertname: Down}\n")
    firing = call("explain", "Down", "-l", "service=web", "--gather")
    ended = {"labels": {"alertname": "Down"}, "status": "resolved", "endsAt": "2026-01-01T00:00:00Z"}
    resolved = call("explain", "-", given=json.dumps({"alerts": [ended]}).encode())
    other = call("explain", "Up")
    (shown,) = as_json("Down")["alerts"]

    assert (0, 0, 0) == (firing.exit_code, resolved.exit_code, other.exit_code), firing.stderr + resolved.stderr
    assert [
        "  labels: service=web",
        "  It is taken as the heartbeat (heartbeat.alertname): that it came is noted, no rule is asked, and nothing is "
        "started.",
        "  web/down would match it, and is never carried out for it.",
    ] == firing.stdout.splitlines()[1:]
    assert "heartbeat.alertname): its resolution is no beat, no rule" in resolved.stdout
    assert "while it fires" not in resolved.stdout
    assert "heartbeat" not in other.stdout
    assert shown["heartbeat"]


def test_a_heartbeat_that_no_rule_is_for_is_as_it_should_be(tmp_path: Path) -> None:
    """It is not to be mended by a rule."""
    (tmp_path / "remediator.yaml").write_text(SETTINGS + "heartbeat: {alertname: Watchdog}\n")
    result = call("explain", "Watchdog")

    assert (0, "") == (result.exit_code, result.stderr)
    assert "No rule matches" not in result.stdout


def test_evidence_is_shown_in_the_order_of_the_rule(tmp_path: Path) -> None:
    """Its author wrote it as it is to be read, whatever waits for what."""
    steps = dict.fromkeys("zmab", "{command.run: {command: look}}")
    steps["m"] = "{compute: {let: {x: steps.b.exit_code}}}"
    diagnose = "".join(f"      {name}: {step}\n" for name, step in steps.items())
    rule = f"pack: web\nrules:\n  - name: down\n    match: ['alertname=\"Down\"']\n    diagnose:\n{diagnose}"
    (tmp_path / "rules.yaml").write_text(rule)
    lines = call("explain", "Down", "--gather").stdout.splitlines()
    (shown,) = as_json("Down", "--gather")["alerts"]
    looked = lines[lines.index("  Looked at just now:") + 1 :]

    assert ["z", "m", "a", "b"] == [line.split(":")[0].strip() for line in looked[:4]]
    assert ["z", "m", "a", "b"] == list(shown["rules"][0]["gathered"]["evidence"])
