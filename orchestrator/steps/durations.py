"""Durations in a config, and how far ahead a moment may be."""

from datetime import datetime, timedelta
from typing import Annotated

from pydantic import BeforeValidator
from pydantic_core import PydanticCustomError

from orchestrator.core.durations import LONGEST, parse_duration
from orchestrator.core.errors import BranchlineError
from orchestrator.core.json_types import Json
from orchestrator.steps.plain_words import spoken

TOO_LONG = "duration_too_long"


def seconds_of(text: str) -> float:
    """Seconds of an ISO 8601 duration, as a pydantic validator. Raises `PydanticCustomError` with its code."""
    try:
        return parse_duration(text)
    except BranchlineError as error:
        raise PydanticCustomError(error.error_code, "{text}", {"text": error.message}) from error


def _duration(value: Json) -> str:
    if not isinstance(value, str):
        text = f'this must be a duration like "PT5M" or "P1D", but it is {spoken(value)}'
        raise PydanticCustomError("duration_invalid", "{text}", {"text": text})
    seconds_of(value)
    return value


Duration = Annotated[str, BeforeValidator(_duration)]


def too_far(moment: datetime, now: datetime) -> str | None:
    """Why nobody can wait for this moment; None where one can."""
    if moment <= now + timedelta(seconds=LONGEST):
        return None
    return f"{moment.isoformat()} is more than ten years away. Choose an earlier moment."
