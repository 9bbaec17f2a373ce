"""The container kinds, for a canvas whose server does not offer them yet."""

import json
from typing import Any

from playwright.sync_api import Page, Route


def offered(kind: str, name: str, **properties: Any) -> dict[str, Any]:
    """One entry of the step-kinds API."""
    return {
        "kind": kind,
        "group": "flow",
        "name": name,
        "description": f"{name}.",
        "icon": "box",
        "ports": ["out", "error"],
        "ports_from": None,
        "effects": "none",
        "config_schema": {"type": "object", "properties": properties},
    }


CHOICES = {"enum": ["fail", "undo", "continue"], "default": "fail", "x-ui": {"expression": False}}
KINDS = [
    offered("for_each", "For each", items={}, parallel={"type": "integer", "x-ui": {"expression": False}}),
    offered("repeat", "Repeat", until={}, turns={"type": "integer", "x-ui": {"expression": False}}),
    offered("scope", "Scope", on_failure=CHOICES),
    offered("sub_workflow", "Sub-workflow", workflow={"type": "string", "x-ui": {"widget": "workflow"}}),
]


def offer_containers(page: Page) -> None:
    """Add to what the server offers the kinds it lacks."""

    def answer(route: Route) -> None:
        real = route.fetch()
        body = json.loads(real.body())
        have = {kind["kind"] for kind in body["kinds"]}
        body["kinds"] += [kind for kind in KINDS if kind["kind"] not in have]
        route.fulfill(response=real, json=body)

    page.route("**/step-kinds/", answer)
