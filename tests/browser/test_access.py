"""axe-core finds nothing on any page, in either theme, on a wide screen and on a phone."""

from collections.abc import Iterator
from dataclasses import dataclass

import pytest
from playwright.sync_api import Browser, Page, expect

from orchestrator.models import HumanTask, Run, Scope
from orchestrator.models.workspace import Role
from tests.browser.axe import violations
from tests.browser.canvas import Canvas
from tests.browser.leave import ask_for_leave
from tests.browser.runs import ended, run_over_items, run_with_events, run_with_held_undo, run_with_stuck_undo, started
from tests.browser.site import Site
from tests.browser.web import Web
from tests.designer_cast import document, transform
from tests.run_factories import make_delivery, make_event

PAGES = {
    "front": "",
    "workflows": "workflows/",
    "editor": "workflows/order-payment/",
    "versions": "workflows/order-payment/versions/",
    "start": "workflows/leave-request/start/",
    "runs": "runs/",
    "runs filtered": "runs/?state=failed",
    "run graph": "runs/{waiting}/",
    "run timeline": "runs/{failed}/?tab=timeline",
    "run steps": "runs/{failed}/?tab=steps",
    "run history": "runs/{failed}/?tab=history",
    "run data": "runs/{waiting}/?tab=data",
    "step": "runs/{failed}/steps/{step}/?tab=steps",
    "undo asked": "runs/{failed}/undo/",
    "undo not begun": "runs/{failed}/?tab=undo",
    "undo ledger": "runs/{stuck}/?tab=undo",
    "undo held": "runs/{held}/",
    "items on the graph": "runs/{items}/steps/each/",
    "items": "runs/{items}/steps/each/?tab=timeline",
    "item steps": "runs/{items}/?tab=steps&item={item}",
    "item timeline": "runs/{items}/?tab=timeline&item={item}",
    "item history": "runs/{items}/?tab=history&item={item}",
    "cancel": "runs/{waiting}/cancel/",
    "run events": "runs/{awaiting}/?tab=events",
    "run history with events": "runs/{awaiting}/?tab=history",
    "events": "events/",
    "event": "events/{event}/",
    "dead letters": "events/dead-letters/",
    "send an event": "events/send/?type=parcel.sent",
    "inbox": "inbox/?tab=all",
    "task": "inbox/{task}/",
    "reassign": "inbox/{task}/reassign/",
    "members": "members/",
    "tokens": "tokens/",
    "audit": "audit/",
    "account": "/account/",
    "password": "/account/password/",
    "API": "/api/docs/",
    "nothing here": "workflows/no-such-workflow/",
}

# What Swagger UI nests into its own markup is not ours to mend.
NOT_OURS = ("nested-interactive", "heading-order", "region")


@dataclass
class House:
    """The samples with a run that waits and one that failed, and a window on them."""

    site: Site
    page: Page
    places: dict[str, str]

    def path(self, name: str) -> str:
        """The address of a page above."""
        path = PAGES[name].format(**self.places)
        return path if path.startswith("/") else self.site.url(path)


@pytest.fixture(scope="module")
def house(web: Web, chromium: Browser) -> Iterator[House]:
    site = Site(web, chromium)
    site.complaints.expected = ["status of 404 .*no-such-workflow"]
    everybody = site.member("ada", *[str(role) for role in Role])
    waiting = ask_for_leave(site, everybody)
    failed = failed_run(site)
    task = HumanTask.objects.get(run_id=waiting)
    items, stuck = run_over_items(site.workspace), run_with_stuck_undo(site.workspace)
    places = {
        "waiting": str(waiting),
        "failed": str(failed.pk),
        "task": str(task.pk),
        "step": "ends",
        "items": str(items.pk),
        "item": str(Scope.objects.get(run_id=items.pk).pk + 41),
        "stuck": str(stuck.pk),
        "held": str(run_with_held_undo(site.workspace).pk),
        **events_of(site),
    }
    yield House(site, site.page_of(everybody), places)
    site.close()


def events_of(site: Site) -> dict[str, str]:
    """A run that has had one event, could not look at another, and waits for a third."""
    run = run_with_events(site.workspace)
    event = make_event(site.workspace, "parcel.sent", key="7", subject="A parcel", extra={"tenant": "eu"})
    make_delivery(event, run, "paid")
    make_delivery(event, run, "sent", "X", error={"code": "expression_failed", "message": "There is no weight."})
    return {"awaiting": str(run.pk), "event": str(event.pk)}


