"""A step whose action can be put back, carried out as a run does it: captured, done, looked at, put back."""

from typing import Any, Generic, TypeVar

from remediator.model.remains import Now
from remediator.plugins import Action, ActionContext, Inverse, Params, Restored, Result

Done = TypeVar("Done", bound=Result)


class Step(Generic[Done]):
    """A planned step; what was there before is kept as the store keeps it."""

    def __init__(self, action: Action, done: type[Done], context: ActionContext, params: Params) -> None:
        self.context, self._action, self._done, self._params = context, action, done, params
        self._before: Any = None

    @property
    def _inverse(self) -> Inverse[Any, Any]:
        assert self._action.inverse is not None
        return self._action.inverse

    async def do(self) -> Done:
        captured = await self._inverse.capture(self.context, self._params)
        self._before = self._inverse.before.model_validate_json(captured.model_dump_json())
        done = await self._action.perform(self.context, self._params)
        assert isinstance(done, self._done)
        return done

    async def remains(self) -> Now:
        return (await self._inverse.remains(self.context, self._params, self._before)).now

    async def put_back(self) -> Restored:
        return await self._inverse.restore(self.context, self._params, self._before)
