from typing import Any, Self

from pydantic import Field, model_validator

from orchestrator.steps.fields import Config, ui

MOST_RECIPIENTS = 50


class EmailConfig(Config):
    """One message."""

    to: str | list[str] = Field(
        json_schema_extra=ui("list", "To", "Addresses.", order=1, placeholder="ann@example.org")
    )
    subject: str = Field(max_length=500, json_schema_extra=ui("text", "Subject", order=2))
    text: str = Field(default="", max_length=500_000, json_schema_extra=ui("long_text", "Text", order=3))
    html: str | None = Field(
        default=None,
        max_length=500_000,
        json_schema_extra=ui("long_text", "HTML", "Shown instead of the text where possible.", order=4),
    )

    @model_validator(mode="after")
    def _has_body(self) -> Self:
        if not self.text and not self.html:
            raise ValueError("the message is empty; write `text` or `html`")
        return self

    def recipients(self) -> tuple[str, ...]:
        """The addresses, blanks around them removed."""
        listed: Any = [self.to] if isinstance(self.to, str) else self.to
        return tuple(address.strip(" ") for address in listed)
