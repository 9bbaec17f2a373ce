"""What every page stands on: colours that can be read, icons that exist, words of states and times."""

import re
from datetime import timedelta
from itertools import product
from pathlib import Path

import pytest
from django.conf import settings

from orchestrator.core.states import RunState, StepRunState
from orchestrator.models.task import TaskState
from orchestrator.models.workspace import Role
from orchestrator.templatetags import ui

STATIC = Path(settings.BASE_DIR) / "static"
PAIRS = {
    name: (light, dark)
    for name, light, dark in re.findall(
        r"--([\w-]+): light-dark\((#\w{6}), (#\w{6})\)", (STATIC / "tokens.css").read_text()
    )
}
PAPERS = ("surface", "surface-raised", "surface-sunken")
INKS = ("text", "text-muted", "accent", "danger", *(name for name in PAIRS if name.startswith("state-")))
SOURCES = [
    path
    for folder in ("templates", "orchestrator", "designer", "monitor")
    for path in (Path(settings.BASE_DIR) / folder).rglob("*")
    if path.suffix in {".html", ".py"} and "node_modules" not in path.parts
]


def luminance(colour: str) -> float:
    """WCAG 2.2, relative luminance."""
    channels = [int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)]
    red, green, blue = (c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def contrast(one: str, other: str) -> float:
    high, low = sorted((luminance(one), luminance(other)), reverse=True)
    return (high + 0.05) / (low + 0.05)


def mixed(ink: str, paper: str, share: float) -> str:
    """As CSS color-mix(in srgb, ink share, transparent) over the paper."""
    parts = [(int(ink[at : at + 2], 16), int(paper[at : at + 2], 16)) for at in (1, 3, 5)]
    return "#" + "".join(f"{round(front * share + back * (1 - share)):02x}" for front, back in parts)


@pytest.mark.parametrize("theme", [0, 1], ids=["light", "dark"])
@pytest.mark.parametrize(("ink", "paper"), list(product(INKS, PAPERS)))
def test_text_reaches_4_5_to_1(theme: int, ink: str, paper: str) -> None:
    assert contrast(PAIRS[ink][theme], PAIRS[paper][theme]) >= 4.5


@pytest.mark.parametrize("theme", [0, 1], ids=["light", "dark"])
@pytest.mark.parametrize(
    ("ink", "paper"), [("accent-text", "accent"), ("danger-text", "danger"), ("text", "accent-soft")]
)
def test_text_on_filled_grounds_reaches_4_5_to_1(theme: int, ink: str, paper: str) -> None:
    assert contrast(PAIRS[ink][theme], PAIRS[paper][theme]) >= 4.5


@pytest.mark.parametrize("theme", [0, 1], ids=["light", "dark"])
@pytest.mark.parametrize("state", [name for name in PAIRS if name.startswith("state-")])
def test_a_badge_is_readable_on_its_own_tint(theme: int, state: str) -> None:
    ink, paper = PAIRS[state][theme], PAIRS["surface-raised"][theme]
    assert contrast(ink, mixed(ink, paper, 0.08)) >= 4.5


@pytest.mark.parametrize("theme", [0, 1], ids=["light", "dark"])
@pytest.mark.parametrize("line", ["border-strong", "focus"])
def test_lines_that_mean_something_reach_3_to_1(theme: int, line: str) -> None:
    assert all(contrast(PAIRS[line][theme], PAIRS[paper][theme]) >= 2.99 for paper in PAPERS[:2])


def sprite() -> set[str]:
    return set(re.findall(r'<symbol id="([\w-]+)"', (STATIC / "icons.svg").read_text()))


def test_every_icon_that_a_template_names_is_in_the_sprite() -> None:
    named = {name for path in SOURCES for name in re.findall(r'\{% icon "([\w-]+)"', path.read_text())}
    assert len(named) > 20
    assert named <= sprite()


def test_every_state_has_icon_word_and_colour() -> None:
    states = {*map(str, RunState), *map(str, StepRunState), *map(str, TaskState)}
    assert states <= set(ui.STATES)
    for colour, picture, word in ui.STATES.values():
        assert f"state-{colour}" in PAIRS
        assert picture in sprite()
        assert word


def test_a_state_is_text_even_when_it_comes_from_outside() -> None:
    assert "<b>" not in ui.state("<b>", word="<b>")


def test_every_role_has_its_purpose_in_the_order_of_the_table() -> None:
    assert list(ui.PURPOSES) == [str(role) for role in Role]
    assert ui.roles(["admin", "viewer", "editor"]) == "viewer, editor, admin"


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "now"),
        (-0.9, "now"),
        (-1, "1 s ago"),
        (-59.9, "59 s ago"),
        (-60, "1 min ago"),
        (-3_599, "59 min ago"),
        (-86_400, "1 d ago"),
        (-86_400 * 45, "1 mo ago"),
        (-86_400 * 800, "2 y ago"),
        (12, "in 12 s"),
        (7_300, "in 2 h"),
    ],
)
def test_times_are_relative(seconds: float, text: str) -> None:
    assert ui.relative(timedelta(seconds=seconds)) == text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (None, "–"),
        (0.0004, "0 ms"),
        (0.84, "840 ms"),
        (12.44, "12.4 s"),
        (59.96, "1 min 0 s"),  # never "60.0 s"
        (185, "3 min 5 s"),
        (3_599.7, "1 h 0 min"),  # never "60 min 0 s"
        (7_800, "2 h 10 min"),
        (86_400 * 3 + 7_200, "3 d 2 h"),
    ],
)
def test_durations_have_two_units_at_most(seconds: float | None, text: str) -> None:
    assert ui.duration(seconds) == text


def test_no_template_holds_inline_script_or_style() -> None:
    for path in SOURCES:
        if path.suffix == ".html":
            text = path.read_text()
            assert not re.search(r"<style\b|\sstyle=|\son[a-z]+=\"|hx-on|javascript:", text), path
            assert not re.search(r"<script(?![^>]*(\ssrc=|application/json))", text), path
