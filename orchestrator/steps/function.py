"""A registered function: its arguments as a pydantic model, its form as JSON Schema, its answer as JSON."""

import inspect
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, get_type_hints

from pydantic import BaseModel, ConfigDict, Field, create_model
from pydantic_core import to_jsonable_python

from orchestrator.core.json_types import Json, JsonObject
from orchestrator.core.kinds import Effects, StepContext


@dataclass(frozen=True, slots=True, kw_only=True)
class Function:
    """What `@step` has learned of a function. `fields` maps the model's field to the parameter's name."""

    name: str
    description: str
    call: Callable[..., Any]
    is_async: bool
    effects: Effects
    arguments: type[BaseModel]
    fields: dict[str, str]
    context: str | None

    @classmethod
    def of(cls, function: Callable[..., Any], *, name: str, effects: Effects) -> "Function":
        """Read the signature. Raises `ValueError` for one that a form cannot show."""
        hints = get_type_hints(function, include_extras=True)
        parameters = inspect.signature(function).parameters
        context = next((key for key in parameters if hints.get(key) is StepContext), None)
        shown = [parameter for key, parameter in parameters.items() if key != context]
        # Own field names, the parameter as alias: "schema" or "json" would hide methods of the model.
        fields = {f"argument_{index}": parameter.name for index, parameter in enumerate(shown)}
        definitions: dict[str, Any] = {
            field: _definition(name, parameter, hints) for field, parameter in zip(fields, shown, strict=True)
        }
        config = ConfigDict(extra="forbid", hide_input_in_errors=True, title=name)
        return cls(
            name=name,
            description=(inspect.getdoc(function) or "").partition("\n\n")[0].replace("\n", " "),
            call=function,
            is_async=inspect.iscoroutinefunction(function),
            effects=effects,
            arguments=create_model("Arguments", __config__=config, **definitions),
            fields=fields,
            context=context,
        )

    def keywords(self, arguments: JsonObject, context: StepContext) -> dict[str, Any]:
        """Validated arguments, ready to call with. Raises `pydantic.ValidationError`."""
        checked = self.arguments.model_validate(arguments)
        keywords = {name: getattr(checked, field) for field, name in self.fields.items()}
        return keywords if self.context is None else {**keywords, self.context: context}

    def as_json(self) -> JsonObject:
        """What the canvas needs to show its form."""
        return {
            "name": self.name,
            "description": self.description,
            "arguments_schema": self.arguments.model_json_schema(by_alias=True),
            "effects": self.effects,
        }


def as_plain_json(value: object) -> Json:
    """Models, dataclasses, dates, decimals, ... as JSON values.

    Raises `pydantic_core.PydanticSerializationError` or `ValueError` for what has no JSON form.
    """
    if value is None or isinstance(value, bool | int | float | str):
        return value
    plain: Json = to_jsonable_python(value, inf_nan_mode="constants")
    return plain


def _definition(name: str, parameter: inspect.Parameter, hints: dict[str, Any]) -> tuple[Any, Any]:
    if parameter.kind in {parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD, parameter.POSITIONAL_ONLY}:
        raise ValueError(f"Step function {name!r}: parameter {parameter.name!r} must be an ordinary named one.")
    required = parameter.default is parameter.empty
    default = ... if required else parameter.default
    return hints.get(parameter.name, Any), Field(default, alias=parameter.name)
