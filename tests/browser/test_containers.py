"""Containers on the canvas: putting in, taking out, grouping, moving, by mouse and by keyboard."""

import re
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from designer.queries.drafts import load_draft
from designer.services.publishing import publish
from designer.services.workflows import create_workflow
from orchestrator.models.workspace import Role
from tests.browser.axe import violations
from tests.browser.canvas import Canvas, box_of
from tests.browser.site import Site
from tests.core.drawings import raw_document, step


def does(key: str, x: int, y: int, **more: Any) -> dict[str, Any]:
    """A step with nothing to complain about."""
    return step(key, at=[x, y], config={"value": 1}, **more)


def drawing(steps: list[dict[str, Any]], edges: str = "", **more: Any) -> dict[str, Any]:
    return raw_document(steps, edges, **{"name": "Orders", **more})


CHAIN = drawing(
    [does("load", 0, 0), does("charge", 288, 0), does("ship", 576, 0), does("alone", 288, 240)],
    "load -> charge, charge -> ship",
)
NESTED = drawing(
    [
        does("load", 0, 80),
        step("each", "for_each", at=[288, 40], config={"items": {"$": "steps.load"}}),
        does("pick", 320, 144, parent="each"),
        does("pack", 608, 144, parent="each"),
        does("report", 920, 80),
        step("box", "scope", at=[288, -200]),
    ],
    "load -> each, pick -> pack, each -> report",
    regions=[{"key": "warehouse", "name": "Warehouse", "pattern": "sequence", "steps": ["pick", "pack"]}],
)


class Drawn:
    """The canvas of one workflow, and what the server keeps of it."""

    def __init__(self, site: Site, document: dict[str, Any], **options: Any) -> None:
        ada = site.member("ada", Role.EDITOR, Role.OPERATOR)
        self.actor = site.actor(ada)
        self.workflow = create_workflow(name="Orders", actor=self.actor, document=document)
        self.page: Page = site.page_of(ada, **options)
        self.page.goto(site.url(f"workflows/{self.workflow.slug}/"))
        self.canvas = Canvas(self.page)
        self.canvas.rest()

    def kept(self) -> dict[str, Any]:
        """The document on the server once everything is saved."""
        self.canvas.saved()
        return load_draft(self.workflow).document

    def parents(self) -> dict[str, str | None]:
        return {step["key"]: step.get("parent") for step in self.kept()["steps"]}

    def edges(self) -> set[str]:
        return {f"{edge['from']}.{edge.get('port', 'out')} -> {edge['to']}" for edge in self.kept()["edges"]}

    def places(self) -> dict[str, list[float]]:
        return {step["key"]: step["at"] for step in self.kept()["steps"]}

    def frame(self, key: str) -> Any:
        return self.page.locator(f'.react-flow__node-frame[data-id="{key}"]')

    def select(self, *keys: str) -> None:
        self.canvas.rest()
        for number, key in enumerate(keys):
            head = self.canvas.step(key).locator(".step-head, .frame-head")
            head.click(modifiers=["Control"] if number else [], position={"x": 60, "y": 20})

    def move(self, key: str, to: tuple[float, float]) -> None:
        """Drag a step by its head to a place of the window."""
        box = box_of(self.canvas.step(key))
        self.canvas.drag((box["x"] + 50, box["y"] + 12), to)
        self.canvas.rest()

    def inside(self, key: str, x: float = 0.5, y: float = 0.8) -> tuple[float, float]:
        box = box_of(self.frame(key))
        return box["x"] + box["width"] * x, box["y"] + box["height"] * y


def test_steps_go_in_and_out_by_mouse(site: Site) -> None:
    drawn = Drawn(site, NESTED)
    canvas = drawn.canvas
    canvas.add_by_drag("Script", drawn.inside("box"))
    expect(canvas.step("script")).to_be_focused()
    assert drawn.parents()["script"] == "box"
    drawn.move("report", drawn.inside("box", y=0.9))
    expect(drawn.page.get_by_text('Moved into "Box"')).to_be_visible()
    assert drawn.parents()["report"] == "box"
    assert drawn.edges() == {"load.out -> each", "pick.out -> pack", "each.out -> box"}
    drawn.page.keyboard.press("Control+z")
    assert drawn.parents()["report"] is None
    assert drawn.edges() == {"load.out -> each", "pick.out -> pack", "each.out -> report"}
    box = box_of(drawn.frame("box"))
    drawn.move("script", (box["x"] - 120, box["y"] + 40))
    assert drawn.parents()["script"] is None


