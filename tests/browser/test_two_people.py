"""Two people draw on one draft: nothing is lost, everything is said."""

import re

from playwright.sync_api import expect

from designer.services.workflows import create_workflow
from orchestrator.models.workspace import Role
from tests.browser.canvas import Canvas
from tests.browser.site import Site
from tests.designer_cast import document, transform


def two_editors(site: Site) -> tuple[Canvas, Canvas]:
    """The same draft in front of Ada and of Cleo."""
    ada, cleo = site.member("ada", Role.EDITOR), site.member("cleo", Role.EDITOR)
    drawing = document(transform("first", at=(0, 0)), transform("second", at=(280, 0)), name="Shared")
    create_workflow(name="Shared", actor=site.actor(ada), document=drawing)
    canvases = []
    for person in (ada, cleo):
        page = site.page_of(person)
        page.goto(site.url("workflows/shared/"))
        canvases.append(Canvas(page))
        expect(canvases[-1].steps).to_have_count(2)
    # The server refuses the second save (412), which the browser notes.
    site.complaints.expected = ["status of 412"]
    return canvases[0], canvases[1]


def rename(canvas: Canvas, key: str, name: str) -> None:
    canvas.open(key)
    canvas.inspector.get_by_label("Name", exact=True).fill(name)
    canvas.page.keyboard.press("Enter")
    canvas.page.keyboard.press("Control+s")


def test_both_changes_are_kept(site: Site) -> None:
    hers, theirs = two_editors(site)
    rename(hers, "first", "Begin")
    expect(hers.header).to_contain_text("Saved")
    expect(hers.step("begin")).to_be_visible()
    theirs.page.keyboard.press("Escape")
    theirs.add_by_tab(theirs.point(0.5, 0.8), "Script")
    notice = theirs.page.get_by_role("status").filter(has_text="ada changed this drawing while you did")
    expect(notice).to_be_visible()
    theirs.saved()
    for canvas in (hers, theirs):
        canvas.page.reload()
        expect(canvas.steps).to_have_count(3)
        expect(canvas.step("begin")).to_contain_text("Begin")
        expect(canvas.step("script")).to_be_visible()


def test_of_two_values_for_one_thing_both_are_shown(site: Site) -> None:
    hers, theirs = two_editors(site)
    hers.open("second")
    hers.field("config.value").get_by_role("textbox").fill("111")
    hers.page.keyboard.press("Control+s")
    hers.saved()
    theirs.open("second")
    theirs.field("config.value").get_by_role("textbox").fill("222")
    theirs.page.keyboard.press("Control+s")
    notice = theirs.page.get_by_role("status").filter(has_text="by both of you; yours is kept")
    expect(notice).to_be_visible()
    notice.get_by_text("Theirs").click()
    expect(notice.locator("pre")).to_contain_text("111")
    theirs.saved()
    hers.page.reload()
    hers.open("second")
    expect(hers.field("config.value").get_by_role("textbox")).to_have_value(re.compile("222"))
