"""One item of a For each: its failed step is skipped by hand, then it is run again from a step inside."""

from playwright.sync_api import Page, expect

from orchestrator.models import Run, Scope, StepLog
from orchestrator.models.workspace import Role
from tests.browser.runs import ended, started
from tests.browser.site import Site
from tests.designer_cast import document, transform


def parcels(site: Site) -> Run:
    """Three parcels, one after the other; the second has no weight, so the third is never begun."""
    each = {"key": "each", "name": "Each parcel", "kind": "for_each", "at": [288, 0]}
    drawing = document(
        transform("load", at=(0, 40)),
        {**each, "config": {"items": {"$": "input.parcels"}, "parallel": 1}},
        transform("weigh", {"$": "10 // item"}, at=(320, 104), parent="each", name="Weigh the parcel"),
        transform("pack", {"$": "[steps.weigh, item]"}, at=(608, 104), parent="each", name="Pack the parcel"),
        transform("report", {"$": "steps.each"}, at=(920, 40), name="Report"),
        name="Parcels of the day",
        edges=[{"from": "load", "to": "each"}, {"from": "weigh", "to": "pack"}, {"from": "each", "to": "report"}],
    )
    return ended(started(site.workspace, drawing, {"parcels": [5, 0, 2]}), "failed")


def open_panel(page: Page, site: Site, run: Run, key: str, scope: int) -> None:
    page.goto(site.url(f"runs/{run.pk}/steps/{key}/?scope={scope}"))


def test_a_failed_step_of_an_item_is_skipped_and_another_item_is_done_again(site: Site) -> None:
    run = parcels(site)
    page = site.page_of(site.member("ada", Role.OPERATOR))
    block = Scope.objects.get(run_id=run.pk).pk

    open_panel(page, site, run, "weigh", block + 2)
    page.get_by_role("link", name="Skip…").click()
    expect(page.get_by_role("heading", name="Skip “Weigh the parcel”?")).to_be_visible()
    expect(page.get_by_text("In item 2 of “Each parcel”.")).to_be_visible()
    expect(page.get_by_role("region", name="Goes on beside it")).to_contain_text("Weigh the parcel")
    page.get_by_label("Output").fill("7")
    page.get_by_label("Why").fill("Weighed by hand")
    page.get_by_role("button", name="Skip the step").click()
    expect(page.get_by_text("The run goes on without the step.")).to_be_visible()
    assert ended(run, "succeeded").output == [[2, 5], [7, 0], [5, 2]]

    open_panel(page, site, run, "pack", block + 3)
    page.get_by_role("link", name="Re-run from here…").click()
    expect(page.get_by_text("In item 3 of “Each parcel”.")).to_be_visible()
    again = page.get_by_role("region", name="Runs again at once")
    expect(again.get_by_role("listitem")).to_have_text(["Pack the parcel Transform in each, succeeded before"])
    expect(page.get_by_role("region", name="Follows")).to_contain_text("Report")
    page.get_by_role("button", name="Re-run from here").click()
    expect(page.get_by_text("The step runs again.")).to_be_visible()
    ended(run, "succeeded")
    rows = StepLog.objects.filter(run_id=run.pk, node=run.version.plan["keys"].index("pack"), outcome="S")
    assert sorted(rows.values_list("scope_id", "generation")) == [
        (block + 1, 0),
        (block + 2, 0),
        (block + 3, 0),
        (block + 3, 1),
    ]
