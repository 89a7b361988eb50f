"""What the doctor says of one thing."""

from dataclasses import dataclass
from enum import StrEnum


class Verdict(StrEnum):
    """How something is."""

    OK = "ok"
    WARNING = "warning"  # the service works, with less than there could be
    PROBLEM = "problem"  # something that is configured, or that a rule needs, does not work


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was looked at, how it is, and what to do where it is not well."""

    what: str
    verdict: Verdict
    detail: str
    remedy: str = ""


def ok(what: str, detail: str) -> Finding:
    return Finding(what, Verdict.OK, detail)


def warning(what: str, detail: str, remedy: str) -> Finding:
    return Finding(what, Verdict.WARNING, detail, remedy)


def problem(what: str, detail: str, remedy: str) -> Finding:
    return Finding(what, Verdict.PROBLEM, detail, remedy)
