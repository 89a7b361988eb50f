"""Writes the reference pages from the code: settings, actions, metrics, commands, the API.

Called by `make docs`, and by the test that compares the pages with the code. It reads declarations and nothing else:
no file of settings, no environment, no service.
"""

from collections.abc import Iterator
from pathlib import Path
from types import NoneType
from typing import Any, get_args, get_origin

import click
from prometheus_client.metrics import MetricWrapperBase
from pydantic.fields import FieldInfo

from remediator.cli import main as command_line
from remediator.cli.fields import flat, one_of, say_bounded, say_default, say_inverse, say_kind, with_items
from remediator.documents import fields_of
from remediator.kit.metrics import Metrics
from remediator.model.duration import say_duration
from remediator.plugins import Action, Actions, Permission
from remediator.settings import Secret, Section, Settings
from remediator.web.operations import OPERATIONS
from remediator.web.operations.operation import Door

HERE = Path(__file__).parent

_MADE = "<!-- Written by `make docs` from the code. Edit docs/reference.py or the docstrings, not this page. -->"

_SETTINGS_INTRO = """
Settings come from three places, the later one wins: the defaults below; the file `remediator.yaml` in the folder that
the service is started in, or the one named by `-c FILE` or `REMEDIATOR_SETTINGS`; variables of the environment. They
are read once, at start. [`remediator.example.yaml`](../remediator.example.yaml) has what people set first, and
`remediator check` tells every mistake with its place.

- A setting in a section is written `section.name` here; in the file it stands below its section.
- A variable is `REMEDIATOR_` and the name in capitals, with two underscores between levels: `slack.channel` is
  `REMEDIATOR_SLACK__CHANNEL`. Lists and mappings are written as JSON there.
- A duration has its unit: `500ms`, `30s`, `5m`, `1h30m`.
- A secret in a section can be given as a file: `slack.token_file` instead of `slack.token`. The file's content is the
  secret, without the white space around it. Secrets are never shown in logs, errors or chat.
- A relative path in the file (`rules`, `store.directory`, `*_file`) is taken from the folder of that file; one in a
  variable, and a default, from the folder that the service is started in.
- An unknown name is a mistake, also in the environment, and the service does not start with one.
"""

_ACTIONS_INTRO = """
An action is one kind of step that a rule may use. Its parameters stand below its name in a rule; the fields of its
result are what expressions read, as `steps.<id>.<field>` in conditions and as `result.<field>` in `expect`.

The effect is `read` (changes nothing), `change`, or `destroy` (what it does cannot be put back; it waits for a person
in every mode). Only reading actions may stand in `diagnose` and `checks`; `command.run` may where the command's effect
is `read`, which is looked at when it is called. A step may have a `timeout` beside its action; without one the action's
own time limit holds. Reading is tried up to three times where the other side does not answer, and so is a change that
is idempotent; any other change is tried once. What can be put back may be changed for a while (`for`). Permissions are
what the other side has to let it do; `remediator doctor` asks whether it does. `remediator actions` lists what is
installed.
"""

_METRICS_INTRO = """
`GET /metrics` gives these in Prometheus' text format; no token is needed. Labels carry rules, actions, outcomes and
statuses, never what an alert says. A name ends in `_total` where it counts, and in `_bucket`, `_sum` and `_count` where
it is a histogram. What to alert on: [Operating](operating.md#metrics).
"""

_COMMANDS_INTRO = """
`remediator` without a command, or with `--help` after any, says the same. `-c` stands before the command:
`remediator -c other.yaml check`. The commands that talk to the running service find it where the settings say that it
listens, and use the token in `admin-token` of `store.directory`; so run them in the same folder with the same settings,
or give `--url` and the variable `REMEDIATOR_TOKEN`.

| exit code | meaning |
|---|---|
| 0 | done |
| 1 | findings: mistakes were found, or what was asked for is not there or not possible now |
| 2 | the command line or the settings are wrong; to `check`, mistakes of the settings are findings (1) |
| 4 | the service cannot be reached, or could not answer |
| 5 | not allowed: the token is missing or not good, or its owner may not do this ([who may do what](access.md)) |

An editor with the YAML language server (VS Code, Neovim and others) completes and checks rule files and settings where
their first line names a schema. Write the schemas with `remediator schema > rules.schema.json` and
`remediator schema settings > settings.schema.json`, again after each upgrade, and begin a rule file with:

```text
# yaml-language-server: $schema=rules.schema.json
```

A schema tells mistakes of form only; `remediator check` tells all of them, in a workflow of GitHub as annotations
(`remediator check -o github`). For completion in a shell, see [`remediator completion`](#remediator-completion).
"""

