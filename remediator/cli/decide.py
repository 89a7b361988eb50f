"""`remediator approve`, `deny` and `cancel`: a person's word on a run."""

import getpass
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar
from urllib.parse import quote

import click

from remediator.cli import options
from remediator.cli.service import FINDINGS, Service, fail, find_run, plain
from remediator.cli.telling import clock_time, say_hold, state_of

_Command = TypeVar("_Command", bound=Callable[..., Any])

_LEAST_DIGEST = 8  # characters; fewer are a typing mistake rather than a plan


def _check_digest(ctx: click.Context, param: click.Parameter, value: str | None) -> str | None:
    """A variable that is empty in a script must not approve whatever waits."""
    del param
    if value is not None and len(value.strip()) < _LEAST_DIGEST:
        what = f"{plain(value)} is too short" if value.strip() else "is empty"
        raise click.UsageError(f"--plan {what}; give at least {_LEAST_DIGEST} characters of the plan's digest", ctx)
    return value.strip() if value else value


_plan = click.option(
    "--plan",
    "digest",
    callback=_check_digest,
    help="The beginning of the plan's digest, at least 8 characters; refused where the run has another plan now.",
)


_rule = click.option("--rule", help="All runs of this rule (PACK/NAME) that wait, such as those of a storm.")
_group = click.option(
    "--group",
    metavar="RUN",
    help="All runs that wait whose alerts are called as that of this run, whatever their rule.",
)
_yes = click.option("--yes", is_flag=True, help="Do not ask whether you mean it: for scripts.")
_runs = click.argument("runs", metavar="[RUN]...", nargs=-1)
_TOGETHER = 100  # decisions that are asked for in one call


