"""Events by hand: a run gets what it waits for, and what a step could not look at is retried, replayed, discarded."""

from uuid import uuid4

from playwright.sync_api import Page, expect

from orchestrator.core.cloud_events import checked_event
from orchestrator.core.json_types import Json
from orchestrator.models import Delivery, Run, Token, User
from orchestrator.models.workspace import Role
from orchestrator.services.events import publish_event
from tests.browser.runs import ended, run_with_events
from tests.browser.site import Site
from tests.waiting import wait_until


def send(page: Page, data: str) -> None:
    page.get_by_label("Data").fill(data)
    page.get_by_role("button", name="Send", exact=True).click()


def publish(site: Site, sender: User, type_: str, data: Json) -> None:
    event = checked_event({"specversion": "1.0", "id": str(uuid4()), "source": "/post", "type": type_}, data)
    publish_event(actor=site.actor(sender), event=event.as_json())


def waits(run: Run, key: str) -> bool:
    node = {"paid": 1, "sent": 2}[key]
    return Token.objects.filter(run_id=run.pk, node=node, state="W").exists()


def is_dead(run: Run, *, replay: int) -> bool:
    return Delivery.objects.filter(run_id=run.pk, replay=replay, state="X").exists()


def test_a_run_is_given_what_it_waits_for(site: Site) -> None:
    ada = site.member("ada", Role.OPERATOR)
    run = run_with_events(site.workspace)
    watching = site.page_of(ada)
    watching.goto(site.url(f"runs/{run.pk}/?tab=events"))
    expect(watching.get_by_role("list").filter(has_text="order.paid").first).to_contain_text("with key order-7")
    page = site.page_of(ada)
    page.goto(site.url(f"runs/{run.pk}/?tab=events"))
    page.get_by_role("link", name="Send it… order.paid").click()
    expect(page.get_by_label("Type")).to_have_value("order.paid")
    expect(page.get_by_label("Key")).to_have_value("order-7")
    send(page, '{"amount": 12}')
    expect(page.get_by_role("status").first).to_contain_text("1 step waited for it")
    expect(page.get_by_role("table")).to_contain_text("Delivered")
    # The page beside hears of it by itself.
    expect(watching.get_by_role("table")).to_contain_text("order.paid")
    expect(watching.locator(".run-awaited")).not_to_contain_text("order.paid")
    watching.get_by_role("link", name="Send it… parcel.sent").click()
    send(watching, '{"weight": 1}')  # not wanted
    expect(watching.get_by_role("table")).to_contain_text("Wait for the parcel")
    watching.goto(site.url("events/send/?type=parcel.sent"))
    send(watching, '{"weight": 3}')
    ended(run, "succeeded")
    watching.goto(site.url(f"runs/{run.pk}/?tab=history"))
    expect(watching.locator("ol.history")).to_contain_text("parcel.sent reached Wait for the parcel")


def test_a_dead_letter_waits_for_its_step(site: Site) -> None:
    ada = site.member("ada", Role.OPERATOR)
    run = run_with_events(site.workspace)
    publish(site, ada, "parcel.sent", {"heavy": True})
    wait_until(lambda: is_dead(run, replay=0), 30, "the step to give up")
    page = site.page_of(ada)
    page.goto(site.url("events/"))
    page.get_by_role("link", name="Dead letters").click()
    letter = page.locator(".letter")
    expect(letter).to_contain_text("parcel.sent")
    expect(letter.get_by_role("button", name="Replay")).to_be_disabled()
    expect(letter).to_contain_text("The step does not wait now: retry it first.")
    letter.get_by_role("link", name="Wait for the parcel").click()
    page.get_by_role("link", name="Retry…").last.click()
    page.get_by_role("button", name="Retry").click()
    wait_until(lambda: waits(run, "sent"), 30, "the step to wait again")
    page.goto(site.url("events/dead-letters/"))
    letter.get_by_role("button", name="Replay").click()
    expect(page.get_by_role("status").first).to_contain_text("the step has the event again")
    wait_until(lambda: is_dead(run, replay=1), 30, "the step to give up again")
    page.goto(site.url("events/dead-letters/"))
    expect(letter).to_contain_text("replayed 1 time")
    page.once("dialog", lambda dialog: dialog.accept())
    letter.get_by_role("button", name="Discard").click()
    expect(page.get_by_role("heading", name="No dead letter")).to_be_visible()


def test_pages_hear_of_events_by_themselves(site: Site) -> None:
    ada = site.member("ada", Role.OPERATOR)
    run = run_with_events(site.workspace)
    page, front = site.page_of(ada), site.page_of(ada)
    page.goto(site.url("events/"))
    front.goto(site.url())
    expect(page.get_by_role("heading", name="No event yet")).to_be_visible()
    publish(site, ada, "nobody.waits", None)
    expect(page.get_by_role("table")).to_contain_text("nobody.waits")
    expect(page.locator("#dead-count")).to_be_empty()
    publish(site, ada, "parcel.sent", {"heavy": True})
    expect(page.locator("#dead-count")).to_have_text("1")
    expect(page.locator(".event-reached").first).to_contain_text("1 dead letter")
    front.get_by_role("link", name="1 dead letter").click()
    front.once("dialog", lambda dialog: dialog.accept())
    front.get_by_role("button", name="Discard").click()
    expect(page.locator("#dead-count")).to_be_empty()
    assert not Delivery.objects.filter(run_id=run.pk, state="X").exists()
