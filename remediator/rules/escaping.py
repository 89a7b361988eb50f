"""Whether a label would get into a text of another language without being escaped for it. Pure, at load.

Called by the compiler of steps for parameters that say which language they are written in (`plugins.WrittenIn`).
"""

from jinja2 import nodes

_FROM_OUTSIDE = ("alert", "annotations", "labels")


def unescaped(tree: nodes.Node, filters: tuple[str, ...]) -> bool:
    """Whether what a sender wrote can come out of the expression as it is, past all of `filters`."""
    match tree:
        case nodes.Name():
            return tree.name in _FROM_OUTSIDE
        case nodes.Filter() if tree.name in (*filters, "int", "float", "length"):
            return False
        case nodes.Getattr() | nodes.Getitem():
            return unescaped(tree.node, filters)  # what it is looked up by does not come out
        case nodes.CondExpr():
            parts = (tree.expr1, tree.expr2)
            return any(part is not None and unescaped(part, filters) for part in parts)
        case nodes.Compare() | nodes.Test() | nodes.Not():
            return False
    return any(unescaped(child, filters) for child in tree.iter_child_nodes())
