"""Stylesheets in parts: every page of the monitor has those that its markup needs, and no others are named."""

import re
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
TEMPLATES, STYLES = ROOT / "templates", ROOT / "static"
NAME = re.compile(r"[.#][a-zA-Z][\w-]*")
LINKS = re.compile(r"\{% styles([^%]*)%\}")
PAGES = sorted(path.name for path in (TEMPLATES / "monitor").glob("*.html") if LINKS.search(path.read_text()))


@cache
def names_in(stylesheet: Path) -> frozenset[str]:
    """The classes and ids that a stylesheet speaks of."""
    text = re.sub(r"/\*.*?\*/", "", stylesheet.read_text(), flags=re.DOTALL)
    return frozenset(name for selector in re.findall(r"([^{};]+)\{", text) for name in NAME.findall(selector))


def source_of(template: str) -> str:
    """A template and all that it includes."""
    text = (TEMPLATES / template).read_text()
    return text + "".join(source_of(inner) for inner in re.findall(r'\{% include "([^"]+)"', text))


def used_in(template: str) -> set[str]:
    """The classes and ids of its markup."""
    text = source_of(template)
    names = {f"#{name}" for name in re.findall(r'id="([\w-]+)"', text)}
    for classes in re.findall(r'class="([^"]*)"', text) + re.findall(r"main_class %\}([^{]*)\{%", text):
        names.update(f".{name}" for name in re.sub(r"\{[%{].*?[%}]\}", " ", classes).split())
    return names


def linked(template: str) -> set[str]:
    found = LINKS.search((TEMPLATES / template).read_text())
    assert found is not None
    return {"shared", *re.findall(r'"([\w-]+)"', found[1])}


def on_every_page() -> list[str]:
    """The stylesheets of the frame around all pages."""
    return re.findall(r"\{% static '([\w-]+\.css)' %\}", (TEMPLATES / "shell.html").read_text())


def test_there_are_pages() -> None:
    assert len(PAGES) > 8


@pytest.mark.parametrize("page", PAGES)
def test_a_page_has_the_styles_of_its_markup(page: str) -> None:
    parts = {path.stem: names_in(path) for path in (STYLES / "monitor").glob("*.css")}
    everywhere = frozenset[str]().union(*(names_in(STYLES / name) for name in on_every_page()))
    given = linked(f"monitor/{page}")
    assert given <= parts.keys(), "a stylesheet that does not exist"
    reached = everywhere.union(*(parts[part] for part in given))
    elsewhere = frozenset[str]().union(*parts.values()) - reached
    assert used_in(f"monitor/{page}") & elsewhere == set()
    for part in given - {"shared"}:
        assert used_in(f"monitor/{page}") & parts[part], f"nothing on the page needs {part}.css"