_API_INTRO = """
Whatever the command line does with the running service it does over HTTP, and so may your own programs. What each call
takes and answers, to the field, stands in an OpenAPI document (version 3.1), which the service itself gives:

```bash
curl -sS http://127.0.0.1:9099/api/v1/openapi.json
```

It needs no token, for it holds no data. The service adds its routes from the table that the document is written from,
and is held against it with requests of all kinds.

- **Tokens.** A call that says so takes `Authorization: Bearer …` with a token of that scope; `admin` takes `decide`
  along, and that `read`: [who may do what](access.md). With a token of the API you need not say who you are; with the
  admin token, `by` has to.
- **Errors** are JSON: `{"error": "…"}`, in words, and `reason` where alerts are not taken now. 400: what was sent
  cannot be used. 401: no token, or not a good one. 403: it may not do this. 404: there is none. 405: not by this
  method. 409: too late, or something stands in its way. 413: too large. 429 and 503: again later, after
  `Retry-After` seconds where that is given.
- **Names are exact.** A parameter of a list that is not known is refused, and so is a field of a body, but in what
  Alertmanager sends. Answers may get more fields in later versions: pass over what you do not know.
- **Times** are RFC 3339; durations are written `30s`, `5m`, `2h`.

What waits for people, and deciding on it. The digest is that of the plan as it was shown to you: one that has changed
since is not approved. With `asked_at` as well, as it was shown, neither is one that was asked for anew since.

```bash
curl -sS -H "Authorization: Bearer $REMEDIATOR_TOKEN" http://127.0.0.1:9099/api/v1/approvals
curl -sS -H "Authorization: Bearer $REMEDIATOR_TOKEN" -d '{"approved": true, "digest": "5b0c…"}' \\
  http://127.0.0.1:9099/api/v1/runs/dc1q0nvbrnpq01kq/decision
```

Starting a rule by hand. With the header the request can be repeated and starts nothing twice.

```bash
curl -sS -H "Authorization: Bearer $REMEDIATOR_TOKEN" -H "Idempotency-Key: deploy-42" \\
  -d '{"rule": "web/down", "labels": {"alertname": "Down", "service": "web"}, "reason": "after the deploy"}' \\
  http://127.0.0.1:9099/api/v1/runs
```

Pausing everything for the time of a deploy, and going on:

```bash
curl -sS -H "Authorization: Bearer $REMEDIATOR_TOKEN" -d '{"scope": "everything", "for": "30m", "reason": "v42"}' \\
  http://127.0.0.1:9099/api/v1/stops/pause
curl -sS -H "Authorization: Bearer $REMEDIATOR_TOKEN" -d '{"kind": "pause", "scope": "everything"}' \\
  http://127.0.0.1:9099/api/v1/stops/lift
```
"""

_FAMILY = "the kind of system, as in the names of actions: `docker`, `http`, …"
_LABELS = {
    ("remediator_deliveries", "status"): "the HTTP status of the answer",
    ("remediator_refused_deliveries", "reason"): (
        "`backlog` (too many runs wait), `disk` (too little is free on the store's), `memory` (too many large bodies "
        "at once), `slow` (storing took longer than `webhook.accept_timeout`, or earlier ones are not stored yet), "
        "`store` (it cannot be written), `fault` (ours; the log has it)"
    ),
    ("remediator_under_pressure", "reason"): "`backlog`, `disk`",
    ("remediator_api_refused", "reason"): (
        "`no_token`, `unknown` (there is no such token), `expired`, `revoked`, `scope` (the token's is too small), "
        "`rate` (`api.rate`), `failures` (too many bad tokens from one address: `api.failures`)"
    ),
    ("remediator_alerts", "ruling"): (
        "`opened` (a new occurrence), `reopened` (new, and the resolve of the old one was missed), `repeated`, "
        "`doubtful` (may be a late duplicate; decided later), `resolved`, `not_open` (a resolve of what is not open), "
        "`repeated_in_body`"
    ),
    ("remediator_runs_started", "rule"): "`pack/rule`",
    ("remediator_runs_ended", "rule"): "`pack/rule`",
    ("remediator_runs_ended", "outcome"): "one of the [outcomes](glossary.md#outcomes)",
    ("remediator_rules_reloads", "result"): (
        "`reloaded`, `unchanged`, `mistakes` (the rules from before stay in force), `store_away` (they could not be "
        "stored; it is tried again), `failed` (a fault of ours; the log has it)"
    ),
    ("remediator_step_seconds", "action"): "the action's name",
    ("remediator_step_seconds", "status"): "`done`, `failed` or `unknown`",
    ("remediator_steps_unknown", "action"): "the action's name",
    ("remediator_steps_not_begun", "action"): "the action's name",
    ("remediator_breakers_open", "family"): _FAMILY,
    ("remediator_calls_waiting", "family"): _FAMILY,
    ("remediator_calls_not_made", "family"): _FAMILY,
    ("remediator_calls_not_made", "reason"): "`away` (the breaker is open), `busy` (no place in time)",
    ("remediator_plans_held", "reason"): "a [reason](glossary.md#reasons), as the name in code: `needs_approval`, …",
    ("remediator_escalations", "level"): "the level, as rules name it",
    ("remediator_decisions", "answer"): (
        "`taken`; `decided` (somebody was first), `said_before`, `expired`, `changed` (the plan or the rule is another "
        "now), `nobody_asks`, `not_allowed`, `needs_reason`"
    ),
    ("remediator_slack_requests", "what"): "`interaction`, `command`",
    ("remediator_slack_requests", "status"): (
        "the HTTP status of the answer: 401 is not Slack's, 403 of another workspace or app, 503 to be pressed again"
    ),
    ("remediator_posts", "result"): (
        "`sent`, `delayed` (the chat could not take it now), `uncertain` (it may have landed), `failed`, "
        "`given_up` (an edit of a message that is gone)"
    ),
}


