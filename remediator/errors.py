"""The one exception tree. Three questions decide the branch: whose mistake, is another try worth it, is it final.

RemediatorError
├── Mistaken            what a person or a sender gave us is wrong; the message says where and what to do
│   ├── BadPayload        a webhook body that is not JSON of Alertmanager's shape
│   ├── BadRules          rule files with mistakes
│   ├── BadSettings       settings that cannot be used
│   │   └── MistakenSettings  (in `settings`) a file and variables with mistakes, each with its place
│   └── BadExpression     an expression that cannot be evaluated with the values it met
│       └── NoEvidence      it needs the result of a diagnosis step that has failed
├── Transient           worth another try
│   ├── Unavailable       a service that we need does not answer; nothing was done there
│   │   └── NotAsked        it was not asked at all: it is left alone for a while, or too many ask it already
│   ├── StoreUnavailable  our own store cannot write now
│   └── Overloaded        we take nothing new now, so that what was taken gets done
├── Failed              final: it was tried and the answer is no
│   ├── TargetGone        what was to be acted on is not there, or is not what was seen
│   ├── Protected         what was to be acted on says itself that it is not to be touched
│   ├── Conflicted        what was to be put back has been changed by somebody since
│   ├── StoredAlready     an id that was to be new is that of something else in our store
│   └── NotAllowed        a limit of ours forbids it
├── OutcomeUnknown      a change may or may not have happened (the connection broke, the time limit passed)
└── Fenced              the run belongs to somebody else now; stop working on it
"""

from datetime import timedelta


class RemediatorError(Exception):
    """Whatever goes wrong here is one of these. The text is fit for people: what, on what, and what to do."""


class Mistaken(RemediatorError):
    """Input that cannot be used. The same input will never work."""


class BadPayload(Mistaken):
    """A webhook body that is not JSON of Alertmanager's shape."""


class BadRules(Mistaken):
    """Rule files with mistakes; one line each, `file:line:column: what`."""


class BadSettings(Mistaken):
    """Settings that cannot be used; the text names the setting."""


class BadExpression(Mistaken):
    """An expression that could not be evaluated with the values it met."""


class NoEvidence(BadExpression):
    """An expression needs the result of a diagnosis step that has failed."""


class Transient(RemediatorError):
    """Worth another try."""

    def __init__(self, message: str, *, retry_after: timedelta = timedelta(seconds=5)) -> None:
        super().__init__(message)
        self.retry_after = retry_after


class Unavailable(Transient):
    """A service that we need does not answer. Nothing was done there."""


class NotAsked(Unavailable):
    """It was not asked at all: its circuit breaker is open, or there was no place among the calls to it."""


class StoreUnavailable(Transient):
    """Our own store cannot write now."""


class Overloaded(Transient):
    """We take nothing new now, so that what was taken gets done. `reason` is a word for it, for metrics."""

    def __init__(self, message: str, *, reason: str, retry_after: timedelta = timedelta(seconds=5)) -> None:
        super().__init__(message, retry_after=retry_after)
        self.reason = reason


class Failed(RemediatorError):
    """Final: it was tried, and the answer is no."""


class TargetGone(Failed):
    """What was to be acted on is not there, or is not what was seen when the plan was made."""


class Protected(Failed):
    """What was to be acted on is marked as not to be touched, by whoever runs it. Nothing was done to it."""


class Conflicted(Failed):
    """What was to be put back was changed by somebody since; the text says what was found. Nothing was done to it."""


class StoredAlready(Failed):
    """An id that was to be new is that of something else in our store. Nothing was written."""


class NotAllowed(Failed):
    """A limit of ours forbids it; the text names the setting."""


class OutcomeUnknown(RemediatorError):
    """A change may or may not have happened. It is never repeated silently."""


class Fenced(RemediatorError):
    """The run belongs to somebody else now."""
