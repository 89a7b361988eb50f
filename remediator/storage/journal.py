"""What guards ask of a store: the journal of what was changed, with the stops that people and rules have put.

Asked by the guards' review; within a start, `Reservation.questions` asks the same.
What holds of every method is said in `storage/store.py`.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import Protocol

from remediator.model.audit import AuditEntry
from remediator.model.history import Known, Question
from remediator.model.stop import Stop, StopKind


class JournalStore(Protocol):
    """Answers questions, and keeps stops."""

    async def known(self, questions: Sequence[Question]) -> Known:
        """The answers, as they are now. A change that was not begun is in none of them, until it is begun after all."""
        ...

    async def put_stop(self, stop: Stop, audit: Sequence[AuditEntry] = ()) -> bool:
        """Have it stand in the way, in the place of an earlier one of its kind and scope. Whether it was written.

        It is not where one was lifted (or dated) at its `at` or later, for whoever has lifted it knew what it was put
        for, nor in the place of one that ends by itself later. A pause always is. No start is committed after the
        answer that was judged without it. `audit` is entered where it was written, here and below.
        """
        ...

    async def prolong_stop(self, stop: Stop, audit: Sequence[AuditEntry] = ()) -> Stop | None:
        """Have one with an end stand; where one of its kind and scope stands, that one stays, until the later end.

        The stop that stands then. None, and nothing is written, where one was lifted after this one's `at`: whoever has
        lifted it knew more; or where one stands that has no end.
        """
        ...

    async def lift_stop(
        self, kind: StopKind, scope: str, at: datetime, *, after_all: bool = False, audit: Sequence[AuditEntry] = ()
    ) -> bool:
        """End it at that time; whether there was one that stood.

        With `after_all` its `at` becomes the newest ending that is known of its target, rule or action, or the newest
        run, if that is later: a clock that was ahead may have dated later what came before.
        """
        ...

    async def list_stops(self, at: datetime) -> tuple[Stop, ...]:
        """All whose time is not over, the oldest first."""
        ...