def pages() -> dict[str, str]:
    """Every reference page, by the name of its file."""
    made = {
        "settings.md": ("Settings", _SETTINGS_INTRO, _settings()),
        "actions.md": ("Actions", _ACTIONS_INTRO, _actions()),
        "metrics.md": ("Metrics", _METRICS_INTRO, _metrics()),
        "commands.md": (
            "Commands",
            _COMMANDS_INTRO,
            _commands(command_line, click.Context(command_line), "remediator"),
        ),
        "api.md": ("API", _API_INTRO, _api()),
    }
    return {
        name: f"# {title}\n\n{_MADE}\n{intro}\n" + "\n\n".join(blocks) + "\n"
        for name, (title, intro, blocks) in made.items()
    }


# Settings


def _settings() -> Iterator[str]:
    fields = fields_of(Settings)
    sections = {name: field for name, field in fields.items() if _section_in(field.annotation) is not None}
    yield "## On their own"
    for name, field in fields.items():
        if name not in sections:
            yield _setting(name, field, secret_file=False)
    for name, field in sections.items():
        yield f"## The section `{name}`\n\n{flat(field.description)}"
        yield from _section(name, field.annotation, variables=True)


def _section_in(annotation: Any) -> type[Section] | None:
    """The section that a field is, may be, or has by name; a secret is a value."""
    inner = get_args(annotation)
    values = inner[1:] if get_origin(annotation) is dict else inner if NoneType in inner else (annotation,)
    found = [v for v in values if isinstance(v, type) and issubclass(v, Section) and v is not Secret]
    return found[0] if found else None


def _section(path: str, annotation: Any, *, variables: bool) -> Iterator[str]:
    section = _section_in(annotation)
    if section is None:
        return
    if get_origin(annotation) is dict:
        whole = f" In the environment all are given at once, as JSON: `{_variable(path)}`." if variables else ""
        yield f"`<name>` stands for a name of your choice.{whole}"
        path, variables = f"{path}.<name>", False
    for name, field in fields_of(section).items():
        yield _setting(f"{path}.{name}", field, secret_file=name in section.secret_files, variable=variables)
        yield from _section(f"{path}.{name}", field.annotation, variables=variables)


def _setting(path: str, field: FieldInfo, *, secret_file: bool, variable: bool = True) -> str:
    facts = [("Type", say_bounded(field)), ("Default", say_default(field))]
    if variable:
        facts.append(("Environment", f"`{_variable(path)}`"))
    if secret_file:
        named = f"`{path}_file`" + (f", `{_variable(path)}_FILE`" if variable else "")
        facts.append(("From a file", named))
    lines = "\n".join(f"- {name}: {value}" for name, value in facts)
    return f"### `{path}`\n\n{flat(field.description)}\n\n{lines}"


def _variable(path: str) -> str:
    return "REMEDIATOR_" + path.upper().replace(".", "__")


# Actions


