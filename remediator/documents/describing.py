"""The docstrings under the fields of a model, which say what each is. Read for schemas, pages and the command line.

Pydantic reads them too (`use_attribute_docstrings`), but for every model whenever its module is imported: finding and
parsing the sources was a third of the time that `remediator check` took. Here they are read when somebody asks. Models
are only looked at, never changed.
"""

import ast
import copy
import inspect
from collections.abc import Iterator
from itertools import pairwise
from typing import Any

from pydantic import BaseModel, GetJsonSchemaHandler
from pydantic.fields import FieldInfo
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema


class Described(BaseModel):
    """A model whose JSON Schema tells what stands under its fields."""

    @classmethod
    def __get_pydantic_json_schema__(cls, core_schema: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        schema = handler(core_schema)
        properties: dict[str, Any] = handler.resolve_ref_schema(schema).get("properties", {})
        for name, field in fields_of(cls).items():
            said = properties.get(field.alias or name)
            if said is not None and field.description is not None:
                said["description"] = field.description
        return schema


def fields_of(model: type[BaseModel]) -> dict[str, FieldInfo]:
    """The fields of a model, each with the docstring under it as its description where it was given no other."""
    docstrings = _docstrings_of(model)
    fields = {name: copy.copy(field) for name, field in model.model_fields.items()}
    for name, field in fields.items():
        field.description = field.description or docstrings.get(name)
    return fields


def _docstrings_of(model: type[BaseModel]) -> dict[str, str]:
    """The docstrings under its fields, those of inherited fields included; none where its source is not there."""
    found: dict[str, str] = {}
    for ancestor in reversed(model.__mro__):
        if issubclass(ancestor, BaseModel) and ancestor is not BaseModel:
            found.update(_docstrings_in(ancestor))
    return found


def _docstrings_in(model: type[BaseModel]) -> Iterator[tuple[str, str]]:
    try:
        source = inspect.getsource(model)
    except (OSError, TypeError):  # it was made by a program, or its source is not installed
        return
    # A class within something else is indented; what stands in its docstrings may be less so.
    tree = ast.parse(f"if True:\n{source}" if source[0].isspace() else source)
    declared = next(node for node in ast.walk(tree) if isinstance(node, ast.ClassDef))
    for statement, following in pairwise(declared.body):
        match statement, following:
            case ast.AnnAssign(target=ast.Name(id=name)), ast.Expr(value=ast.Constant(value=str(text))):
                yield name, inspect.cleandoc(text)
