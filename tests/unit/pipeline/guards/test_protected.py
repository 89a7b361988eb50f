"""What is protected is not touched, whatever an alert says of itself."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from remediator.model.history import Known, Question
from remediator.model.ids import RunId
from remediator.model.occurrence import Occurrence
from remediator.model.outcome import Reason
from remediator.model.plan import Effect
from remediator.model.target import Target
from remediator.pipeline.guards import Allow, Case, Guard, Guards, Hold, Refuse, Review
from remediator.pipeline.guards.protected import Protected, ProtectedGroup
from remediator.settings import ProtectedSettings
from tests.unit.pipeline.guards.probing import AT, DOWN, SECOND, a_case, a_step, an_occurrence
from tests.unit.pipeline.guards.probing import review as asked_of

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


class Alerts:
    """The open alerts of a run, as a store tells them."""

    def __init__(self, *labels: Mapping[str, str]) -> None:
        self.found = tuple(an_occurrence(number, **DOWN, **one) for number, one in enumerate(labels))
        self.asked: list[int] = []

    async def open_alerts_of(self, run: RunId, *, limit: int) -> tuple[Occurrence, ...]:
        self.asked.append(limit)
        return self.found[:limit]


GROUPED = {"group_by": ["cluster"]}
SHOP, PAYMENTS = {"team": "shop"}, {"team": "payments"}
NOT_PAYMENTS = {"deny": {"labels": ['{team="payments"}']}}


async def said_of(alerts: Alerts, protected: Any = NOT_PAYMENTS, **changes: Any) -> Review:
    """What the probe says of a group that began with an alert of the shop."""
    case = a_case(**{"rule": GROUPED, "labels": {**DOWN, **SHOP}, **changes})
    return await asked_of(ProtectedGroup(ProtectedSettings.model_validate(protected), alerts), case)


@pytest.mark.parametrize("begun", [False, True])
@pytest.mark.parametrize(
    ("protected", "other", "expected"),
    [
        (NOT_PAYMENTS, PAYMENTS, 'the alert is denied by `team="payments"` in protected.deny.labels'),
        (
            {"deny": {"namespaces": ["kube-*"]}},
            {"namespace": "kube-system"},
            "the alert's namespace is denied by `kube-*` in protected.deny.namespaces",
        ),
        (
            {"allow": {"labels": ['team="shop"']}},
            PAYMENTS,
            'the alert matches nothing in protected.allow.labels (`team="shop"`)',
        ),
    ],
)
async def test_any_open_alert_of_a_group_can_be_the_one_that_is_not_to_be_touched(
    protected: Any,
    other: Mapping[str, str],
    expected: str,
    begun: bool,
) -> None:
    """The first one's labels say nothing of those that came later, be it after the plan was begun."""
    said = await said_of(Alerts(SHOP, other), protected, begun=begun)

    assert Refuse(Reason.PROTECTED, f"{expected}; it is one of the group's 2 open alerts") == said


async def test_a_group_of_which_none_is_denied_goes() -> None:
    """Also where it is as large as can be looked through."""
    assert Allow() == await said_of(Alerts(*[SHOP] * 500))


async def test_a_group_with_more_alerts_than_can_be_looked_through_is_held() -> None:
    """What was not looked at may be what must not be touched."""
    said = await said_of(Alerts(*[SHOP] * 501, PAYMENTS))

    told = "the group has more than 500 open alerts, too many to look whether `protected` is about one of them"
    assert Hold(Reason.PROTECTED, AT + 30 * SECOND, told) == said


@pytest.mark.parametrize(
    ("protected", "changes"),
    [
        (NOT_PAYMENTS, {"rule": {}}),
        ({"deny": {"targets": ["redis:*"]}}, {}),
        (NOT_PAYMENTS, {"steps": [a_step(action="thing.look", effect=Effect.READ, targets=())]}),
    ],
)
async def test_the_store_is_asked_only_where_the_answer_can_matter(protected: Any, changes: Any) -> None:
    """Most rules and settings pay nothing for it."""
    alerts = Alerts(SHOP, PAYMENTS)

    assert Allow() == await said_of(alerts, protected, **changes)
    assert [] == alerts.asked


async def test_what_is_put_back_is_looked_at_in_the_same_way() -> None:
    """What must not be touched is not touched to put it back either; a person is told."""
    case = replace(a_case(rule=GROUPED, labels={**DOWN, **SHOP}), undoes=True)
    probe = ProtectedGroup(ProtectedSettings.model_validate(NOT_PAYMENTS), Alerts(SHOP, PAYMENTS))

    assert isinstance(await Guards((), nothing_known, (probe,)).look(case), Refuse)


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