def who() -> str:
    """The user's name; in a container there may be a number only."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return f"user {os.getuid()}"


def _decide(service: Service, run: str, digest: str | None, *, approved: bool, reason: str, yes: bool) -> None:
    """Take a word on one plan; what would be done is shown first, and approved only where it is meant."""
    run = find_run(service, run)
    path = f"/api/v1/runs/{quote(run, safe='')}"
    found = service.get(path, has="waiting")
    plan = found["waiting"]
    if not plan:
        fail(f"run {run} waits for nobody: {_how_it_went(found)}; see: remediator runs show {run}", 1)
    if digest and not plan["digest"].startswith(digest):
        given = plain(digest[:12]) + ("…" if len(digest) > 12 else "")  # noqa: PLR2004 - as digests are shown
        fail(f"the plan is {plan['digest'][:12]}, not {given}; look at it first: remediator runs show {run}", 1)
    if approved:
        _show_first([{**plan, "id": run, "rule": found["rule"]}])
        _refuse_unmeant("approve it?", yes=yes or digest is not None)
    body = {"approved": approved, **_shown(plan), "by": who(), "reason": reason}
    answer: Any = service.post(f"{path}/decision", body)
    says = answer.get("says") if isinstance(answer, dict) else None
    click.echo(plain(says or f"{'approved' if approved else 'denied'}: plan {plan['digest'][:12]} of run {run}"))


@dataclass(frozen=True, slots=True)
class _Which:
    """Which runs are decided on."""

    runs: tuple[str, ...]
    rule: str | None
    group: str | None
    digest: str | None

    def refuse_mistakes(self, ctx: click.Context) -> None:
        """Ends the program where it is not said which runs are meant, or in two ways."""
        if sum((bool(self.runs), self.rule is not None, self.group is not None)) != 1:
            raise click.UsageError("give one or more runs, or --rule, or --group, and just one of these", ctx)
        for option, value in (("--rule", self.rule), ("--group", self.group)):
            if (
                value is not None and not value.strip()
            ):  # a variable that is empty in a script must not mean all of them
                raise click.UsageError(f"{option} is empty", ctx)
        if self.digest and len(self.runs) != 1:
            raise click.UsageError("--plan is for one run", ctx)


def _decide_on(
    ctx: click.Context, *, approved: bool, reason: str, yes: bool, url: str | None, **which_runs: Any
) -> None:
    which = _Which(**which_runs)
    which.refuse_mistakes(ctx)
    service = Service.of(ctx, url)
    if len(which.runs) == 1:
        _decide(service, which.runs[0], which.digest, approved=approved, reason=reason, yes=yes)
        return
    _decide_together(service, _plans(service, which), approved=approved, reason=reason, yes=yes)


def _plans(service: Service, which: _Which) -> list[dict[str, Any]]:
    """The plans that wait, of all runs that are meant; ends the program where one of those that are named has none."""
    from remediator.cli.approvals import chosen, waiting

    if not which.runs:
        group = None if which.group is None else find_run(service, which.group)
        return chosen(service, rule=which.rule, group=group)
    named = list(dict.fromkeys(find_run(service, run) for run in which.runs))
    plans = {one["id"]: one for one in waiting(service)["approvals"]}
    if missed := [plain(run) for run in named if run not in plans]:
        who_waits = f"run {missed[0]} waits" if len(missed) == 1 else f"runs {', '.join(missed)} wait"
        fail(f"{who_waits} for nobody; nothing was decided; see: remediator approvals list", FINDINGS)
    return [plans[run] for run in named]


def _show_first(plans: Sequence[Mapping[str, Any]]) -> None:
    """What would be done, and how much it touches."""
    from remediator.cli.approvals import radius

    click.echo("\n".join(radius(plans)))


def _refuse_unmeant(question: str, *, yes: bool) -> None:
    """Ends the program unless somebody says yes; a script has nobody to ask."""
    if yes:
        return
    try:
        is_meant = click.confirm(question)
    except click.Abort:
        click.echo()
        fail("nothing was decided: nobody has answered; in a script, give --yes", FINDINGS)
    if not is_meant:
        fail("nothing was decided", FINDINGS)


def _decide_together(
    service: Service, plans: Sequence[Mapping[str, Any]], *, approved: bool, reason: str, yes: bool
) -> None:
    """Take a word on each of these plans, as they were shown: how much they touch is shown first."""
    _show_first(plans)
    _refuse_unmeant(f"{'approve' if approved else 'deny'} {'all of them' if len(plans) > 1 else 'it'}?", yes=yes)
    said = {"approved": approved, "reason": reason, "by": who()}
    runs = [{"id": one["id"], **_shown(one)} for one in plans]
    results: list[Mapping[str, Any]] = []
    for start in range(0, len(runs), _TOGETHER):
        answer: Any = service.post("/api/v1/approvals/decision", {"runs": runs[start : start + _TOGETHER], **said})
        results += answer["runs"] if isinstance(answer, dict) else []
    for one in results:
        click.echo(plain(one["says"]) if one["taken"] else f"not taken: run {plain(one['id'])}: {plain(one['says'])}")
    if not all(one["taken"] for one in results):
        raise SystemExit(FINDINGS)


def _shown(plan: Mapping[str, Any]) -> dict[str, Any]:
    """Which plan and which question it was that somebody has been shown."""
    return {name: plan[name] for name in ("digest", "asked_at") if name in plan}


def _how_it_went(run: Mapping[str, Any]) -> str:
    """Who has decided and when, if anybody has, and how the run stands or ended."""
    decisions = [signal for signal in run["signals"] if signal["kind"] == "decision"]
    said = [f"it was {plain(signal['text'])} at {clock_time(signal['at'])}" for signal in decisions[-1:]]
    if run.get("held"):
        why, then = say_hold(run["held"])
        return ", and ".join([*said, f"it is held, because {why} ({then}); end it with: remediator cancel {run['id']}"])
    stands = f"it ended: {run['outcome']}" if run["outcome"] else f"it is {state_of(run)}"
    return ", and ".join([*said, stands])


def _on_plans(reason: Callable[[_Command], _Command]) -> Callable[[_Command], _Command]:
    """What one may say to `approve` and `deny`: the same of both, but for the reason."""

    def given_to(command: _Command) -> _Command:
        for one in (options.url, _plan, reason, _yes, _group, _rule, _runs):
            command = one(command)
        return command

    return given_to


@click.command
@_on_plans(click.option("--reason", default="", help="Why; it is told in the thread."))
@click.pass_context
def approve(ctx: click.Context, /, **given: Any) -> None:
    """Approve the plan that the run RUN waits with; the end of its id is enough.

    What would be done is shown first, of several with how much they touch together, and you are asked whether you
    mean it, unless you name the plan by --plan. Each is approved as it was shown: one that has changed meanwhile is
    not, which is said, and ends the command with 1.
    """
    _decide_on(ctx, approved=True, **given)


@click.command
@_on_plans(click.option("--reason", required=True, help="Why not; it is told in the thread."))
@click.pass_context
def deny(ctx: click.Context, /, **given: Any) -> None:
    """Say no to the plan that the run RUN waits with; the end of its id is enough.

    Of several, all of them are shown first, and you are asked whether you mean it.
    """
    _decide_on(ctx, approved=False, **given)


@click.command
@click.argument("run")
@click.option("--reason", default="", help="Why; it is told in the thread.")
@options.url
@click.pass_context
def cancel(ctx: click.Context, run: str, reason: str, url: str | None) -> None:
    """Stop the run RUN (the end of its id is enough); a step that is acting right now is let to its end.

    What will come of it is said: whether what was done has helped is looked at all the same.
    """
    service = Service.of(ctx, url)
    run = find_run(service, run)
    answer: Any = service.post(f"/api/v1/runs/{quote(run, safe='')}/cancel", {"by": who(), "reason": reason})
    coming: dict[str, Any] = answer if isinstance(answer, dict) else {}
    what = "cancelled" if coming.get("at_once", True) else "asked to stop"
    says = f": {plain(coming['says'])}" if coming.get("says") else ""
    click.echo(f"{what}: run {run}{says} (see: remediator runs show {run})")
