"""Rules as a store keeps them: as they were when runs were started with them.

Asked by the rulebook.
What holds of every method is said in `storage/store.py`.
"""

from collections.abc import Mapping
from typing import Any, Protocol

from remediator.model.ids import Digest


class RuleStore(Protocol):
    """Keeps rules."""

    async def remember_rules(self, documents: Mapping[Digest, Mapping[str, Any]]) -> None:
        """Keep rules as they are now, so that a run can be carried on with the rule that it started with.

        Those that are kept already are noted as in force now: `forget` goes by that.
        """
        ...

    async def rule_document(self, digest: Digest) -> Mapping[str, Any] | None:
        """A rule that was remembered."""
        ...