def test_a_connected_step_stretches_its_frame_and_the_neighbours_make_room(site: Site) -> None:
    drawn = Drawn(site, NESTED)
    before = drawn.places()
    box = box_of(drawn.canvas.step("pack"))
    drawn.move("pack", (box["x"] + 150, box["y"] + 12))
    after = drawn.places()
    assert drawn.parents()["pack"] == "each"
    assert after["pack"][0] > before["pack"][0]
    assert after["report"][0] > before["report"][0]
    frame, report = box_of(drawn.frame("each")), box_of(drawn.canvas.step("report"))
    assert frame["x"] + frame["width"] < report["x"]


def test_moving_a_container_moves_what_it_holds(site: Site) -> None:
    drawn = Drawn(site, NESTED)
    before = drawn.places()
    box = box_of(drawn.frame("each"))
    drawn.move("each", (box["x"] + 50, box["y"] - 80))
    after = drawn.places()
    shift = {key: [after[key][0] - before[key][0], after[key][1] - before[key][1]] for key in before}
    assert shift["pick"] == shift["pack"]
    assert shift["pick"][1] < 0
    assert shift["load"] == [0, 0]
    drawn.page.keyboard.press("Control+z")
    assert drawn.places() == before


def test_a_connection_across_a_border_says_why_not(site: Site) -> None:
    drawn = Drawn(site, NESTED)
    drawn.canvas.connect("pack", "out", "report")
    expect(drawn.page.get_by_text('cannot cross the border of "Each"')).to_be_visible()
    expect(drawn.canvas.wires).to_have_count(3)
    drawn.canvas.connect("pack", "error", "report")
    expect(drawn.page.get_by_text('move "Report" into it')).to_be_visible()
    assert drawn.edges() == {"load.out -> each", "pick.out -> pack", "each.out -> report"}


def test_a_selection_is_grouped_and_the_group_dissolved_by_keyboard(site: Site) -> None:
    drawn = Drawn(site, CHAIN)
    page = drawn.page
    drawn.select("charge", "ship")
    page.keyboard.press("Control+g")
    expect(drawn.frame("scope")).to_be_focused()
    expect(drawn.frame("scope")).to_have_accessible_name("Scope, Scope, after Load, holds 2 steps")
    assert drawn.parents() == {"load": None, "scope": None, "charge": "scope", "ship": "scope", "alone": None}
    assert drawn.edges() == {"load.out -> scope", "charge.out -> ship"}
    page.keyboard.press("e")
    expect(drawn.canvas.step("charge")).to_have_count(0)
    expect(drawn.canvas.step("scope")).to_contain_text("2")
    page.keyboard.press("e")
    expect(drawn.canvas.step("charge")).to_have_accessible_name(
        "Charge, Transform, inside Scope, starts Scope, then Ship"
    )
    page.keyboard.press("Control+Shift+G")
    expect(drawn.frame("scope")).to_have_count(0)
    assert drawn.edges() == {"load.out -> charge", "charge.out -> ship"}


def test_a_group_whose_path_leaves_it_is_refused(site: Site) -> None:
    drawn = Drawn(site, CHAIN)
    drawn.select("load", "ship")
    drawn.page.keyboard.press("Control+Alt+g")
    expect(drawn.page.get_by_text("Take the steps between them along")).to_be_visible()
    assert "for_each" not in drawn.parents()


def test_keys_walk_into_a_container_and_add_and_move_steps(site: Site) -> None:
    drawn = Drawn(site, NESTED)
    page, canvas = drawn.page, drawn.canvas
    drawn.select("each")
    page.keyboard.press("ArrowDown")
    expect(canvas.step("pick")).to_be_focused()
    page.keyboard.press("ArrowRight")
    expect(canvas.step("pack")).to_be_focused()
    page.keyboard.press("ArrowUp")
    expect(canvas.step("each")).to_be_focused()
    page.keyboard.press("i")
    canvas.pick("Script")
    expect(canvas.step("script")).to_be_focused()
    assert drawn.parents()["script"] == "each"
    page.keyboard.press("m")
    dialog = page.get_by_role("dialog", name="Move into a container")
    dialog.get_by_role("combobox").fill("box")
    page.keyboard.press("Enter")
    assert drawn.parents()["script"] == "box"
    page.keyboard.press("Shift+M")
    assert drawn.parents()["script"] is None
    drawn.select("box")
    page.keyboard.press("Tab")
    canvas.pick("Transform")
    assert drawn.parents()["transform"] == "box"


