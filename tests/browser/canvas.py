"""Hands on the canvas: what a person does with mouse and keyboard."""

from playwright.sync_api import Locator, Page, expect

Point = tuple[float, float]

# Steps glide to their places; a mouse that aims meanwhile misses.
RESTING = """() => {
    const places = [...document.querySelectorAll('.react-flow__node, .react-flow__viewport')]
        .map((node) => JSON.stringify(node.getBoundingClientRect())).join();
    const rests = window.branchlineTestPlaces === places;
    window.branchlineTestPlaces = places;
    return rests;
}"""


class Canvas:
    """The editor of one workflow."""

    def __init__(self, page: Page) -> None:
        self.page = page
        self.surface = page.locator(".react-flow__pane")
        self.inspector = page.get_by_role("complementary", name="Inspector")
        self.picker = page.get_by_role("dialog", name="Add a step")
        self.problems = page.get_by_role("region", name="Problems")
        self.header = page.locator('[data-panel="header"]')
        self.wires = page.locator(".react-flow__edge")
        self.steps = page.locator(".react-flow__node-step")
        expect(self.surface).to_be_visible()

    def step(self, key: str) -> Locator:
        """The box of a step."""
        return self.page.locator(f'.react-flow__node[data-id="{key}"]')

    def port(self, key: str, port: str) -> Locator:
        """A way out of a step, or its way in (`in`)."""
        return self.step(key).locator(f'[data-handleid="{port}"]')

    def point(self, x: float, y: float) -> Point:
        """A point of the drawing surface, given as shares of its size."""
        box = box_of(self.surface)
        return box["x"] + box["width"] * x, box["y"] + box["height"] * y

    def pick(self, name: str) -> None:
        """Choose in the step picker by typing."""
        expect(self.picker).to_be_visible()
        self.page.keyboard.type(name)
        expect(self.picker.get_by_role("option").first).to_contain_text(name)
        self.page.keyboard.press("Enter")
        expect(self.picker).to_be_hidden()

    def add_by_tab(self, at: Point, name: str) -> None:
        """Click somewhere, press Tab, type the kind."""
        self.page.mouse.click(*at)
        self.page.keyboard.press("Tab")
        self.pick(name)

    def add_by_drag(self, name: str, at: Point) -> None:
        """Drag an entry of the palette onto the surface."""
        box = box_of(self.surface)
        entry = self.page.get_by_label("Step kinds").get_by_role("button", name=name, exact=True)
        entry.drag_to(self.surface, target_position={"x": at[0] - box["x"], "y": at[1] - box["y"]})

    def pull_into_space(self, key: str, port: str, by: Point, name: str) -> None:
        """Drop a connection into empty space: the picker opens, the new step arrives wired."""
        x, y = self.middle(self.port(key, port))
        self.drag((x, y), (x + by[0], y + by[1]))
        self.pick(name)

    def connect(self, source: str, port: str, target: str) -> None:
        """Drag from a way out to a way in."""
        self.drag(self.middle(self.port(source, port)), self.middle(self.port(target, "in")))

    def drag(self, start: Point, end: Point) -> None:
        """Press, move, let go."""
        mouse = self.page.mouse
        mouse.move(*start)
        mouse.down()
        mouse.move((start[0] + end[0]) / 2, (start[1] + end[1]) / 2, steps=3)
        mouse.move(*end, steps=5)
        mouse.up()

    def middle(self, place: Locator) -> Point:
        """Where to aim, once nothing moves any more."""
        self.rest()
        box = box_of(place)
        return box["x"] + box["width"] / 2, box["y"] + box["height"] / 2

    def rest(self) -> None:
        """Until two looks find every step at the same place."""
        self.page.wait_for_function(RESTING, polling=60)

    def tidy(self) -> None:
        """Lay everything out and show it whole, by keys."""
        self.page.keyboard.press("Shift+Alt+T")
        self.rest()
        self.page.keyboard.press("1")
        self.rest()

    def open(self, key: str) -> Locator:
        """Select a step; its inspector."""
        self.rest()
        self.step(key).locator(".step-head").click()
        expect(self.inspector.get_by_role("tab", name="Settings")).to_be_visible()
        return self.inspector

    def field(self, path: str) -> Locator:
        """A field of the inspector by its path in the document."""
        return self.inspector.locator(f'[data-path="{path}"]')

    def write_expression(self, path: str, source: str) -> Locator:
        """Turn a field into an expression and type it; the live preview."""
        self.field(path).get_by_role("button", name="Use an expression").click()
        self.field(path).get_by_role("textbox").fill(source)
        self.page.keyboard.press("Escape")
        return self.field(path).locator(".preview")

    def saved(self) -> None:
        """Until the server has the drawing."""
        expect(self.header).to_contain_text("Saved")


def box_of(place: Locator) -> dict[str, float]:
    """The box on the screen."""
    box = place.bounding_box()
    assert box is not None, f"{place} is not on the screen"
    return {"x": box["x"], "y": box["y"], "width": box["width"], "height": box["height"]}
