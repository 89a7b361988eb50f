"""Who somebody is, and what they may decide: as the settings say, whichever way their word comes. Pure.

Called by whoever takes a person's word (the API, Slack), and by the flow before it goes by an approval. Somebody whom
nobody knows decides nothing.
"""

from collections.abc import Collection, Iterable, Mapping

from remediator.model.facts import Asked
from remediator.model.person import ADMIN, SERVICE, Person, Via
from remediator.model.run import Decision
from remediator.settings import ApprovalSettings, PersonSettings


class People:
    """Knows everybody."""

    def __init__(self, people: Mapping[str, PersonSettings], approval: ApprovalSettings) -> None:
        self._names_in_slack = {person.slack: name for name, person in people.items() if person.slack is not None}
        self._names_of_subjects = {person.token or name: name for name, person in people.items()}
        self._groups = {group: frozenset(names) for group, names in approval.groups.items()}
        self._admin_decides = approval.admin_decides

    def of_slack(self, user: str, shown: str = "") -> Person:
        """Whoever has this member id in Slack; `shown` is what Slack calls them."""
        name = self._names_in_slack.get(user)
        if name is None:
            return Person(f"slack:{user}", Via.SLACK, f"{shown} ({user})" if shown else user)
        return Person(name, Via.SLACK, name, self._groups_of(name), is_known=True)

    def of_token(self, subject: str, groups: Iterable[str] = (), *, token: str = "") -> Person:
        """Whoever a token of the API belongs to, with the groups that it gives its owner; `token` is its id."""
        name = self._names_of_subjects.get(subject)
        given = self._there(groups)
        own = given | (self._groups_of(name) if name is not None else frozenset())
        return Person(name or f"token:{subject}", Via.TOKEN, name or subject, own, given, is_known=True, token=token)

    def of_admin(self, stated: str) -> Person:
        """Whoever holds the admin token; `stated` is the name that they give."""
        return Person(ADMIN, Via.ADMIN, stated, frozenset(self._groups), is_known=True)

    def missing(self, groups: Iterable[str]) -> tuple[str, ...]:
        """Those of the groups that the settings do not have (any more): they give nobody any right."""
        return tuple(sorted(set(groups) - self._groups.keys()))

    def _there(self, groups: Iterable[str]) -> frozenset[str]:
        return frozenset(groups) & self._groups.keys()

    def _groups_of(self, name: str) -> frozenset[str]:
        return frozenset(group for group, names in self._groups.items() if name in names)

    def refusal(self, person: Person, approvers: Iterable[str], *, starter: str = "") -> str:
        """Why somebody may not decide on what is asked of these groups; empty where they may.

        `starter`: who has started the run by hand, as `Person.name`.
        """
        wanted = tuple(approvers)
        if person.is_admin:
            return (
                "" if self._admin_decides else "the settings (approval.admin_decides) do not let the admin token decide"
            )
        if not person.is_known:
            return f"nobody knows you here: have `{person.name.partition(':')[2]}` added to `people` in the settings"
        if starter and person.name == starter:
            return "you have started this run: somebody else has to decide on it"
        if wanted and person.groups.isdisjoint(wanted):
            return f"only {' and '.join(wanted)} may decide on this, and you are not in there"
        return ""

    def lack(self, approvers: Iterable[str], quorum: int, *, starter: str = "") -> str:
        """Why not enough people may decide on what is asked of these groups; empty where enough may.

        As far as the settings tell: a token of the API can put its owner into a group, or be given to anybody.
        """
        wanted = tuple(approvers)
        if not wanted and not self._names_of_subjects:
            return ""  # whoever has a token may decide
        named = [self._groups.get(name, frozenset()) for name in wanted]
        everybody = frozenset(self._names_of_subjects.values()) if not wanted else frozenset[str]()
        able = len(everybody.union(*named) - {starter}) + (1 if self._admin_decides else 0)
        if able >= quorum:
            return ""
        admin = "with the admin token" if self._admin_decides else "without the admin token"
        have = "has" if quorum == 1 else "have"
        few = f"{quorum} {have} to approve, and the settings know {able} who may, {admin} and without other tokens"
        return "; ".join((*self._misnamed(wanted), few))

    def doubts(self, approvers: Iterable[str], quorum: int) -> tuple[str, ...]:
        """What is odd about whom a rule asks: groups that are not there or empty, or too few people."""
        wanted = tuple(approvers)
        lack = self.lack(wanted, quorum)
        return (lack,) if lack else self._misnamed(wanted)

    def _misnamed(self, wanted: Iterable[str]) -> tuple[str, ...]:
        unknown = [f"approval.groups has no group {name}" for name in wanted if name not in self._groups]
        empty = [f"nobody is in the group {name}" for name in wanted if self._groups.get(name) == frozenset()]
        return (*unknown, *empty)

    def without_slack(self, approvers: Iterable[str]) -> str:
        """That nobody in these groups is known in Slack, where it is so, though there is somebody in them."""
        wanted = tuple(approvers)
        members = frozenset[str]().union(*(self._groups.get(name, frozenset()) for name in wanted))
        if not members or members & set(self._names_in_slack.values()):
            return ""
        return f"nobody in {' and '.join(wanted)} has a member id in Slack (people.<name>.slack), or could answer there"

    def fallen(
        self, approvals: Iterable[Decision], asked: Asked, *, starter: str = "", revoked: Collection[str] = ()
    ) -> str:
        """Why one of these approvals does not count any more; empty where all of them do.

        `revoked`: ids of tokens. One that has expired since was good when it was used.
        """
        for one in approvals:
            if one.token in revoked:
                return f"the token {one.token}, with which {one.by} has approved it, was revoked"
            if not self.stands(one, asked, starter=starter):
                return f"{one.by}, who has approved it, may not decide on it any more"
        return ""

    def stands(self, decision: Decision, asked: Asked, *, starter: str = "") -> bool:
        """Whether a decision that was let through once would be let through now as well."""
        if decision.via == Via.SERVICE:
            return decision.person == SERVICE.name and asked.on_timeout == "auto"
        if not decision.person:  # an older version has stored it, which knew no groups
            return not asked.approvers
        if decision.via == Via.ADMIN:
            return self._admin_decides
        known = decision.person in self._names_of_subjects.values()
        groups = self._there(decision.groups) if decision.via == Via.TOKEN else frozenset()
        groups |= self._groups_of(decision.person)
        person = Person(
            decision.person, Via(decision.via), decision.by, groups, is_known=known or decision.via == Via.TOKEN
        )
        return not self.refusal(person, asked.approvers, starter=starter)
