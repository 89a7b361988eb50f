"""A write that was handed in, and who waits for it; the same for every engine."""

import asyncio
from dataclasses import dataclass, field
from typing import Any


@dataclass(slots=True, eq=False, kw_only=True)
class Promised:
    """What becomes of a write. Made by whoever waits for it."""

    future: "asyncio.Future[Any]" = field(default_factory=lambda: asyncio.get_running_loop().create_future())
    result: Any = None
    error: BaseException | None = None

    def settle(self) -> None:
        """Answer whoever waits. Called in their loop."""
        if self.future.done():
            return  # whoever asked has gone; the write stands all the same
        if self.error is not None:
            self.future.set_exception(self.error)
        else:
            self.future.set_result(self.result)
