"""Asks whether calls that rules need are let through by whatever stands before a system. Used by the looks at those."""

from collections.abc import Awaitable, Callable

from remediator.doctor.finding import Finding, problem, warning
from remediator.doctor.needs import Wanted
from remediator.errors import RemediatorError


async def refused(
    allows: Callable[[str], Awaitable[bool]], wanted: Wanted, *, system: str, remedy: str
) -> Finding | None:
    """What is wrong with a call, if something is; `allows` asks for it, and raises errors of ours."""
    what = f"{system}: {wanted.name}"
    try:
        if await allows(wanted.name):
            return None
    except RemediatorError as error:
        return _weighed(wanted, what, f"whether it is allowed cannot be told: {error}", f"see what answers; {remedy}")
    return _weighed(wanted, what, "forbidden", remedy)


def _weighed(wanted: Wanted, what: str, said: str, remedy: str) -> Finding:
    if wanted.without:
        return warning(what, f"{said}; {wanted.without} ({wanted.users_say})", remedy)
    return problem(what, f"{said}; needed by {wanted.users_say}", remedy)
