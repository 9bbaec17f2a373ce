import re
from typing import Literal

from pydantic import Field, JsonValue, field_validator

from orchestrator.core.form import shown
from orchestrator.steps.fields import Config, ui
from orchestrator.steps.numbers import Number, WholeNumber

_STATUS = re.compile(r"[1-5]\d\d(?:-[1-5]\d\d)?|[1-5]xx")


class HttpConfig(Config):
    """One request."""

    method: Literal["GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS"] = Field(
        default="GET", json_schema_extra=ui("choice", "Method", order=1)
    )
    url: str = Field(
        min_length=1,
        max_length=8_000,
        json_schema_extra=ui("text", "URL", order=2, placeholder="https://api.example.org/orders"),
    )
    query: dict[str, JsonValue] = Field(
        default_factory=dict, json_schema_extra=ui("map", "Query", "Added to the URL, encoded.", order=3)
    )
    headers: dict[str, str | WholeNumber | Number] = Field(
        default_factory=dict, max_length=50, json_schema_extra=ui("map", "Headers", order=4)
    )
    body: JsonValue = Field(default=None, json_schema_extra=ui("json", "Body", order=5))
    body_as: Literal["json", "form", "text"] = Field(
        default="json", json_schema_extra=ui("choice", "Send the body as", order=6)
    )
    accept_status: list[WholeNumber | str] = Field(
        default=["2xx"],
        min_length=1,
        max_length=50,
        json_schema_extra=ui("list", "Accepted status", 'Such as 200, "2xx" or "200-204".', order=7),
    )

    @field_validator("accept_status")
    @classmethod
    def _are_statuses(cls, listed: list[int | str]) -> list[int | str]:
        for entry in listed:
            if not _STATUS.fullmatch(str(entry)):
                raise ValueError(f'{shown(entry)} is no status; write 200, "2xx" or "200-204"')
        return listed

    def accepts(self, status: int) -> bool:
        """True when an answer with this status is a success."""
        return any(_covers(str(entry), status) for entry in self.accept_status)


def _covers(entry: str, status: int) -> bool:
    if entry.endswith("xx"):
        return status // 100 == int(entry[0])
    first, _, last = entry.partition("-")
    return int(first) <= status <= int(last or first)
