"""The table of all that can be called over HTTP: what each call takes, who may make it, and what it answers.

The server adds its routes from this table, and the OpenAPI document is written from it: a route that does not stand
here cannot be added, and the scope that the document tells is the one that is checked. It describes and does nothing.
"""

from collections.abc import Mapping

from remediator.web.operations.operation import Operation
from remediator.web.operations.others import SLACKS, WATCHERS
from remediator.web.operations.people import PEOPLE
from remediator.web.operations.runs import ALERTS_AND_RUNS
from remediator.web.operations.stops import STOPS

OPERATIONS: Mapping[str, Operation] = {
    operation.call: operation for operation in (*ALERTS_AND_RUNS, *PEOPLE, *STOPS, *SLACKS, *WATCHERS)
}
