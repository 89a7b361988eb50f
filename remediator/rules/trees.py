"""A step's parameters as they stand in a rule: values in which every text may hold expressions, but no key.

`compiling` makes them; steps render them.
"""

from collections.abc import Callable, Mapping
from typing import Any

from remediator.documents import Path
from remediator.errors import BadExpression
from remediator.rules.absence import Absences
from remediator.rules.expressions import Names, Scope, Template, parse_template

Tree = Any
"""A Template, a dict or tuple of trees, or a plain value."""

Report = Callable[[Path, str], None]


def parse_tree(data: Any, names: Names, report: Report, path: Path = ()) -> Tree:
    """The tree of some data. Each mistake is told to `report`, with its path; the text stays in its place then."""
    if isinstance(data, Mapping):
        return {key: parse_tree(item, names, report, (*path, key)) for key, item in data.items()}
    if isinstance(data, list | tuple):
        return tuple(parse_tree(item, names, report, (*path, index)) for index, item in enumerate(data))
    if not isinstance(data, str):
        return data
    try:
        template = parse_template(data, names)
    except BadExpression as error:
        for line in str(error).splitlines():
            report(path, line)
        return data
    return template if template.expressions else data


def steps_in(tree: Tree) -> frozenset[str]:
    """The ids of the diagnosis steps that the expressions in a tree look at."""
    if isinstance(tree, Template):
        return frozenset().union(*(part.steps for part in tree.expressions))
    parts = tree.values() if isinstance(tree, Mapping) else tree if isinstance(tree, tuple) else ()
    return frozenset().union(*map(steps_in, parts))


def render_tree(tree: Tree, scope: Scope, absences: Absences) -> Any:
    """The data with every template rendered, once. Raises NoEvidence and BadExpression."""
    if isinstance(tree, Template):
        return tree.render(scope, absences)
    if isinstance(tree, Mapping):
        return {key: render_tree(item, scope, absences) for key, item in tree.items()}
    if isinstance(tree, tuple):
        return [render_tree(item, scope, absences) for item in tree]
    return tree
