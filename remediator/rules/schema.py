"""The JSON Schema (2020-12) of rule files, for editors: the grammar's own, with the parameters of every action in it.

Called by `remediator schema`. Pure. It says as much as a schema can: what an expression may speak of, and what fits
together, only `remediator check` knows.
"""

import copy
import re
from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel

from remediator.plugins import Action, Actions
from remediator.rules.computing import COMPUTE, ComputeShape
from remediator.rules.grammar import OverlayShape, PackShape, RuleShape, Shape

Schema = dict[str, Any]

DIALECT = "https://json-schema.org/draft/2020-12/schema"
_DEFS = "#/$defs/"
_EXPRESSION: Schema = {"$ref": f"{_DEFS}Expression"}
_MATCHERS: Schema = {"items": {"type": "string", "examples": ['alertname="ServiceDown"']}, "minItems": 1}
_OUTSIDE = ("title", "description", "default", "examples")
"""What is said of a value and not asked of it: editors look for it on the outside."""


def schema_of_rules(actions: Actions) -> Schema:
    """The schema of rule files and overlay files, with these actions."""
    defs = _of_grammar()
    defs["Expression"] = {"type": "string", "pattern": r"\{\{", "description": "Text with an expression in it."}
    for action in actions.values():
        _add_model(defs, action.params, action.name, is_open=True)
    _add_model(defs, ComputeShape, COMPUTE, is_open=False)
    reading = [a for a in actions.values() if not a.changes]
    timeout = _open(copy.deepcopy(defs["VerifyShape"]["properties"]["settle"]))
    timeout = {**_without(timeout, "default", "title"), "description": "How long the step may take, such as 30s."}
    defs["Step"] = _step(actions.values(), timeout)
    defs["Look"] = _step(reading, timeout, more={COMPUTE: {"$ref": f"{_DEFS}{_escaped(COMPUTE)}"}})
    defs["Check"] = _step(reading, timeout, expect=True)
    return {
        "$schema": DIALECT,
        "title": "remediator's rule files",
        "if": {"required": ["overlay"], "not": {"required": ["pack"]}},
        "then": {"$ref": f"{_DEFS}OverlayShape"},
        "else": {"$ref": f"{_DEFS}PackShape"},
        "$defs": defs,
    }


def _of_grammar() -> Schema:
    """The definitions of the grammar's shapes, with what pydantic cannot know put in."""
    defs: Schema = {}
    for shape in (PackShape, OverlayShape, RuleShape):
        defs.update(_definitions(shape, shape.__name__))
    for name, definition in defs.items():
        _refine(name, definition)
    return defs


def _refine(name: str, definition: Schema) -> None:
    properties = definition.get("properties", {})
    for key, value in properties.items():
        properties[key] = _without_null(value)
    match name:
        case "PackShape":
            properties["rules"]["items"] = {"$ref": f"{_DEFS}RuleShape"}
        case "DependencyShape":
            properties["match"] |= _MATCHERS
        case "RuleShape":
            properties["match"] |= _MATCHERS
            name_of_alert = {"type": "string", "pattern": "^[^={]+$", "examples": ["PostgreSQLDown"]}
            properties["depends"]["items"] = {"anyOf": [name_of_alert, properties["depends"]["items"]]}
            names = {"pattern": "^[a-z][a-z0-9_]*$"}
            properties["diagnose"] |= {"additionalProperties": {"$ref": f"{_DEFS}Look"}, "propertyNames": names}
        case "RungShape":
            _refine_rung(definition)
        case "VerifyShape":
            properties["checks"]["items"] = {"$ref": f"{_DEFS}Check"}
    for slug in ("name", "pack", "overlay", "to"):
        if name != "RungShape" and slug in properties:
            properties[slug]["pattern"] = "^[a-z0-9][a-z0-9-]{0,62}$"
    for key, value in properties.items():
        if _takes_vars(value):
            properties[key] = _open(value)


def _refine_rung(definition: Schema) -> None:
    properties = definition["properties"]
    properties["do"]["items"] = {"$ref": f"{_DEFS}Step"}
    gate = properties["gate"]
    properties["gate"] = {**_without(gate, "$ref"), "anyOf": [{"type": "boolean"}, {"$ref": gate["$ref"]}]}
    definition["oneOf"] = [{"required": ["do"]}, {"required": ["tell"]}]


