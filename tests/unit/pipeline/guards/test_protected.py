"""What is protected is not touched, whatever an alert says of itself."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from remediator.model.history import Known, Question
from remediator.model.outcome import Reason
from remediator.model.plan import Effect
from remediator.model.target import Target
from remediator.pipeline.guards import Allow, Case, Guard, Guards, Refuse, Review
from remediator.pipeline.guards.protected import Protected
from remediator.settings import ProtectedSettings
from tests.unit.pipeline.guards.probing import DOWN, a_case, a_step

DOCKER = Target("docker", ("local", "postgres-1"), "4f5e")
WEB = Target("docker", ("local", "web"), "5e4f")
POD = Target("kubernetes", ("prod", "kube-system", "deployment", "dns"), "uid")
NODE = Target("kubernetes", ("prod", "node", "kube-system"), "uid")


def guard_of(**written: Any) -> Protected:
    return Protected(ProtectedSettings.model_validate(written))


def a_case_of(*targets: Target, labels: Mapping[str, str] | None = None, **changes: Any) -> Case:
    return a_case(steps=[a_step(targets=targets)], labels={**DOWN, **(labels or {})}, **changes)


def judged(guard: Guard, case: Case) -> Review:
    assert () == guard.asks(case)
    return guard.judge(case, Known())


async def nothing_known(questions: Sequence[Question]) -> Known:
    raise AssertionError(f"this guard asks about no history: {questions}")


@pytest.mark.parametrize(
    ("guards", "expected"), [([guard_of(deny={"targets": ["docker:local/postgres*"]})], Refuse), ([], Allow)]
)
async def test_without_this_guard_nothing_is_protected(guards: list[Guard], expected: type[Review]) -> None:
    """It is this guard that refuses, in the review and in the transaction of the start."""
    engine = Guards(guards, nothing_known)
    refusal = engine.reserve(a_case_of(DOCKER)).judge(Known())

    assert expected is type(await engine.review(a_case_of(DOCKER)))
    assert (Reason.PROTECTED if guards else None) == (refusal and refusal.reason)


@pytest.mark.parametrize(
    ("deny", "case", "expected"),
    [
        (
            {"targets": ["redis:*", "docker:local/postgres*"]},
            a_case_of(WEB, DOCKER),
            "docker:local/postgres-1 is denied by `docker:local/postgres*` in protected.deny.targets",
        ),
        (
            {"namespaces": ["kube-*"]},
            a_case_of(POD),
            "kubernetes:prod/kube-system/deployment/dns is denied by `kube-*` in protected.deny.namespaces",
        ),
        (
            {"namespaces": ["kube-*"]},
            a_case_of(WEB, labels={"namespace": "kube-system"}),
            "the alert's namespace is denied by `kube-*` in protected.deny.namespaces",
        ),
        (
            {"labels": ['{team="database",env="prod"}', 'env!~"dev|test"']},
            a_case_of(WEB, labels={"team": "database"}),
            'the alert is denied by `env!~"dev|test"` in protected.deny.labels',
        ),
        (
            {"labels": ['{team="database",env="prod"}']},
            a_case_of(WEB, labels={"team": "database", "env": "prod"}),
            'the alert is denied by `team="database",env="prod"` in protected.deny.labels',
        ),
    ],
)
def test_what_is_denied_is_refused_and_the_entry_is_named(deny: Any, case: Case, expected: str) -> None:
    """Whoever wonders has to find the line in the settings."""
    assert Refuse(Reason.PROTECTED, expected) == judged(guard_of(deny=deny), case)


@pytest.mark.parametrize(
    ("deny", "case"),
    [
        ({"targets": ["docker:local/postgres*"]}, a_case_of(WEB)),
        ({"targets": ["docker:local/Web"]}, a_case_of(WEB)),
        ({"namespaces": ["kube-*"]}, a_case_of(NODE)),
        ({"namespaces": ["*"]}, a_case_of(WEB)),
        ({"labels": ['{team="database",env="prod"}']}, a_case_of(WEB, labels={"team": "database"})),
    ],
)
def test_what_is_not_denied_is_let_be(deny: Any, case: Case) -> None:
    """A list says what it says, and no more."""
    assert Allow() == judged(guard_of(deny=deny), case)


@pytest.mark.parametrize(
    ("allow", "case", "expected"),
    [
        ({"targets": ["docker:local/web"]}, a_case_of(WEB), ""),
        ({"targets": ["docker:local/web"]}, a_case_of(WEB, DOCKER), "docker:local/postgres-1 is neither in"),
        ({"namespaces": ["kube-*"]}, a_case_of(POD), ""),
        ({"namespaces": ["kube-*"]}, a_case_of(NODE), "kubernetes:prod/node/kube-system is neither in"),
        ({"namespaces": ["kube-*"], "targets": ["docker:*"]}, a_case_of(POD, WEB), ""),
        ({"namespaces": ["web"]}, a_case_of(WEB, labels={"namespace": "web"}), "docker:local/web is neither in"),
        ({"labels": ['team="web"']}, a_case_of(WEB), 'nothing in protected.allow.labels (`team="web"`)'),
        ({"labels": ['team="web"', 'team="db"']}, a_case_of(WEB, labels={"team": "db"}), ""),
        ({"labels": ['team="web"'], "targets": ["redis:*"]}, a_case_of(WEB, labels={"team": "web"}), "is neither in"),
    ],
)
def test_where_something_is_allowed_nothing_else_is(allow: Any, case: Case, expected: str) -> None:
    """A new thing that nobody thought of is not touched."""
    said = judged(guard_of(allow=allow), case)

    assert bool(expected) == isinstance(said, Refuse)
    assert not isinstance(said, Refuse) or expected in said.detail


def test_a_denial_wins_over_what_is_allowed() -> None:
    """Also where both name the very same thing."""
    both = {"targets": ["docker:local/web"]}

    assert "is denied by" in getattr(judged(guard_of(allow=both, deny=both), a_case_of(WEB)), "detail", "")


def test_a_part_of_a_name_cannot_pass_for_another_target() -> None:
    """A part may hold a slash or a star, where a label has led to it: it is escaped in the name."""
    forged = Target("files", ("wal/../web", "*"))
    allow = {"targets": ["files:wal/*", "files:wal/../web/*"]}

    assert isinstance(judged(guard_of(allow=allow), a_case_of(forged)), Refuse)


def test_what_was_begun_or_approved_is_refused_all_the_same() -> None:
    """What must not be touched must not be touched."""
    case = replace(a_case_of(WEB, begun=True), approved=True)

    assert isinstance(judged(guard_of(deny={"targets": ["docker:*"]}), case), Refuse)


def test_a_plan_that_only_reads_touches_nothing() -> None:
    """To look at something is always allowed."""
    case = a_case(steps=[a_step(action="thing.look", effect=Effect.READ, targets=())])

    assert Allow() == judged(guard_of(allow={"targets": ["redis:*"]}, deny={"labels": ['alertname="Down"']}), case)


_labels = st.dictionaries(
    st.sampled_from(["namespace", "team", "service", "target"]),
    st.sampled_from(["web", "kube-system", "*", "docker:local/postgres-1", "docker:local/web", ""]),
)
_lists = st.fixed_dictionaries(
    {
        "targets": st.lists(st.sampled_from(["docker:local/web", "kubernetes:prod/*", "*"]), max_size=2),
        "namespaces": st.lists(st.sampled_from(["web", "kube-*"]), max_size=2),
        "labels": st.lists(st.sampled_from(['team="web"', 'service!="web"', 'team=~".*"']), max_size=2),
    }
)


@hypothesis_settings(deadline=None, max_examples=200, derandomize=True)
@given(allow=_lists, deny=_lists, target=st.sampled_from([DOCKER, WEB, POD, NODE]), labels=_labels)
def test_no_label_ever_widens_what_is_allowed(allow: Any, deny: Any, target: Target, labels: dict[str, str]) -> None:
    """Whoever sends alerts says what is in them: what is let through is so by the target alone, too."""
    said = judged(guard_of(allow=allow, deny=deny), a_case_of(target, labels=labels))
    of_targets = {kind: {**lists, "labels": []} for kind, lists in (("allow", allow), ("deny", deny))}

    assert isinstance(said, Refuse) or Allow() == judged(guard_of(**of_targets), a_case_of(target))