def test_a_copy_keeps_the_nesting_and_deleting_takes_all_along(site: Site) -> None:
    drawn = Drawn(site, NESTED)
    drawn.select("each")
    drawn.page.keyboard.press("Control+d")
    expect(drawn.frame("each_2")).to_be_visible()
    assert {key: parent for key, parent in drawn.parents().items() if key.endswith("_2")} == {
        "each_2": None,
        "pick_2": "each_2",
        "pack_2": "each_2",
    }
    assert "pick_2.out -> pack_2" in drawn.edges()
    drawn.page.keyboard.press("Delete")
    expect(drawn.page.get_by_text("Deleted with the 2 steps inside")).to_be_visible()
    assert not [key for key in drawn.parents() if key.endswith("_2")]
    drawn.page.keyboard.press("Control+z")
    assert drawn.parents()["pick_2"] == "each_2"


def test_the_outline_is_a_tree(site: Site) -> None:
    drawn = Drawn(site, NESTED)
    page = drawn.page
    page.keyboard.press("o")
    rows = page.get_by_role("treeitem")
    expect(rows).to_have_count(6)
    expect(page.get_by_role("treeitem", name=re.compile("^Pick"))).to_have_attribute("aria-level", "2")
    page.get_by_role("treeitem", name=re.compile("^Each")).focus()
    page.keyboard.press("ArrowLeft")
    expect(rows).to_have_count(4)
    page.keyboard.press("ArrowRight")
    page.keyboard.press("ArrowRight")
    expect(page.get_by_role("treeitem", name=re.compile("^Pick"))).to_be_focused()
    page.keyboard.press("ArrowLeft")
    page.keyboard.press("Delete")
    expect(page.get_by_role("treeitem")).to_have_count(3)
    assert set(drawn.parents()) == {"load", "report", "box"}


def test_tidying_lays_out_every_level(site: Site) -> None:
    drawn = Drawn(site, NESTED)
    drawn.canvas.tidy()
    frame = box_of(drawn.frame("each"))
    for key in ("pick", "pack"):
        box = box_of(drawn.canvas.step(key))
        assert frame["x"] < box["x"]
        assert box["x"] + box["width"] < frame["x"] + frame["width"]
    report = box_of(drawn.canvas.step("report"))
    assert report["x"] > frame["x"] + frame["width"]
    assert drawn.parents()["pick"] == "each"


def test_a_region_is_made_named_and_removed(site: Site) -> None:
    drawn = Drawn(site, CHAIN)
    page, inspector = drawn.page, drawn.canvas.inspector
    drawn.select("charge", "ship")
    inspector.get_by_role("button", name="Parallel").click()
    inspector.get_by_label("Name").fill("Payment")
    inspector.get_by_label("Pattern").select_option("event")
    expect(page.locator(".react-flow__node-region")).to_contain_text("Payment")
    assert drawn.kept()["regions"] == [
        {"key": "region", "name": "Payment", "pattern": "event", "steps": ["charge", "ship"]}
    ]
    page.mouse.click(*drawn.canvas.point(0.5, 0.05))
    page.get_by_role("button", name="Payment Event-driven").click()
    page.keyboard.press("Delete")
    expect(page.locator(".react-flow__node-region")).to_have_count(0)
    assert drawn.kept().get("regions", []) == []


