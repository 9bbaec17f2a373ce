"""Without a mouse."""

import re

from playwright.sync_api import Page, expect

from designer.samples.load import load
from designer.services.workflows import create_workflow
from orchestrator.models import Run
from orchestrator.models.workspace import Role
from orchestrator.services.members import machine_actor
from tests.browser.canvas import Canvas
from tests.browser.leave import ask_for_leave
from tests.browser.site import Site
from tests.waiting import wait_until


def test_it_draws_by_keys_alone(site: Site) -> None:
    editor = site.member("ada", Role.EDITOR)
    create_workflow(name="Keys", actor=site.actor(editor))
    page = site.page_of(editor)
    page.goto(site.url("workflows/keys/"))
    canvas = Canvas(page)
    keys = page.keyboard

    go_to(page, "Search steps")
    keys.type("transform")
    keys.press("Tab")
    keys.press("Enter")
    expect(canvas.step("transform")).to_be_focused()

    keys.press("Tab")
    canvas.pick("Script")
    expect(canvas.step("script")).to_be_focused()
    expect(canvas.wires).to_have_count(1)
    expect(canvas.step("script")).to_have_accessible_name(re.compile("Script.*after Transform"))

    keys.press("ArrowLeft")
    expect(canvas.step("transform")).to_be_focused()
    keys.press("Delete")
    expect(canvas.steps).to_have_count(1)
    keys.press("Control+z")
    expect(canvas.steps).to_have_count(2)
    expect(canvas.wires).to_have_count(1)
    keys.press("Control+Shift+Z")
    expect(canvas.steps).to_have_count(1)
    keys.press("Control+z")
    keys.press("Control+y")
    expect(canvas.steps).to_have_count(1)
    keys.press("Control+z")
    canvas.saved()


def test_the_outline_has_the_powers_of_the_canvas(site: Site) -> None:
    editor = site.member("ada", Role.EDITOR)
    load(site.workspace, machine_actor(site.workspace))
    page = site.page_of(editor)
    page.goto(site.url("workflows/leave-request/"))
    Canvas(page)
    keys = page.keyboard
    keys.press("o")
    steps = page.get_by_role("tree", name="Steps in running order").get_by_role("treeitem")
    expect(steps).to_have_count(7)
    expect(steps.first).to_contain_text("How long?")
    steps.first.focus()
    keys.press("ArrowDown")
    keys.press("F2")
    keys.type("Ask the lead")
    keys.press("Enter")
    renamed = page.get_by_role("treeitem", name=re.compile("^Ask the lead"))
    expect(renamed).to_be_focused()
    keys.press("End")
    keys.press("Delete")
    expect(steps).to_have_count(6)
    keys.press("Control+z")
    expect(steps).to_have_count(7)
    keys.press("Home")
    keys.press("c")
    dialog = page.get_by_role("dialog", name=re.compile("Connect"))
    expect(dialog).to_be_visible()
    keys.type("Not granted")
    keys.press("Enter")
    expect(page.get_by_role("treeitem", name=re.compile("^Not granted"))).to_contain_text("How long?")
    keys.press("Enter")
    expect(page.get_by_role("complementary", name="Inspector").locator(":focus")).to_have_count(1)


def test_an_approver_needs_no_mouse(site: Site) -> None:
    ada, ben = site.member("ada", Role.OPERATOR), site.member("ben", Role.APPROVER)
    runs = [ask_for_leave(site, ada, name) for name in ("Ann Lee", "Bo Ray")]
    page = site.page_of(ben)
    page.goto(site.url("inbox/?tab=groups"))
    links = page.locator(".task-link")
    expect(links).to_have_count(2)
    for key, number in (("j", 0), ("j", 1), ("k", 0)):
        page.keyboard.press(key)
        expect(links.nth(number)).to_be_focused()
    page.keyboard.press("Enter")
    go_to(page, "Who stands in?")
    page.keyboard.type("Cleo")
    go_to(page, "Approve")
    page.keyboard.press("Enter")
    expect(page.get_by_role("status").filter(has_text="counts")).to_be_visible()
    wait_until(lambda: Run.objects.filter(pk__in=runs, state="succeeded").count() == 1, 30, "the run to end")


def test_lists_need_no_mouse(site: Site) -> None:
    ada = site.member("ada", Role.EDITOR, Role.OPERATOR)
    ask_for_leave(site, ada)
    page = site.page_of(ada)
    keys = page.keyboard

    page.goto(site.url("runs/"))
    keys.press("Tab")
    expect(page.get_by_role("link", name="Skip to the content")).to_be_focused()
    keys.press("Enter")
    go_to(page, "Workflow")
    keys.type("Leave")
    go_to(page, "Filter")
    keys.press("Enter")
    expect(page).to_have_url(re.compile("workflow=leave-request"))
    go_to(page, "Leave request")
    keys.press("Enter")
    expect(page.get_by_role("heading", name="Leave request", level=1)).to_be_visible()
    go_to(page, "Steps")
    keys.press("Enter")
    go_to(page, "How long?")
    keys.press("Enter")
    expect(page.locator("#panel")).to_contain_text("How long?")

    page.goto(site.url("workflows/"))
    go_to(page, "Regional report")
    keys.press("Enter")
    expect(page.locator(".react-flow__node").first).to_be_visible()


def go_to(page: Page, name: str) -> None:
    """Press Tab until the control of this name has the focus."""
    begins = re.compile(rf"^\s*{re.escape(name)}")
    content = page.locator("main")
    wanted = content.get_by_label(begins).and_(page.locator("input, select, textarea"))
    for role in ("button", "link"):
        wanted = wanted.or_(content.get_by_role(role, name=begins))
    wanted = wanted.first
    for _ in range(40):
        if wanted.evaluate("(element) => element === document.activeElement"):
            return
        page.keyboard.press("Tab")
    raise AssertionError(f"Forty times Tab did not lead to {name!r}")
