"""The rules in force, those that older runs were started with, and what their expressions may see."""

from collections.abc import Mapping
from typing import Any

from remediator.errors import Failed
from remediator.model.alert import Alert
from remediator.model.facts import Evidence
from remediator.model.ids import Digest
from remediator.plugins import Actions
from remediator.rules.book import Book, Rule, compile_rule
from remediator.rules.expressions import Scope
from remediator.storage.store import Store


class Rulebook:
    """Gives the book for new alerts, and for a run the very rule that it was started with."""

    def __init__(self, book: Book, actions: Actions, store: Store) -> None:
        self.book = book
        self._actions = actions
        self._store = store
        self._known: dict[Digest, Rule] = {rule.digest: rule for rule in book.rules}

    async def remember(self) -> None:
        """Store the rules in force, before any run is started with them."""
        await self._store.remember_rules({rule.digest: rule.document for rule in self.book.rules})

    async def rule(self, digest: Digest) -> Rule:
        """The rule of that digest. Raises Failed or BadRules where it cannot be had any more."""
        if digest not in self._known:
            document = await self._store.rule_document(digest)
            if document is None:
                raise Failed(f"the rule that this run was started with ({digest[:12]}) is not in the store")
            self._known[digest] = compile_rule(document, self._actions)
        return self._known[digest]


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
