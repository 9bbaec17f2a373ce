"""An example of a JSON Schema: what a preview reads where no run has left real data."""

from collections.abc import Mapping

from orchestrator.core.json_types import Json
from orchestrator.core.json_walk import first_flaw

_MAX_LEVELS = 16
_MAX_PARTS = 2_000
_ZEROS: Mapping[str, Json] = {"string": "", "integer": 0, "number": 0, "boolean": False, "null": None}


def example_of(schema: Json) -> Json:
    """A value for the schema: its default, else an example, else its first enum entry, else a zero of its type.

    Never fails: where the schema is wrong, refers to itself or grows too large, the value is null.
    """
    if first_flaw(schema) is not None:
        return None
    definitions = schema.get("$defs") if isinstance(schema, Mapping) else None
    maker = _Maker(definitions if isinstance(definitions, Mapping) else {})
    return maker.value(schema, 0)


class _Maker:
    """Follows a schema down to `_MAX_LEVELS`, counting its parts: definitions can multiply without end."""

    def __init__(self, definitions: Mapping[str, Json]) -> None:
        self._definitions = definitions
        self._parts = 0

    def value(self, schema: Json, level: int) -> Json:
        self._parts += 1
        if not isinstance(schema, Mapping) or level > _MAX_LEVELS or self._parts > _MAX_PARTS:
            return None
        for keyword in ("default", "const"):
            if keyword in schema:
                return schema[keyword]
        for keyword in ("examples", "enum"):
            options = schema.get(keyword)
            if isinstance(options, list | tuple) and options:
                first: Json = options[0]
                return first
        return self._made(schema, level + 1)

    def _made(self, schema: Mapping[str, Json], level: int) -> Json:
        reference = schema.get("$ref")
        if isinstance(reference, str):
            return self.value(self._definitions.get(reference.removeprefix("#/$defs/")), level)
        for keyword in ("oneOf", "anyOf", "allOf"):
            options = schema.get(keyword)
            if isinstance(options, list | tuple) and options and "properties" not in schema:
                return self.value(options[0], level)
        return self._of_type(schema, level)

    def _of_type(self, schema: Mapping[str, Json], level: int) -> Json:
        kind = schema.get("type")
        if isinstance(kind, list | tuple) and kind:
            kind = kind[0]
        properties = schema.get("properties")
        if kind == "object" or (kind is None and isinstance(properties, Mapping)):
            known = properties if isinstance(properties, Mapping) else {}
            return {name: self.value(part, level) for name, part in known.items()}
        if kind == "array":
            return [self.value(schema["items"], level)] if isinstance(schema.get("items"), Mapping) else []
        return _ZEROS.get(kind) if isinstance(kind, str) else None
