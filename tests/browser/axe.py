"""axe-core, as the canvas's development packages bring it."""

from pathlib import Path
from typing import Any

from playwright.sync_api import Page

SCRIPT = Path(__file__).parents[2] / "designer/canvas/node_modules/axe-core/axe.min.js"
# WCAG 2.2 AA and axe's own advice.
TAGS = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]

RUN = """async ({tags, only}) => {
    const options = only ? {runOnly: {type: 'rule', values: only}} : {runOnly: {type: 'tag', values: tags}};
    const found = await axe.run(document, {...options, resultTypes: ['violations']});
    return found.violations;
}"""


def violations(page: Page, only: list[str] | None = None) -> list[str]:
    """What axe finds on the page as it is: one line per element. `only` names rules, else those of WCAG 2.2 AA."""
    assert SCRIPT.is_file(), f"{SCRIPT} is missing. Run: .ci/canvas install"
    if not page.evaluate("Boolean(window.axe)"):
        # Run by the debugger, so that the page's content policy does not have to allow it.
        page.evaluate(SCRIPT.read_text(encoding="utf-8"))
    found: list[dict[str, Any]] = page.evaluate(RUN, {"tags": TAGS, "only": only})
    return [line for violation in found for line in told(violation)]


def told(violation: dict[str, Any]) -> list[str]:
    """The rule, the element, and what would mend it."""
    return [
        f"{violation['id']}: {node['html'][:160]}  ->  {' '.join(node['failureSummary'].split())[:240]}"
        for node in violation["nodes"]
    ]
