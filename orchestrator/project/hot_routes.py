"""The routes that the short way takes (decision 0036): those after which somebody waits for the next step to begin."""

import re
from typing import Final
from uuid import UUID

from designer.api.runs import start_directly
from monitor.api_events import publish_directly
from monitor.api_tasks import decide_directly
from orchestrator.api import NOTHING_ALONG, seen_along, startable_along
from orchestrator.project.callers import Memory
from orchestrator.project.direct import JSON, Route

_WORKSPACE = r"/api/v1/w/(?P<workspace>[-a-zA-Z0-9_]+)/"
_TASK = _WORKSPACE + r"tasks/(?P<task>[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})/"
HOT_ROUTES: Final = (
    Route(
        name="api-workflow-runs",
        address=re.compile(_WORKSPACE + r"workflows/(?P<slug>[-a-zA-Z0-9_]+)/runs/"),
        along=lambda parts: startable_along(parts["slug"]),
        deed=start_directly,
        memory=Memory.USE,
    ),
    Route(
        name="api-task-decide",
        address=re.compile(_TASK + "decide/"),
        shown_at=re.compile(_TASK),
        along=lambda parts: seen_along(UUID(parts["task"])),
        deed=decide_directly,
        memory=Memory.FORESEEN,
    ),
    Route(
        name="api-events",
        address=re.compile(_WORKSPACE + "events/"),
        along=lambda parts: NOTHING_ALONG,
        deed=publish_directly,
        memory=Memory.USE,
        allow="GET, HEAD, POST",
        content_types=JSON | {"application/cloudevents+json", "application/cloudevents+json; charset=utf-8"},
        other_by="ce-",  # binary mode
    ),
)
