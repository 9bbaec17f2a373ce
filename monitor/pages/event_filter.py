"""The filter of events: it lives in the address."""

from dataclasses import dataclass
from datetime import datetime, time, timedelta

from django.http import HttpRequest

from monitor.pages.runs import clean, day_of, zone_of
from orchestrator.api import EventFilter

TEXTS = ("type", "key", "source")
LONGEST = {"type": 200, "key": 200, "source": 400}


@dataclass(frozen=True, slots=True)
class ChosenEvents:
    """The filter as typed, for the form, and as the query takes it."""

    wanted: EventFilter
    typed: dict[str, str]
    problems: tuple[str, ...]


def read_filter(request: HttpRequest) -> ChosenEvents:
    """Read the filter from the address; what cannot be read is said and left out."""
    zone = zone_of(request)
    typed = {name: clean(request.GET.get(name, ""), LONGEST.get(name, 200)) for name in (*TEXTS, "since", "until")}
    since, until = day_of(typed["since"]), day_of(typed["until"])
    problems = tuple(
        f'"{typed[name][:40]}" is no day. Write it like 2026-03-31.'
        for name, day in (("since", since), ("until", until))
        if typed[name] and day is None
    )
    wanted = EventFilter(
        **{name: typed[name] for name in TEXTS},
        since=datetime.combine(since, time(), zone) if since else None,
        until=datetime.combine(until + timedelta(days=1), time(), zone) if until else None,
    )
    return ChosenEvents(wanted, typed, problems)