def _without_null(value: Schema) -> Schema:
    """What is left out may be null as well, but a key with nothing behind it is a slip; and editors say it better."""
    left = [one for one in value.get("anyOf", ()) if one.get("type") != "null"]
    if len(left) != 1 or len(left) == len(value["anyOf"]):
        return value
    outside = _without(value, "anyOf", *(["default"] if value.get("default") is None else []))
    return {**outside, **left[0]}


def _takes_vars(value: Schema) -> bool:
    """Whether a value of the grammar may be an expression over `vars`: durations, budgets, shares and counts."""
    kinds = value.get("anyOf", [value])
    return "const" not in value and any(
        one.get("type") == "integer" or ("examples" in one and one.get("type") == "string") for one in kinds
    )


def _step(actions: Any, timeout: Schema, *, expect: bool = False, more: Mapping[str, Schema] | None = None) -> Schema:
    """A step: exactly one action with its parameters, and what may stand beside it."""
    keys = {action.name: _call(action) for action in actions} | dict(more or {})
    beside: Schema = {"timeout": timeout}
    if expect:
        what = "A condition on `result`, such as `result.status == 200`."
        beside["expect"] = {"type": "string", "description": what}
    return {
        "type": "object",
        "properties": {**keys, **beside},
        "additionalProperties": False,
        "required": ["expect"] if expect else [],
        "oneOf": [{"required": [name]} for name in keys],
    }


def _call(action: Action) -> Schema:
    """An action's parameters; one that needs none may stand alone."""
    params: Schema = {"$ref": _DEFS + _escaped(action.name)}
    needed = any(field.is_required() for field in action.params.model_fields.values())
    value = params if needed else {"anyOf": [params, {"type": "null"}]}
    return {"description": " ".join(action.sentence.split()), **value}


def _add_model(defs: Schema, model: type[BaseModel], name: str, *, is_open: bool) -> None:
    """Add a model's definitions under a name of its own; with `is_open` each value may be an expression instead."""
    for key, definition in _definitions(model, name).items():
        own = key if key == name else f"{name}/{key}"
        renamed = _renamed(definition, name)
        defs[own] = _opened(renamed) if is_open else renamed


def _definitions(model: type[BaseModel], name: str) -> Schema:
    """A model and all that it is made of, each under its name."""
    whole = model.model_json_schema(by_alias=True, ref_template=f"{_DEFS}{{model}}")
    inner: Schema = whole.pop("$defs", {})
    return {**inner, name: whole} if issubclass(model, Shape) or "$ref" not in whole else inner


def _renamed(value: Any, name: str) -> Any:
    """The same with its references led to the names that the definitions have here."""
    if isinstance(value, list):
        return [_renamed(item, name) for item in value]
    if not isinstance(value, dict):
        return value
    reference = value.get("$ref")
    led = {"$ref": f"{_DEFS}{_escaped(name + '/' + reference.removeprefix(_DEFS))}"} if reference else {}
    return {key: _renamed(item, name) for key, item in value.items()} | led


def _escaped(name: str) -> str:
    """A name as a JSON pointer within a URI has it."""
    return re.sub(r"~", "~0", name).replace("/", "~1")


def _opened(value: Schema) -> Schema:
    """A mapping whose values may be expressions, and theirs, all the way down."""
    opened = dict(value)
    if "properties" in value:
        opened["properties"] = {name: _open(_opened(item)) for name, item in value["properties"].items()}
    for key in ("additionalProperties", "items"):
        if isinstance(value.get(key), dict):
            opened[key] = _open(_opened(value[key]))
    for key in ("anyOf", "oneOf", "prefixItems"):
        if key in value:
            opened[key] = [_opened(item) for item in value[key]]
    return opened


def _open(value: Schema) -> Schema:
    """The same, or text with an expression in it."""
    if value in ({}, {"type": "string"}) or value.get("anyOf", [])[-1:] == [_EXPRESSION]:
        return value
    outside = {key: value[key] for key in _OUTSIDE if key in value}
    inside = _without(value, *_OUTSIDE)
    if inside in ({}, {"type": "string"}):
        return value
    return {**outside, "anyOf": [inside, _EXPRESSION]}


def _without(value: Schema, *keys: str) -> Schema:
    return {key: item for key, item in value.items() if key not in keys}
