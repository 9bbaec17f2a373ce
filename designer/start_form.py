"""A form made from a workflow's input schema, for people without JavaScript. Pure: no request, no database."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from orchestrator.api import CsvInvalid, Json, JsonInvalid, JsonObject, csv_input, parse_json

Widget = Literal["text", "long_text", "number", "date", "datetime", "email", "url", "choice", "flag", "json", "rows"]
#: JSON Schema formats of texts that browsers have a field for.
FORMATS: Mapping[str, Widget] = {"date": "date", "date-time": "text", "email": "email", "uri": "url"}
#: From so many characters on a text gets more than one line.
LONG = 200
#: Fields are named so that none can be mistaken for `csrfmiddlewaretoken` or another field of the page.
PREFIX = "input."
FILE = "rows_file"
MOST_CHARACTERS = 8_000_000


@dataclass(slots=True, kw_only=True)
class Field:
    """One property of the input, with what was typed and what is wrong with it."""

    key: str
    widget: Widget
    label: str
    help: str = ""
    required: bool = False
    step: str = ""
    options: Sequence[tuple[str, str]] = ()
    typed: str = ""
    errors: list[str] = field(default_factory=list)

    @property
    def name(self) -> str:
        """The name in the request."""
        return PREFIX + self.key


@dataclass(slots=True)
class StartForm:
    """The form, and once bound the input it stands for."""

    schema: JsonObject
    fields: list[Field]
    input: dict[str, Json] = field(default_factory=dict)
    #: What no field can be blamed for.
    errors: list[str] = field(default_factory=list)

    @property
    def is_valid(self) -> bool:
        return not self.errors and not any(item.errors for item in self.fields)

    @property
    def takes_file(self) -> bool:
        return any(item.widget == "rows" for item in self.fields)


def form_for(schema: JsonObject) -> StartForm:
    """An empty form, filled with the schema's defaults."""
    properties = schema.get("properties")
    required = schema.get("required")
    needed = required if isinstance(required, list) else []
    known = properties if isinstance(properties, Mapping) else {}
    return StartForm(schema, [_field(key, part, key in needed) for key, part in known.items()])


def bound(schema: JsonObject, typed: Mapping[str, str], file: bytes | None) -> StartForm:
    """The form with what somebody typed: `input` to start with, or errors beside the fields. Keeps all texts."""
    form = form_for(schema)
    for item in form.fields:
        item.typed = typed.get(item.name, "")
        _read(item, form, file)
    return form


def blame(form: StartForm, problems: Sequence[Mapping[str, Json]]) -> None:
    """Put the complaints of an input check ({"path", "message"}) beside the fields they concern."""
    by_key = {item.key: item for item in form.fields}
    for problem in problems:
        item = by_key.get(str(problem["path"]).partition(".")[0])
        (form.errors if item is None else item.errors).append(str(problem["message"]))


def _field(key: str, part: Any, required: bool) -> Field:  # noqa: FBT001  a value, not a switch
    schema: Mapping[str, Any] = part if isinstance(part, Mapping) else {}
    widget = _widget(key, schema)
    made = Field(
        key=key,
        widget=widget,
        label=str(schema.get("title") or key.replace("_", " ").capitalize()),
        help=str(schema.get("description") or ""),
        required=required,
        step="1" if schema.get("type") == "integer" else "any",
    )
    if widget == "choice":
        made.options = [(json.dumps(option), _option(option)) for option in schema["enum"]]
    made.typed = _default(widget, schema)
    return made


def _widget(key: str, schema: Mapping[str, Any]) -> Widget:
    kind = schema.get("type")
    if isinstance(schema.get("enum"), list) and schema["enum"]:
        return "choice"
    if key == "rows" and kind == "array":
        return "rows"
    if kind == "string":
        return _text_widget(schema)
    simple: Mapping[str, Widget] = {"integer": "number", "number": "number", "boolean": "flag"}
    return simple.get(kind, "json") if isinstance(kind, str) else "json"


def _text_widget(schema: Mapping[str, Any]) -> Widget:
    hints = schema.get("x-ui")
    longest = schema.get("maxLength")
    if isinstance(hints, Mapping) and hints.get("widget") == "long_text":
        return "long_text"
    if isinstance(longest, int) and longest > LONG:
        return "long_text"
    return FORMATS.get(str(schema.get("format")), "text")


def _option(option: Json) -> str:
    return option if isinstance(option, str) else json.dumps(option)


def _default(widget: Widget, schema: Mapping[str, Any]) -> str:
    if "default" not in schema:
        return ""
    value = schema["default"]
    if widget == "flag":
        return "on" if value is True else ""
    if widget in {"choice", "json", "rows", "number"}:
        return json.dumps(value, ensure_ascii=False)
    return str(value)


def _read(item: Field, form: StartForm, file: bytes | None) -> None:
    """Put the typed text into the input as its type, or note why it cannot be."""
    if item.widget == "flag":
        form.input[item.key] = item.typed == "on"
    elif item.widget == "rows" and file is not None:
        _read_file(item, form, file)
    elif not item.typed.strip() and item.widget != "long_text":
        if item.required:
            item.errors.append(_missing(item))
    elif item.widget in {"choice", "json", "rows", "number"}:
        _read_json(item, form)
    elif item.typed or item.required:
        # Browsers send lines ended by CRLF.
        form.input[item.key] = item.typed.replace("\r\n", "\n")


def _missing(item: Field) -> str:
    return "Choose a file or type rows." if item.widget == "rows" else "Fill this in."


def _read_file(item: Field, form: StartForm, file: bytes) -> None:
    try:
        form.input[item.key] = csv_input(file)["rows"]
    except CsvInvalid as error:
        item.errors.append(error.message)


def _read_json(item: Field, form: StartForm) -> None:
    text = item.typed.strip()
    if item.widget == "choice" and text not in {value for value, _ in item.options}:
        item.errors.append("Choose one of the list.")
        return
    try:
        form.input[item.key] = parse_json(text, max_bytes=MOST_CHARACTERS)
    except JsonInvalid as error:
        item.errors.append("Type a number." if item.widget == "number" else error.message)