def test_settings_undo_and_the_workflow_to_call_are_set_in_forms(site: Site) -> None:
    drawn = Drawn(site, drawing([step("call", "sub_workflow", at=[0, 0]), does("save", 0, 160)]))
    page, canvas = drawn.page, drawn.canvas
    other = create_workflow(name="Daily report", actor=drawn.actor)
    page.reload()
    canvas.open("call")
    canvas.field("config.workflow").get_by_role("combobox").select_option(other.slug)
    expect(canvas.field("config.workflow")).to_contain_text("no live version yet")
    canvas.open("save")
    page.get_by_role("tab", name="Undo").click()
    canvas.field("undo.kind").get_by_role("combobox").select_option(label="Transform")
    canvas.write_expression("undo.config.value", "output")
    page.keyboard.press("Escape")
    page.mouse.click(*canvas.point(0.5, 0.05))
    canvas.field("settings.on_failure").get_by_role("combobox").select_option(label="What was done is undone")
    canvas.field("settings.concurrency.limit").get_by_role("textbox").fill("3")
    canvas.field("settings.concurrency.on_limit").get_by_role("combobox").select_option(
        label="The oldest open run is cancelled"
    )
    canvas.field("settings.priority").get_by_role("textbox").fill("5")
    page.keyboard.press("Control+s")
    kept = drawn.kept()
    assert kept["settings"] == {
        "on_failure": "undo",
        "concurrency": {"limit": 3, "on_limit": "replace"},
        "priority": 5,
    }
    steps = {step["key"]: step for step in kept["steps"]}
    assert steps["call"]["config"]["workflow"] == other.slug
    assert steps["save"]["undo"] == {"kind": "transform", "config": {"value": {"$": "output"}}}


def test_the_inspector_tells_what_a_scope_undoes_alone(site: Site) -> None:
    undo = {"undo": {"kind": "transform", "config": {"value": 1}}}
    steps = [
        does("before", 0, 0, **undo),
        step("box", "scope", at=[288, 0], config={"on_failure": "undo"}),
        does("a", 312, 88, parent="box", **undo),
        does("bad", 600, 88, parent="box"),
        does("rescue", 960, 0),
    ]
    drawn = Drawn(site, drawing(steps, "before -> box, a -> bad, box.error -> rescue"))
    drawn.canvas.open("bad")
    drawn.page.get_by_role("tab", name="Undo").click()
    told = drawn.canvas.inspector
    expect(told).to_contain_text('The run goes on from Box by its port "error".')
    expect(told.get_by_role("list", name="Undone by Box, in this order")).to_have_text("A in Box")
    expect(told.get_by_role("list", name="Undone, in this order")).to_have_count(0)
    drawn.canvas.open("rescue")
    expect(told).to_contain_text("The run fails. The workflow lets failed runs just fail")
    expect(told.get_by_role("list", name="Undone, in this order").get_by_role("listitem")).to_have_text("Before")


LOOP = drawing(
    [
        step("each", "for_each", at=[0, 0], config={"items": {"$": "[1, 2, 3]"}}),
        step("double", at=[24, 88], parent="each", config={"value": {"$": "item * 2"}}),
        step("again", "repeat", at=[312, 88], parent="each", config={"while": {"$": "turn < 3"}, "turns": 5}),
        step("count", at=[336, 176], parent="again", config={"value": {"$": "turn"}}),
    ],
    "double -> again",
)


def test_the_run_page_shows_what_containers_hold(site: Site) -> None:
    drawn = Drawn(site, LOOP)
    page = drawn.page
    publish(workflow=drawn.workflow, note="", actor=drawn.actor)
    page.reload()
    expect(drawn.canvas.header).to_contain_text("Version 1 live")
    page.keyboard.press("Control+Enter")
    page.get_by_role("button", name="Start").click()
    page.wait_for_url(re.compile("/runs/"))
    for key in ("each", "again"):
        expect(drawn.frame(key).locator(".frame-head .step-state")).to_contain_text("Succeeded")
    for key in ("double", "count"):
        expect(drawn.canvas.step(key).locator(".step-state")).to_contain_text("Succeeded")
    expect(drawn.canvas.step("count")).to_have_accessible_name("Count, Transform, inside Again, starts Again")
    drawn.frame("each").focus()
    page.keyboard.press("ArrowDown")
    expect(drawn.canvas.step("double")).to_be_focused()
    assert violations(page) == []


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing(site: Site, scheme: str) -> None:
    drawn = Drawn(site, NESTED, scheme=scheme)
    assert violations(drawn.page) == []
    drawn.select("each")
    assert violations(drawn.page) == []
    drawn.page.keyboard.press("o")
    expect(drawn.page.get_by_role("tree")).to_be_visible()
    assert violations(drawn.page) == []
