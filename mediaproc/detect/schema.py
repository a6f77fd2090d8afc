"""The JSON Schema of profiles, for completion and checks in editors."""

from __future__ import annotations

from typing import Any

from mediaproc.detect.profile import ProfileModel
from mediaproc.detect.stages.base import (
    REGISTRY,
    StageConfigField,
    StageDefinition,
    StageRegistry,
)

_TYPES: dict[str, dict[str, Any]] = {
    "float": {"type": "number"},
    "int": {"type": "integer"},
    "str": {"type": "string"},
    "bool": {"type": "boolean"},
    "list[str]": {"type": "array", "items": {"type": "string"}},
}


def profile_schema(registry: StageRegistry = REGISTRY) -> dict[str, Any]:
    """JSON Schema (2020-12) of a profile over the stages of ``registry``."""
    schema = ProfileModel.model_json_schema(by_alias=True)
    definitions = schema["$defs"]
    stages = [registry.get(name) for name in registry.names()]
    for stage in stages:
        definitions[f"config_{stage.name}"] = _config(stage)
    properties = schema["properties"]
    properties["stages"] = {
        "description": "Stages in order; each a name, or a name with its fields.",
        "type": "array",
        "items": {
            "anyOf": [
                {"enum": [s.name for s in stages if not _required(s)]},
                *(
                    {
                        "type": "object",
                        "description": stage.description,
                        "properties": {stage.name: {"$ref": f"#/$defs/config_{stage.name}"}},
                        "required": [stage.name],
                        "additionalProperties": False,
                    }
                    for stage in stages
                ),
            ]
        },
    }
    nodes = definitions["NodeModel"]
    nodes["properties"]["stage"] = {"enum": [stage.name for stage in stages]}
    nodes["properties"]["retry"] = {
        "anyOf": [{"type": "integer", "minimum": 1}, {"$ref": "#/$defs/RetryModel"}]
    }
    nodes["allOf"] = [
        {
            "if": {"properties": {"stage": {"const": stage.name}}},
            "then": {"properties": {"config": {"$ref": f"#/$defs/config_{stage.name}"}}},
        }
        for stage in stages
    ]
    properties["nodes"] = {
        "description": "Nodes by id.",
        "type": "object",
        "propertyNames": {"pattern": "^[a-z][a-z0-9_]*$"},
        "additionalProperties": {"$ref": "#/$defs/NodeModel"},
    }
    properties["edges"] = {
        "description": "Which node comes before which: 'a -> b' or [a, b].",
        "type": "array",
        "items": {
            "anyOf": [
                {"type": "string", "pattern": "->"},
                {"type": "array", "items": {"type": "string"}, "minItems": 2, "maxItems": 2},
            ]
        },
    }
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        **schema,
        "title": "mediaproc profile",
        "oneOf": [{"required": ["stages"]}, {"required": ["nodes"]}],
    }


def _required(stage: StageDefinition) -> list[str]:
    return [field.name for field in stage.config_fields if field.required]


def _config(stage: StageDefinition) -> dict[str, Any]:
    return {
        "title": stage.label,
        "description": stage.description,
        "type": ["object", "null"] if not _required(stage) else "object",
        "properties": {field.name: _field(field) for field in stage.config_fields},
        "required": _required(stage),
        "additionalProperties": False,
    }


def _field(field: StageConfigField) -> dict[str, Any]:
    schema = {**_TYPES[field.type], "description": field.description}
    if not field.required:
        schema["default"] = field.default
    if field.min is not None:
        schema["minimum"] = field.min
    if field.max is not None:
        schema["maximum"] = field.max
    if field.options is not None:
        choice = {"enum": list(field.options)}
        schema |= {"items": {"type": "string", **choice}} if field.type == "list[str]" else choice
    return schema
