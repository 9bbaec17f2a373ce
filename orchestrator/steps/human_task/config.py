from typing import Any, Literal

from pydantic import Field, JsonValue, field_validator, model_validator
from pydantic_core import PydanticCustomError

from orchestrator.core.document import DEFAULT_PORT, ERROR_PORT, KEY_PATTERN, TIMEOUT_PORT
from orchestrator.core.forms import FieldKind
from orchestrator.steps.durations import Duration, seconds_of
from orchestrator.steps.fields import Config, ui
from orchestrator.steps.numbers import Number, OptionalWholeNumber, WholeNumber

_TAKEN = {DEFAULT_PORT, ERROR_PORT, TIMEOUT_PORT}


class Option(Config):
    """One answer of a choice field."""

    value: str = Field(max_length=200, json_schema_extra=ui("text", "Value", order=1))
    label: str = Field(default="", max_length=200, json_schema_extra=ui("text", "Label", order=2))


class FormField(Config):
    """One thing that the form asks for."""

    key: str = Field(
        pattern=f"^{KEY_PATTERN}$",
        json_schema_extra=ui("text", "Key", "Its name in the output.", order=1, expression=False),
    )
    kind: FieldKind = Field(default="text", json_schema_extra=ui("choice", "Kind", order=2, expression=False))
    label: str = Field(default="", max_length=200, json_schema_extra=ui("text", "Label", order=3))
    required: bool = Field(default=False, json_schema_extra=ui("toggle", "Required", order=4))
    help: str = Field(default="", max_length=1_000, json_schema_extra=ui("text", "Help", order=5))
    placeholder: str = Field(default="", max_length=200, json_schema_extra=ui("text", "Placeholder", order=6))
    options: list[Option | str] = Field(
        default_factory=list, max_length=200, json_schema_extra=ui("list", "Options", "For a choice.", order=7)
    )
    default: JsonValue = Field(default=None, json_schema_extra=ui("json", "Default", order=8))
    min: Number | str | None = Field(default=None, json_schema_extra=ui("text", "Lowest", "Number or date.", order=9))
    max: Number | str | None = Field(default=None, json_schema_extra=ui("text", "Highest", "Number or date.", order=10))
    max_length: OptionalWholeNumber = Field(
        default=None, ge=1, le=10_000, json_schema_extra=ui("number", "Longest text", order=11)
    )

    @model_validator(mode="after")
    def _choice_has_options(self) -> "FormField":
        if self.kind == "choice" and not self.options:
            raise ValueError(f'the choice field "{self.key}" has no options; add some')
        return self


class Outcome(Config):
    """One button, and the port of the same name."""

    key: str = Field(pattern=f"^{KEY_PATTERN}$", json_schema_extra=ui("text", "Port", order=1, expression=False))
    label: str = Field(default="", max_length=200, json_schema_extra=ui("text", "Button", order=2))
    tone: Literal["primary", "danger", "neutral"] | None = Field(
        default=None, json_schema_extra=ui("choice", "Tone", order=3, expression=False)
    )
    comment: Literal["required"] | None = Field(
        default=None, json_schema_extra=ui("choice", "Comment", "Whether a comment must be given.", order=4)
    )


class Assignees(Config):
    """Who may answer. Nobody named: every approver."""

    users: list[str] = Field(default_factory=list, max_length=200, json_schema_extra=ui("list", "People", order=1))
    roles: list[str] = Field(default_factory=list, max_length=20, json_schema_extra=ui("list", "Roles", order=2))
    groups: list[str] = Field(default_factory=list, max_length=50, json_schema_extra=ui("list", "Groups", order=3))


def _standard_outcomes() -> list[Outcome]:
    return [
        Outcome(key="approved", label="Approve", tone="primary"),
        Outcome(key="rejected", label="Reject", tone="danger"),
    ]


class HumanTaskConfig(Config):
    """A form somebody must answer."""

    title: str = Field(min_length=1, max_length=300, json_schema_extra=ui("text", "Title", order=1))
    text: str = Field(
        default="", max_length=20_000, json_schema_extra=ui("long_text", "Text", "What to decide, and why.", order=2)
    )
    fields: list[FormField] = Field(
        default_factory=list, max_length=100, json_schema_extra=ui("fields", "Fields", order=3, expression=False)
    )
    outcomes: list[Outcome] = Field(
        default_factory=_standard_outcomes,
        min_length=1,
        max_length=10,
        json_schema_extra=ui("outcomes", "Outcomes", "One button and one port each.", order=4, expression=False),
    )
    assignees: Assignees = Field(default_factory=Assignees, json_schema_extra=ui("assignees", "Who decides", order=5))
    quorum: WholeNumber = Field(
        default=1, ge=1, le=50, json_schema_extra=ui("number", "Answers needed", "That agree.", order=6)
    )
    due: Duration | None = Field(
        default=None,
        json_schema_extra=ui("duration", "Due", "Then the port `timeout` is taken.", order=7, placeholder="P2D"),
    )
    allow_requester: bool = Field(
        default=False,
        json_schema_extra=ui("toggle", "Requester may decide", "Who started the run may answer, too.", order=8),
    )

    @field_validator("fields", "outcomes")
    @classmethod
    def _keys_differ(cls, items: list[Any]) -> list[Any]:
        keys = [item.key for item in items]
        for key in keys:
            if keys.count(key) > 1:
                raise ValueError(f'the key "{key}" is used twice; rename one')
        return items

    @field_validator("due")
    @classmethod
    def _leaves_time(cls, due: str | None) -> str | None:
        if due is not None and not seconds_of(due):
            text = f'"{due}" leaves nobody the time to answer. Set more than zero, or none: then the task stays open'
            raise PydanticCustomError("deadline_invalid", "{text}", {"text": text})
        return due

    @field_validator("outcomes")
    @classmethod
    def _ports_are_free(cls, outcomes: list[Outcome]) -> list[Outcome]:
        for outcome in outcomes:
            if outcome.key in _TAKEN:
                raise ValueError(f'the port name "{outcome.key}" has a meaning already; choose another')
        return outcomes
