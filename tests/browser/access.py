"""What axe-core finds on a page. The window needs `bypass_csp=True`, because the check is a script of ours."""

from pathlib import Path
from typing import Any

from playwright.sync_api import Page

AXE = Path(__file__).parents[2] / "designer" / "canvas" / "node_modules" / "axe-core" / "axe.min.js"
RULES = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]


def violations(page: Page) -> list[str]:
    """One line for each rule that is broken, with the places that break it."""
    page.evaluate(AXE.read_text())
    found: dict[str, Any] = page.evaluate("rules => axe.run({runOnly: rules})", RULES)
    return [
        f"{broken['id']}: {broken['help']}: " + "; ".join(node["html"][:160] for node in broken["nodes"][:5])
        for broken in found["violations"]
    ]
