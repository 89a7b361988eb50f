"""Adds the routes of the application, each as the table of operations describes it; what is not described cannot be.

Used by the server when it builds the application. The scope that a caller needs is taken from the table, so it is the
one that the OpenAPI document tells.
"""

from aiohttp import web
from aiohttp.typedefs import Handler

from remediator.model.token import Scope
from remediator.web.auth import CALLER, Callers
from remediator.web.openapi import OpenapiPage
from remediator.web.operations import OPERATIONS
from remediator.web.operations.operation import Operation


class Routes:
    """The routes of one application."""

    def __init__(self, app: web.Application, callers: Callers) -> None:
        self._app = app
        self._callers = callers
        self._added: list[Operation] = []

    def add(self, call: str, handler: Handler) -> None:
        """Have a call answered, for whoever has the scope that it needs. Raises KeyError for one not described."""
        operation = OPERATIONS[call]
        checked = handler if operation.scope is None else _needing(operation.scope, self._callers, handler)
        add = self._app.router.add_get if operation.method == "GET" else self._app.router.add_post
        add(operation.path, checked)
        self._added.append(operation)

    def tell(self, call: str) -> None:
        """Answer a call with the document of all that were added, itself among them."""
        page = OpenapiPage()
        self.add(call, page.show)
        page.tell_of(self._added)


def _needing(scope: Scope, callers: Callers, handler: Handler) -> Handler:
    """The handler, for whoever has the scope; it finds who calls in the request."""

    async def checked(request: web.Request) -> web.StreamResponse:
        request[CALLER] = await callers.check(request, scope)
        return await handler(request)

    return checked
