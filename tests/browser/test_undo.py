"""An undo that is stuck, settled by a person with a keyboard alone."""

from playwright.sync_api import Locator, Page, expect

from orchestrator.models import Run, UndoItem
from orchestrator.models.workspace import Role
from tests.browser.axe import violations
from tests.browser.runs import run_with_stuck_undo
from tests.browser.site import Site
from tests.waiting import wait_until

MOST_TABS = 80


def tab_to(page: Page, target: Locator) -> None:
    """Press Tab until the target has the focus."""
    for _ in range(MOST_TABS):
        page.keyboard.press("Tab")
        if target.evaluate("element => element === document.activeElement"):
            return
    raise AssertionError(f"{target} cannot be reached with Tab")


def state_of(run: Run, key: str) -> str:
    keys = run.version.plan["keys"]
    return UndoItem.objects.get(run_id=run.pk, node=keys.index(key)).state


def test_retry_skip_and_done_by_hand_by_keyboard(site: Site) -> None:
    ada = site.member("ada", Role.OPERATOR)
    run = run_with_stuck_undo(site.workspace)
    page = site.page_of(ada)
    page.goto(site.url(f"runs/{run.pk}/?tab=undo"))
    tried = UndoItem.objects.get(run_id=run.pk, node=run.version.plan["keys"].index("car"))

    link = page.get_by_role("row", name="Rent the car").get_by_role("link")
    tab_to(page, link)
    link.evaluate("element => element.dataset.before = 'renewal'")
    page.evaluate("htmx.trigger('#live-part', 'live')")
    expect(link).not_to_have_attribute("data-before", "renewal")
    expect(link).to_be_focused()

    card = page.get_by_role("article", name="Rent the car")
    tab_to(page, card.get_by_role("button", name="Try again"))
    page.keyboard.press("Enter")
    expect(page.get_by_role("row", name="Rent the car").get_by_role("cell").nth(2)).to_have_text("2")
    wait_until(lambda: state_of(run, "car") == "stuck", 30, "its undo to be refused again")
    assert UndoItem.objects.get(run_id=run.pk, node=tried.node).xid > tried.xid

    page.goto(site.url(f"runs/{run.pk}/?tab=undo"))
    tab_to(page, page.get_by_role("article", name="Book the hotel").get_by_role("button", name="Skip"))
    page.keyboard.press("Enter")
    expect(page.get_by_text("Say why", exact=False).first).to_be_visible()
    assert state_of(run, "hotel") == "stuck", "without a reason nothing happens"
    assert violations(page) == []

    for name, button, said, key, state in (
        ("Book the hotel", "Skip", "The hotel lets us keep it", "hotel", "skipped"),
        ("Book the flight", "Done by hand", "Cancelled by telephone", "flight", "by_hand"),
        ("Rent the car", "Done by hand", "The key was returned", "car", "by_hand"),
    ):
        card = page.get_by_role("article", name=name)
        tab_to(page, card.get_by_role("textbox"))
        page.keyboard.type(said)
        tab_to(page, card.get_by_role("button", name=button))
        page.keyboard.press("Enter")
        expect(page.get_by_role("row", name=name)).to_contain_text(said)
        assert state_of(run, key) == state

    expect(page.get_by_role("article")).to_have_count(0)
    wait_until(lambda: Run.objects.get(pk=run.pk).state == "undone", 30, "the run to be undone")
    page.reload()
    expect(page.locator("#run-header .state")).to_contain_text("Undone")