def _actions() -> Iterator[str]:
    for action in Actions.installed().values():
        yield f"## `{action.name}`\n\n{flat(action.sentence)}\n\n" + "\n".join(f"- {fact}" for fact in _nature(action))
        yield "**Parameters**\n\n" + _table(
            ("name", "type", "default"),
            ((name, say_bounded(f), say_default(f), f) for name, f in fields_of(action.params).items()),
        )
        yield "**Result**\n\n" + _table(
            ("field", "type"), ((name, say_kind(f.annotation), f) for name, f in with_items(action.result))
        )


def _nature(action: Action) -> Iterator[str]:
    varies = action.nature is not None
    at_most = "at most, as its settings say: " if action.may_only_read else ""
    yield f"Effect: {at_most}`{action.effect}`"
    if at_most:
        yield "Idempotent: as its settings say"
    else:
        yield f"Idempotent: {'yes' if action.idempotent else 'no'}"
    limit = "depends on its parameters and on the settings" if varies else say_duration(action.timeout)
    yield f"Time limit: {limit}"
    if action.permissions:
        yield f"Permissions: {', '.join(map(_say_permission, action.permissions))}"
    if action.resolve is not None:
        yield f"Can be put back: {say_inverse(action)}"
        yield f"Target: {flat(action.resolve.__doc__)}"
        yield f"Deploys: {flat(action.deployed.__doc__) if action.deployed else 'its system does not show them'}"


def _say_permission(permission: Permission) -> str:
    """What the other side has to let an action do."""
    return f"`{permission.name}`" + (f" (without it, {permission.without})" if permission.without else "")


def _table(head: tuple[str, ...], rows: Iterator[tuple[Any, ...]]) -> str:
    """Each row ends with the field that it describes."""
    lines = ["| " + " | ".join((*head, "what it is")) + " |", "|---" * (len(head) + 1) + "|"]
    for name, *cells, field in rows:
        texts = (f"`{name}`", *cells, flat(field.description))
        lines.append("| " + " | ".join(text.replace("|", "\\|") for text in texts) + " |")
    return "\n".join(lines)


# Metrics


def _metrics() -> Iterator[str]:
    made = [metric for metric in vars(Metrics()).values() if isinstance(metric, MetricWrapperBase)]
    for metric in made:
        (family,) = metric.describe()
        shown = f"{family.name}_total" if family.type == "counter" else family.name
        facts = [f"Type: {family.type}"]
        facts += [f"Label `{label}`: {_LABELS[family.name, label]}" for label in metric._labelnames]
        yield f"## `{shown}`\n\n{family.documentation}.\n\n" + "\n".join(f"- {fact}" for fact in facts)


# Commands


def _commands(command: click.Command, ctx: click.Context, path: str) -> Iterator[str]:
    """The page's part on one command, then those on the commands below it."""
    usage = " ".join([path, *command.collect_usage_pieces(ctx)])
    options = [_option(parameter) for parameter in command.params if isinstance(parameter, click.Option)]
    block = f"## `{path}`\n\n```text\n{usage}\n```\n\n{flat((command.help or '').partition('Exit codes:')[0])}"
    yield "\n\n".join([block, *(["\n".join(options)] if options else [])])
    if isinstance(command, click.Group):
        for name in command.list_commands(ctx):
            below = command.get_command(ctx, name)
            if below is not None:
                yield from _commands(below, click.Context(below, parent=ctx, info_name=name), f"{path} {name}")


def _option(option: click.Option) -> str:
    names = ", ".join(f"`{name}`" for name in (*option.opts, *option.secondary_opts))
    choice = option.type if isinstance(option.type, click.Choice) else None
    extra = [one_of(choice.choices)] if choice else []
    if option.required:
        extra.append("needed")
    if isinstance(option.default, str | int) and option.default != "" and not option.is_flag:
        extra.append(f"`{option.default}` if not given")
    return f"- {names}: {flat(option.help)}" + (f" ({'; '.join(extra)})" if extra else "")


# The API


def _api() -> Iterator[str]:
    """The calls in tables, by who may make them at all."""
    for door in Door:
        calls = [one for one in OPERATIONS.values() if one.door is door]
        head = (
            "| call | scope | what it does |\n|---|---|---|"
            if door is Door.TOKEN
            else "| call | what it does |\n|---|---|"
        )
        rows = [f"| `{one.call}` |{f' `{one.scope}` |' if one.scope is not None else ''} {one.says} |" for one in calls]
        yield "\n".join([f"## {door}\n", head, *rows])


def main() -> None:
    """Write the pages beside this file."""
    for name, text in pages().items():
        (HERE / name).write_text(text, encoding="utf-8")
        print(f"docs/{name}")


if __name__ == "__main__":
    main()
