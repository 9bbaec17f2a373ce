"""The whole sentence: from an empty canvas to a finished run, with mouse and keyboard."""

import re

from playwright.sync_api import Locator, Page, expect

from orchestrator.models import User
from orchestrator.models.workspace import Role
from tests.browser.canvas import Canvas
from tests.browser.site import Site


def test_it_goes_from_an_empty_canvas_to_a_finished_run(site: Site) -> None:
    ada = site.member("ada", Role.EDITOR, Role.OPERATOR)
    ben = site.member("ben", Role.APPROVER)
    page = site.page_of(ada)
    canvas = create(page, site)
    declare_inputs(page)
    draw(page, canvas)
    configure(page, canvas)
    publish(page, canvas)
    start(page)
    watch_until_the_form(page)
    approve(site, ben)
    # Nothing reloads this page: the socket tells it.
    expect(state_of(page, "book")).to_contain_text("Succeeded")
    expect(state_of(page, "end")).to_contain_text("Skipped")
    expect(page.locator("#run-header")).to_contain_text("Succeeded")
    assert page.evaluate("window.branchlineTestMark") == "same page"
    page.get_by_role("link", name="Data").click()
    expect(page.locator("#run-body")).to_contain_text("Booked for Grace by desk 7: 360 in all, cheap")


def create(page: Page, site: Site) -> Canvas:
    page.goto(site.url("workflows/"))
    page.get_by_label("Name of the new workflow").fill("Travel request")
    page.get_by_role("button", name="Create").click()
    expect(page.get_by_role("heading", name="An empty drawing")).to_be_visible()
    canvas = Canvas(page)
    expect(canvas.steps).to_have_count(0)
    return canvas


def declare_inputs(page: Page) -> None:
    for number, (name, kind) in enumerate([("traveller", "string"), ("nights", "integer"), ("price", "number")], 1):
        page.get_by_role("button", name="Add input").click()
        page.get_by_label(f"Name of input {number}").fill(name)
        page.get_by_label(f"Type of {name}").select_option(kind)


def draw(page: Page, canvas: Canvas) -> None:
    """One step, two branches at once, a merge, a person, and two ends."""
    canvas.add_by_tab(canvas.point(0.15, 0.4), "Transform")
    expect(canvas.step("transform")).to_be_focused()
    page.keyboard.press("F2")
    page.keyboard.type("Cost")
    page.keyboard.press("Enter")
    canvas.pull_into_space("cost", "out", (180, -140), "Script")
    canvas.pull_into_space("cost", "out", (180, 160), "Transform")
    canvas.add_by_drag("Merge", canvas.point(0.8, 0.4))
    expect(canvas.steps).to_have_count(4)
    canvas.connect("script", "out", "merge")
    canvas.connect("transform", "out", "merge")
    expect(canvas.wires).to_have_count(4)
    canvas.tidy()
    canvas.middle(canvas.step("merge"))
    canvas.step("merge").hover()
    canvas.step("merge").get_by_role("button", name="Add a step then").click()
    canvas.pick("Human task")
    canvas.tidy()
    canvas.pull_into_space("human_task", "approved", (100, -120), "Transform")
    canvas.pull_into_space("human_task", "rejected", (100, 160), "End")
    canvas.tidy()
    expect(canvas.steps).to_have_count(7)
    expect(canvas.wires).to_have_count(7)


def configure(page: Page, canvas: Canvas) -> None:
    """Fill the fields in; the problems panel says what is missing, then that nothing is."""
    expect(canvas.problems).to_contain_text(re.compile(r"\d errors"))
    canvas.open("cost")
    preview = canvas.write_expression("config.value", "input.nights * input.prise")
    expect(preview).to_contain_text("prise")
    expect(preview).to_have_class(re.compile("is-wrong"))
    canvas.field("config.value").get_by_role("textbox").fill("input.nights * input.price")
    expect(preview).to_contain_text("= ")
    expect(preview).not_to_have_class(re.compile("is-wrong"))
    canvas.open("script")
    canvas.field("config.code").get_by_role("textbox").fill("limit = 500\n'cheap' if steps.cost < limit else 'dear'")
    canvas.open("transform")
    canvas.write_expression("config.value", "f'{steps.cost:g} in all'")
    ask(canvas)
    canvas.open("transform_2")
    canvas.inspector.get_by_label("Name", exact=True).fill("Book")
    page.keyboard.press("Enter")
    source = (
        "f\"Booked for {input.traveller} by desk {steps.human_task['values'].desk}: {steps.transform}, {steps.script}\""
    )
    canvas.write_expression("config.value", source)
    canvas.open("end")
    page.keyboard.press("Escape")
    expect(canvas.write_expression("output", "steps.book")).to_contain_text("= null")
    expect(canvas.problems).to_contain_text("No problems")
    canvas.saved()


def ask(canvas: Canvas) -> None:
    """The form: one required field; the two outcomes are there from the start."""
    canvas.open("human_task")
    canvas.field("config.title").get_by_role("textbox").fill("May they travel?")
    canvas.field("config.fields").get_by_role("button", name="Add field").click()
    canvas.field("config.fields.0.key").get_by_role("textbox").fill("desk")
    canvas.field("config.fields.0.label").get_by_role("textbox").fill("Desk that books")
    canvas.field("config.fields.0.required").get_by_role("switch").check()


def publish(page: Page, canvas: Canvas) -> None:
    page.get_by_role("button", name="Publish…").click()
    dialog = page.get_by_role("dialog", name="Publish")
    expect(dialog).to_contain_text("7 added")
    dialog.get_by_label("Note").fill("The first one.")
    dialog.get_by_role("button", name="Publish", exact=True).click()
    expect(canvas.header).to_contain_text("Version 1 live")


def start(page: Page) -> None:
    page.keyboard.press("Control+Enter")
    dialog = page.get_by_role("dialog", name="Run Travel request")
    dialog.get_by_label("Traveller").fill("Grace")
    dialog.get_by_label("Nights").fill("3")
    dialog.get_by_label("Price").fill("120")
    dialog.get_by_role("button", name="Start").click()
    page.wait_for_url(re.compile("/runs/"))


def watch_until_the_form(page: Page) -> None:
    page.evaluate("window.branchlineTestMark = 'same page'")
    for key in ("cost", "script", "transform", "merge"):
        expect(state_of(page, key)).to_contain_text("Succeeded")
    expect(state_of(page, "human_task")).to_contain_text("Waiting")
    expect(page.locator("#run-header")).to_contain_text("Running")
    expect(page.get_by_text("Live", exact=True)).to_be_visible()


def approve(site: Site, ben: User) -> None:
    """The second person, who sees the inbox and the form and nothing else."""
    page = site.page_of(ben, width=390, height=844, scheme="dark")
    page.goto(site.url("inbox/"))
    page.get_by_role("link", name="May they travel?").click()
    page.get_by_label("Desk that books").fill("7")
    page.get_by_role("button", name="Approved").click()
    expect(page.get_by_role("heading", name="Nothing waits for you")).to_be_visible()


def state_of(page: Page, key: str) -> Locator:
    return page.locator(f'.react-flow__node[data-id="{key}"] .step-state')
