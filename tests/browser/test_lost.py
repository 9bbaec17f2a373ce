"""When the connection is gone, the page says so, comes back by itself, and misses nothing."""

from playwright.sync_api import expect

from designer.services.workflows import create_workflow
from orchestrator.models.workspace import Role
from tests.browser.canvas import Canvas
from tests.browser.leave import ask_for_leave
from tests.browser.site import Site
from tests.scenarios.driver import decide

# The browser notes every try to reach a server that is not there.
UNREACHABLE = ["WebSocket connection", "ERR_INTERNET_DISCONNECTED", "ERR_CONNECTION"]


def test_a_run_page_comes_back_and_misses_nothing(site: Site) -> None:
    ada, ben = site.member("ada", Role.OPERATOR, Role.EDITOR), site.member("ben", Role.APPROVER)
    run = ask_for_leave(site, ada)
    page = site.page_of(ada)
    page.goto(site.url(f"runs/{run}/"))
    state = page.locator('.react-flow__node[data-id="approve"] .step-state')
    expect(state).to_contain_text("Waiting")
    expect(page.get_by_text("Live", exact=True)).to_be_visible()

    site.complaints.expected = UNREACHABLE
    site.web.stop()
    try:
        expect(page.get_by_text("Connection lost. Reconnecting; nothing is missed.")).to_be_visible()
        decide(run, ben, "approved")
    finally:
        site.web.start()

    expect(state).to_contain_text("Succeeded")
    expect(page.locator('.react-flow__node[data-id="tell_granted"] .step-state')).to_contain_text("Succeeded")
    expect(page.locator("#run-header")).to_contain_text("Succeeded")
    expect(page.get_by_text("Connection lost", exact=False)).to_have_count(0)


def test_what_is_drawn_offline_is_saved_later(site: Site) -> None:
    editor = site.member("ada", Role.EDITOR)
    create_workflow(name="Train", actor=site.actor(editor))
    page = site.page_of(editor)
    page.goto(site.url("workflows/train/"))
    canvas = Canvas(page)
    site.complaints.expected = UNREACHABLE
    page.context.set_offline(True)
    canvas.add_by_tab(canvas.point(0.4, 0.4), "Transform")
    expect(canvas.header).to_contain_text("Offline: kept in this browser")
    page.context.set_offline(False)
    expect(canvas.header).to_contain_text("Saved")
    page.reload()
    expect(canvas.step("transform")).to_be_visible()
