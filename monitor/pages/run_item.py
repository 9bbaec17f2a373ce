"""One item of a for-each, opened on the page of its run: its own steps, timeline and history."""

from typing import Any

from orchestrator.api import ItemPlace, Items, NotFound, Run, StepDetail, item_at, items_of
from orchestrator.web.access import WorkspaceRequest

#: The tabs that tell of one item alone.
OPENED_TABS = ("steps", "timeline", "history")
LONGEST_SCOPE = 18  # digits


def opened_item(request: WorkspaceRequest, found: Run, tab: str) -> ItemPlace | None:
    """The item to which the tab is narrowed by `?item=`. Raises NotFound."""
    asked = request.GET.get("item", "")
    if not asked or tab not in OPENED_TABS:
        return None
    if not (asked.isascii() and asked.isdecimal() and len(asked) <= LONGEST_SCOPE):
        raise NotFound(f'Run {found.pk} has no item "{asked[:40]}".')
    return item_at(found, int(asked))


def items_context(request: WorkspaceRequest, found: Run, detail: StepDetail, key: str) -> Items | None:
    """A page of the items of a for-each that has begun."""
    if detail.step is None or detail.step.progress is None:
        return None
    asked = {"cursor": request.GET.get("items", "")}
    return items_of(request.actor, found.pk, key, asked, scope=detail.step.scope)


def items_tab(tab: str) -> dict[str, Any]:
    """In which tab an item opens from the list of items: in the one that is shown, if it can."""
    return {"items_tab": tab if tab in OPENED_TABS else OPENED_TABS[0]}
