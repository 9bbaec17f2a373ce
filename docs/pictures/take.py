"""Take the README's pictures from the running product: `make pictures`.

Starts Branchline on a data folder that is thrown away, starts the sample "regional report" by hand, and photographs the
canvas and the run, which waits for its sign-off, with a headless Chromium.
"""

import os
import re
import tempfile
from pathlib import Path

from playwright.sync_api import Page, expect, sync_playwright

from tests.project.up_process import Up, manage
from tests.scenarios.sales import write_sales

HERE = Path(__file__).parent
ARGUMENTS = ["--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"]
ROWS = 10_000
PATIENCE = 30_000  # milliseconds

expect.set_options(timeout=PATIENCE)


def begin(folder: Path) -> str:
    """Start a report that will wait for its sign-off; the run's id."""
    sales = folder / "sales.csv"
    write_sales(sales, ROWS)
    answer = manage(folder, "run", "regional-report", "--input", str(sales))
    assert answer.returncode == 0, answer.stderr
    return answer.stdout.strip().splitlines()[-1]


def photograph(page: Page, name: str) -> None:
    """The page as it is, once it shows its steps whole."""
    expect(page.locator(".react-flow__node-step").first).to_be_visible()
    page.get_by_role("button", name=re.compile("Fit")).first.click()
    page.mouse.move(0, 0)
    page.wait_for_load_state("load")
    page.screenshot(path=HERE / f"{name}.png", animations="disabled")


def take(page: Page, up: Up, run: str) -> None:
    page.goto(up.link)
    page.get_by_role("button", name="Sign in to Branchline").click()
    expect(page).not_to_have_url(re.compile("/signin/"))
    page.goto(f"{up.address}/w/demo/workflows/regional-report/")
    expect(page.locator(".react-flow__node-step").first).to_be_visible()
    page.locator(".react-flow__node-step").nth(1).locator(".step-head").click()
    photograph(page, "canvas")
    page.goto(f"{up.address}/w/demo/runs/{run}/")
    expect(page.locator(".react-flow__node-step").filter(has_text="Waiting").first).to_be_visible()
    photograph(page, "run")


def main() -> None:
    chromium = os.environ.get("CHROMIUM") or "/usr/bin/chromium"
    with tempfile.TemporaryDirectory() as name, Up(Path(name) / "data") as up, sync_playwright() as driver:
        run = begin(Path(name) / "data")
        browser = driver.chromium.launch(executable_path=chromium, args=ARGUMENTS)
        page = browser.new_page(viewport={"width": 1440, "height": 900}, color_scheme="light", reduced_motion="reduce")
        take(page, up, run)
        browser.close()
        up.stop()


if __name__ == "__main__":
    main()
