"""A run's own deadline, as people write it: how long it may take, or until when."""

from datetime import UTC, datetime, timedelta

from django.utils.dateparse import parse_datetime

from orchestrator.core.durations import LONGEST, parse_duration
from orchestrator.core.errors import BranchlineError
from orchestrator.engine import statements
from orchestrator.engine.prepared import fetch_one


class DeadlineInvalid(BranchlineError):
    """Neither a duration nor a time."""

    code = "deadline_invalid"


class DeadlinePast(BranchlineError):
    """The run would be over before it begins."""

    code = "deadline_past"


def database_time() -> datetime:
    """Now, by the clock that ends a run: a web host's own may be minutes off."""
    found = fetch_one(statements.DATABASE_TIME, [])
    assert found is not None, "a clock always answers"
    now: datetime = found[0]
    return now


def deadline_at(text: str, now: datetime) -> datetime:
    """The moment of "PT2H" or "2026-11-25T18:00:00Z"; without an offset a time is UTC.

    Raises DurationInvalid, DeadlineInvalid, DeadlinePast.
    """
    moment = now + timedelta(seconds=parse_duration(text)) if text.startswith(("P", "-")) else _time(text)
    if moment <= now:
        raise DeadlinePast(f'The deadline "{text}" has passed. Give one in the future, or none.')
    if moment > now + timedelta(seconds=LONGEST):
        raise DeadlineInvalid(f'The deadline "{text}" is more than ten years away. Choose an earlier one.')
    return moment


def _time(text: str) -> datetime:
    try:
        moment = parse_datetime(text)
    except ValueError:
        moment = None
    if moment is None:
        raise DeadlineInvalid(
            f'"{text[:64]}" is no deadline. Write a duration like "PT2H", or a time like "2030-01-31T18:00:00Z".'
        )
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