def failed_run(site: Site) -> Run:
    """A run that ends failed at its second step."""
    broken = document(
        transform("begins", at=(0, 0)), transform("ends", {"$": "1 // input.of"}, at=(280, 0)), name="Broken"
    )
    return ended(started(site.workspace, broken, {"of": 0}), "failed")


@pytest.mark.parametrize("name", PAGES)
def test_a_page_shuts_nobody_out(house: House, name: str) -> None:
    page = house.page
    found: list[str] = []
    for width in (1440, 390):
        page.set_viewport_size({"width": width, "height": 900})
        page.goto(house.path(name))
        settled(page)
        for scheme in ("light", "dark"):
            page.emulate_media(color_scheme="dark" if scheme == "dark" else "light")
            # Between the themes only colours differ.
            only = ["color-contrast"] if scheme == "dark" else None
            found += [f"{width} {scheme}: {line}" for line in violations(page, only)]
    if name == "API":
        found = [line for line in found if not any(rule in line for rule in NOT_OURS)]
    assert not found, "\n".join(found)
    house.site.complaints.check()


def test_drawing_shuts_nobody_out(house: House) -> None:
    page = house.page
    page.set_viewport_size({"width": 1440, "height": 900})
    found: list[str] = []
    for scheme in ("light", "dark"):
        page.emulate_media(color_scheme="dark" if scheme == "dark" else "light")
        page.goto(house.site.url("workflows/leave-request/"))
        canvas = Canvas(page)
        canvas.open("approve")
        for tab in ("Settings", "Input", "Errors & retry", "Undo"):
            page.get_by_role("tab", name=tab).click()
            found += violations(page)
        canvas.rest()
        canvas.step("approve").focus()
        page.keyboard.press("Tab")
        expect(canvas.picker).to_be_visible()
        found += violations(page)
        page.keyboard.press("Escape")
        for opens, title in (("Control+k", "Commands"), ("?", "Keys"), ("Control+Enter", "Run Leave request")):
            page.keyboard.press(opens)
            expect(page.get_by_role("dialog", name=title)).to_be_visible()
            found += violations(page)
            page.keyboard.press("Escape")
        page.get_by_role("button", name="Publish…").click()
        expect(page.get_by_role("dialog", name="Publish")).to_contain_text("version 1")
        found += violations(page)
        page.keyboard.press("Escape")
        page.get_by_role("button", name="Show the outline (O)").click()
        found += violations(page)
    assert not found, "\n".join(sorted(set(found)))
    house.site.complaints.check()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_an_undo_plan_shuts_nobody_out(house: House, scheme: str) -> None:
    page = house.page
    page.set_viewport_size({"width": 1440, "height": 900})
    page.emulate_media(color_scheme="dark" if scheme == "dark" else "light")
    page.goto(house.site.url("workflows/trip-booking/"))
    Canvas(page).open("pay")
    page.get_by_role("tab", name="Undo").click()
    expect(page.get_by_role("list", name="Undone, in this order")).to_contain_text("Book the hotel")
    assert violations(page) == []
    house.site.complaints.check()


def test_signing_in_shuts_nobody_out(house: House) -> None:
    page = house.site.anonymous()
    found: list[str] = []
    for path in ("/signin/", "/signin/link/used-long-ago/"):
        page.goto(path)
        for scheme in ("light", "dark"):
            page.emulate_media(color_scheme="dark" if scheme == "dark" else "light")
            found += violations(page)
    assert not found, "\n".join(found)


def settled(page: Page) -> None:
    """Until the page shows what it will show."""
    if page.locator("#canvas").count():
        expect(page.locator(".react-flow__node").first).to_be_visible()
    if page.locator("#reference").count():
        expect(page.locator(".opblock").first).to_be_visible()


def test_a_row_of_tabs_shows_the_open_one_on_a_phone(house: House) -> None:
    house.page.set_viewport_size({"width": 390, "height": 900})
    for name in ("run data", "run history", "undo ledger", "run graph"):
        house.page.goto(house.path(name))
        open_tab = house.page.locator(".tabs > [aria-current]")
        expect(open_tab).to_be_in_viewport(ratio=0.9)
        assert house.page.evaluate("scrollY") == 0
