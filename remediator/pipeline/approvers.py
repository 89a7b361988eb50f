"""What is odd about whom rules ask, as far as the settings tell: groups that are not there, and too few people,
or nobody who could answer in Slack.

Called by the commands that check and examine. Pure.
"""

from collections.abc import Iterator

from remediator.model.ids import RuleId
from remediator.pipeline.approval import needs_person_of, policy_of
from remediator.pipeline.people import People
from remediator.rules.book import Book
from remediator.settings import Settings


def doubtful_approvers(settings: Settings, book: Book) -> Iterator[tuple[RuleId, str]]:
    """Each rule with a sentence on a remedy whose groups are not there, or on which too few people may decide."""
    people = People(settings.people, settings.approval)
    for rule in book:
        mode = rule.mode.capped(settings.mode_ceiling)
        for rung in rule.rungs:
            if not needs_person_of(rung, mode):
                continue
            policy = policy_of(rung.gate, settings.approval)
            doubts = people.doubts(policy.approvers, policy.quorum)
            if settings.slack.interactive and (unheard := people.without_slack(policy.approvers)):
                doubts = (*doubts, unheard)
            for doubt in doubts:
                yield rule.id, f"who approves the remedy “{rung.name}”: {doubt}"
