"""The list of runs. Its whole filter lives in the address."""

from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import Any
from urllib.parse import urlencode
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from django.http import HttpRequest, HttpResponse, QueryDict

from monitor.pages.live import live_page, socket_config
from orchestrator.api import BULK_ACTIONS, RunFilter, list_runs, run_views, workflow_names
from orchestrator.core.states import RunState
from orchestrator.templatetags.ui import STATES as STATES_SHOWN
from orchestrator.web.access import WorkspaceRequest, workspace_view

STATES = (
    RunState.RUNNING,
    RunState.PAUSED,
    RunState.CANCELLING,
    RunState.SUCCEEDED,
    RunState.FAILED,
    RunState.CANCELLED,
    RunState.UNDOING,
    RunState.UNDONE,
    RunState.UNDO_STUCK,
)
LONGEST = 200  # characters of one filter
TEXTS = ("workflow", "key", "error")


@dataclass(frozen=True, slots=True)
class Chip:
    """A filter that one click switches on or off."""

    label: str
    address: str
    on: bool


@workspace_view
def runs(request: WorkspaceRequest) -> HttpResponse:
    """/w/{workspace}/runs/"""
    actor = request.actor
    chosen = read_filter(request)
    page = list_runs(actor, chosen.wanted, {"cursor": request.GET.get("cursor", "")})
    context = {
        "runs": run_views(page.items),
        "next": address_with(request.GET, cursor=page.next) if page.next else None,
        "first": address_with(request.GET, cursor=None) if request.GET.get("cursor") else None,
        "chips": state_chips(request.GET, chosen.wanted),
        "filter": chosen,
        "filtered": any(request.GET.get(name) for name in ("state", "since", "until", *TEXTS)),
        "workflows": workflow_names(actor),
        "bulk_actions": BULK_ACTIONS,
        "live": socket_config(actor, {"watch": "dashboard"}),
    }
    return live_page(request, "monitor/runs.html", context)


@dataclass(frozen=True, slots=True)
class Chosen:
    """The filter as typed, for the form, and as the query takes it."""

    wanted: RunFilter
    typed: dict[str, str]
    problems: tuple[str, ...]

    @property
    def pairs(self) -> list[tuple[str, str]]:
        """The filter as an address has it."""
        return [("state", state) for state in self.wanted.states] + [(n, v) for n, v in self.typed.items() if v]


def read_filter(request: HttpRequest) -> Chosen:
    """Read the filter from the address; what cannot be read is said and left out."""
    zone = zone_of(request)
    typed = {name: clean(request.GET.get(name, "")) for name in ("since", "until", *TEXTS)}
    since, until = day_of(typed["since"]), day_of(typed["until"])
    problems = tuple(
        f'"{typed[name][:40]}" is no day. Write it like 2026-03-31.'
        for name, day in (("since", since), ("until", until))
        if typed[name] and day is None
    )
    wanted = RunFilter(
        workflow=typed["workflow"],
        states=tuple(state for state in request.GET.getlist("state") if state in STATES),
        since=datetime.combine(since, time(), zone) if since else None,
        until=datetime.combine(until + timedelta(days=1), time(), zone) if until else None,
        any_key=typed["key"],
        error_text=typed["error"],
    )
    return Chosen(wanted, typed, problems)


def clean(text: str, longest: int = LONGEST) -> str:
    return text.replace("\0", "").strip()[:longest]


def day_of(text: str) -> date | None:
    try:
        day = date.fromisoformat(text)
    except ValueError:
        return None
    # Days at the calendar's ends cannot be moved into a zone.
    return day if 1970 <= day.year <= 9000 else None


def zone_of(request: HttpRequest) -> Any:
    """The viewer's zone: days of the filter begin at their midnight."""
    name = getattr(request.user, "time_zone", "")
    try:
        return ZoneInfo(name) if name else UTC
    except (ZoneInfoNotFoundError, ValueError):
        return UTC


def state_chips(query: QueryDict, wanted: RunFilter) -> list[Chip]:
    """One chip per state; a click adds or removes it."""
    chips = []
    for state in STATES:
        on = state in wanted.states
        others = [one for one in wanted.states if one != state]
        address = address_with(query, cursor=None, state=others if on else [*others, state])
        chips.append(Chip(STATES_SHOWN[state][2], address, on))
    return chips


def address_with(query: QueryDict, **changes: str | list[str] | None) -> str:
    """The list's address with some parameters changed (None: removed)."""
    kept = [(name, value) for name in query for value in query.getlist(name) if name not in changes and value]
    for name, value in changes.items():
        kept += [(name, one) for one in (value if isinstance(value, list) else [value]) if one]
    return f"?{urlencode(kept)}"
