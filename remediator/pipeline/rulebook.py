"""The rules in force, those that older runs were started with, and what their expressions may see."""

from collections.abc import Mapping, Sequence
from typing import Any

from remediator.errors import Failed
from remediator.model.alert import Alert
from remediator.model.audit import AuditEntry
from remediator.model.facts import Evidence
from remediator.model.ids import Digest, RuleId
from remediator.plugins import Actions
from remediator.rules.book import Book, Rule, compile_rule
from remediator.rules.expressions import Scope
from remediator.storage.store import Store

_MOST_OLDER = 256  # compiled rules that are not in force any more; the store has all of them


class Rulebook:
    """Gives the book for new alerts, and for a run the very rule that it was started with."""

    def __init__(self, book: Book, actions: Actions, store: Store) -> None:
        self._actions = actions
        self._store = store
        self._in_force = _InForce(book)
        self._older: dict[Digest, Rule] = {}  # the one that was used last comes last

    @property
    def book(self) -> Book:
        """The rules in force. Asked once for one decision: the next moment it may be another one."""
        return self._in_force.book

    @property
    def actions(self) -> Actions:
        """Every action that there is."""
        return self._actions

    def digest_now(self, rule: RuleId) -> str:
        """The digest of a rule as it is in force; empty where there is none of that name any more."""
        found = self.book.get(rule)
        return found.digest if found is not None else ""

    async def remember(self) -> None:
        """Store the rules in force, before any run is started with them. Raises StoreUnavailable."""
        await self._remember(self.book)

    async def replace(self, book: Book, audit: Sequence[AuditEntry] = ()) -> None:
        """Put another book in force, once its rules are stored, and that they are in force.

        Raises StoreUnavailable; then nothing has changed.
        """
        await self._remember(book)
        await self._store.audit(audit)
        before, self._in_force = self._in_force, _InForce(book)
        for digest, rule in before.rules.items():
            if digest not in self._in_force.rules:
                self._keep(digest, rule)  # runs are under way with it

    async def rule(self, digest: Digest) -> Rule:
        """The rule of that digest. Raises Failed or BadRules where it cannot be had any more."""
        if (rule := self._in_force.rules.get(digest)) is not None:
            return rule
        if (rule := self._older.get(digest)) is None:
            document = await self._store.rule_document(digest)
            if document is None:
                raise Failed(f"the rule that this run was started with ({digest[:12]}) is not in the store")
            rule = compile_rule(document, self._actions)
        self._keep(digest, rule)
        return rule

    async def _remember(self, book: Book) -> None:
        await self._store.remember_rules({rule.digest: rule.document for rule in book.rules})

    def _keep(self, digest: Digest, rule: Rule) -> None:
        """Have an older rule at hand, and let go of the one that was not used for the longest time."""
        self._older.pop(digest, None)
        self._older[digest] = rule
        if len(self._older) > _MOST_OLDER:
            del self._older[next(iter(self._older))]


class _InForce:
    """A book, and its rules by digest; replaced as one, so that nobody sees half of each."""

    def __init__(self, book: Book) -> None:
        self.book = book
        self.rules: Mapping[Digest, Rule] = {rule.digest: rule for rule in book.rules}


def scope_of(
    alert: Alert,
    rule: Rule,
    evidence: Mapping[str, Evidence] | None = None,
    result: Mapping[str, Any] | None = None,
) -> Scope:
    """What an expression of `rule` may see for this alert."""
    return Scope(
        labels=alert.labels,
        annotations=alert.annotations,
        vars=rule.vars,
        steps=evidence or {},
        result=result,
        starts_at=alert.starts_at,
        fingerprint=alert.fingerprint,
    )
