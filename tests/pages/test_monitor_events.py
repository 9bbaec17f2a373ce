"""The pages of events by a plain client."""

import re
from datetime import timedelta

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from orchestrator.models import Delivery, Event, Run, Token, User
from orchestrator.rest import throttle
from tests.factories import make_member, make_workspace
from tests.pages.monitor_cast import Day, working_day
from tests.run_factories import make_delivery, make_event, make_event_wait, make_queued

pytestmark = pytest.mark.django_db
FAULT = {"code": "expression_failed", "message": "There is no key 'amount'."}


@pytest.fixture
def day(valkey: str) -> Day:
    return working_day()


@pytest.fixture
def run(day: Day) -> Run:
    """A run with three events behind it, one of them dead, that waits for a fourth."""
    run = day.runs["retrying"]
    paid = make_event(day.workspace, "payment.captured", key="ORDER-7781", subject="An order", extra={"tenant": "eu"})
    make_delivery(paid, run, "reserve")
    sent = make_event(day.workspace, "parcel.sent", key="ORDER-7781", source="/carrier", data=None)
    make_delivery(sent, run, "ship", "I")
    make_delivery(make_event(day.workspace, "payment.refused", key="<b>&'7"), run, "charge", "X", error=FAULT)
    until = timezone.now() + timedelta(hours=2)
    make_event_wait(run, "ship", "parcel.sent", "ORDER-7782", wake_at=until)
    make_event_wait(run, "apologise", "mail.read", scope_id=131_075)
    return run


def client_of(user: User) -> Client:
    client = Client()
    client.force_login(user)
    return client


def page(user: User, address: str, status: int = 200) -> str:
    answer = client_of(user).get(address)
    assert answer.status_code == status, answer.content[:2000]
    return answer.content.decode()


@pytest.mark.parametrize(
    ("query", "shown", "hidden"),
    [
        ("", ["payment.captured", "parcel.sent", "payment.refused", "1 step", "1 dead letter", "1 not taken"], []),
        ("?type=payment.captured", ["payment.captured", "An order"], ["parcel.sent"]),
        ("?key=ORDER-7781", ["payment.captured", "parcel.sent"], ["payment.refused"]),
        ("?source=/carrier", ["parcel.sent"], ["payment.captured"]),
        ("?since=2000-01-01&until=2000-01-02", ["No event fits"], ["payment.captured"]),
        ("?since=yesterday", ["is no day", "payment.captured"], []),
        ("?key=%3Cb%3E%26%277", ["payment.refused", "&lt;b&gt;&amp;&#x27;7"], ["<b>&", "parcel.sent"]),
    ],
)
def test_the_filter_of_events_lives_in_the_address(
    day: Day, run: Run, query: str, shown: list[str], hidden: list[str]
) -> None:
    text = page(day.alice, f"/w/demo/events/{query}")
    for part in shown:
        assert part in text
    for part in hidden:
        assert part not in text


def test_an_empty_workspace_says_where_events_come_from(day: Day) -> None:
    text = page(day.alice, "/w/demo/events/")
    assert "No event yet" in text
    assert "POST /api/v1/w/demo/events/" in text


def test_events_page_by_cursor(day: Day) -> None:
    for number in range(60):
        make_event(day.workspace, key=f"K-{number:03}")
    first = page(day.alice, "/w/demo/events/?type=order.paid")
    assert "K-059" in first
    assert "K-005" not in first
    address = first.split('<a class="button" href="?', 1)[1].split('"', 1)[0].replace("&amp;", "&")
    second = page(day.alice, f"/w/demo/events/?{address}")
    assert "K-005" in second
    assert "K-059" not in second
    assert "Newest" in second


def test_an_event_tells_its_data_and_whom_it_reached(day: Day, run: Run) -> None:
    event = Event.objects.get(type="payment.captured")
    text = page(day.alice, f"/w/demo/events/{event.pk}/")
    for part in ("ORDER-7781", "An order", "tenant", "&quot;amount&quot;: 12", "Reserve stock", "Delivered"):
        assert part in text
    assert f"/w/demo/runs/{run.pk}/?tab=events" in text
    assert f"/w/demo/runs/{run.pk}/steps/reserve/" in text
    answer = client_of(day.alice).get(f"/w/demo/events/{event.pk}/data/")
    assert answer["Content-Disposition"] == f'attachment; filename="event-{event.pk}-data.json"'
    assert answer.json() == {"amount": 12}


def test_an_event_without_data_says_so(day: Day, run: Run) -> None:
    assert "It carries no data" in page(day.alice, f"/w/demo/events/{Event.objects.get(type='parcel.sent').pk}/")


def test_a_run_tells_what_came_and_what_it_waits_for(day: Day, run: Run) -> None:
    text = page(day.alice, f"/w/demo/runs/{run.pk}/?tab=events")
    waits = text.split("Waits for", 1)[1].split("Came", 1)[0]
    assert "parcel.sent" in waits
    assert "ORDER-7782" in waits
    assert "/w/demo/events/send/?type=parcel.sent&amp;key=ORDER-7782" in waits
    assert "mail.read" in waits
    assert "with any key" in waits
    came = text.split("Came", 1)[1]
    assert re.findall(r'data-exact="delivery-(\w+)"', came) == ["dead", "ignored", "delivered"]
    assert "There is no key &#x27;amount&#x27;." in came


def test_a_run_without_events_says_so(day: Day) -> None:
    assert "No event for this run" in page(day.alice, f"/w/demo/runs/{day.runs['failed'].pk}/?tab=events")


def test_the_history_tells_what_reached_which_step(day: Day, run: Run) -> None:
    text = page(day.alice, f"/w/demo/runs/{run.pk}/?tab=history").split('<ol class="history">', 1)[1]
    line = next(line for line in text.split("<li") if "payment.captured" in line)
    assert f"/w/demo/runs/{run.pk}/steps/reserve/" in line
    assert f"/w/demo/events/{Event.objects.get(type='payment.captured').pk}/" in line
    assert "became a dead letter at <a" in text
    assert "parcel.sent" not in text  # it came too late and changed nothing


def test_a_viewer_sees_that_events_came_but_not_which(day: Day, run: Run) -> None:
    viewer = make_member(day.workspace, "viewer")
    for tab in ("events", "history"):
        text = page(viewer, f"/w/demo/runs/{run.pk}/?tab={tab}")
        assert "payment.captured" not in text
        assert "ORDER-7781" not in text
    assert "An event reached <a" in text
    assert "not open to you" in page(viewer, f"/w/demo/runs/{run.pk}/?tab=events")
    assert 'href="/w/demo/events/"' not in text
    for address in ("", "send/", "dead-letters/", f"{Event.objects.latest('pk').pk}/"):
        assert "payment" not in page(viewer, f"/w/demo/events/{address}", 403)


@pytest.mark.parametrize("address", ["", "?tab=steps", "?tab=history", "?tab=timeline", "steps/ship/"])
def test_the_key_that_a_run_waits_for_is_shown_with_the_data_only(day: Day, run: Run, address: str) -> None:
    waits = "Waiting for parcel.sent"
    viewer = make_member(day.workspace, "viewer")
    text = page(viewer, f"/w/demo/runs/{run.pk}/{address}")
    assert "ORDER-7782" not in text
    if "history" not in address and "timeline" not in address:
        assert waits in text
        assert f"{waits} with key ORDER-7782" in page(day.alice, f"/w/demo/runs/{run.pk}/{address}")


@pytest.mark.parametrize("address", ["", "?tab=events", "steps/ship/"])
def test_the_deadline_of_a_wait_reads_as_one(day: Day, run: Run, address: str) -> None:
    text = re.sub(r"<[^>]*>", "", page(day.alice, f"/w/demo/runs/{run.pk}/{address}"))
    assert "deadline in 1 h" in text
    assert "until in" not in text


@pytest.mark.parametrize("address", ["", "?tab=steps", "?tab=history", "?tab=timeline", "steps/reserve/"])
def test_the_key_of_a_limit_is_shown_with_the_data_only(day: Day, run: Run, address: str) -> None:
    queued = make_queued(run.version, "reserve", '"ORDER-7783"')
    text = page(make_member(day.workspace, "viewer"), f"/w/demo/runs/{queued.pk}/{address}")
    assert "ORDER-7783" not in text
    if "history" not in address and "timeline" not in address:
        assert "1 of 1 runs of this workflow with the same key are open" in text
        assert "with key &quot;ORDER-7783&quot; are open" in page(day.alice, f"/w/demo/runs/{queued.pk}/{address}")


def test_an_approver_reads_but_does_not_send(day: Day, run: Run) -> None:
    text = page(day.bob, "/w/demo/events/")
    assert "Only operators, editors and admins emit events." in text
    assert "payment.captured" not in text  # it reached no run of theirs
    page(day.bob, "/w/demo/events/send/", 403)


def test_another_workspace_sees_nothing(day: Day, run: Run) -> None:
    stranger = make_member(make_workspace("other"), "admin")
    event = Event.objects.latest("pk")
    for address in ("events/", f"events/{event.pk}/", f"events/{event.pk}/data/", "events/dead-letters/"):
        page(stranger, f"/w/demo/{address}", 404)
    page(stranger, f"/w/other/events/{event.pk}/", 404)
    assert "No event yet" in page(stranger, "/w/other/events/")
    assert "No dead letter" in page(stranger, "/w/other/events/dead-letters/")


def test_an_event_is_sent_by_hand(day: Day, run: Run) -> None:
    client = client_of(day.alice)
    form = client.get("/w/demo/events/send/?type=parcel.sent&key=ORDER-7782").content.decode()
    assert 'value="parcel.sent"' in form
    given = dict(re.findall(r'name="(type|key|source|subject|id)" value="([^"]*)"', form))
    assert given["source"] == "/people/demo-alice"
    body = given | {"data": '{"carrier": "post"}'}
    answer = client.post("/w/demo/events/send/", body, follow=True)
    event = Event.objects.latest("pk")
    assert answer.redirect_chain == [(f"/w/demo/events/{event.pk}/", 302)]
    assert "1 step waited for it" in answer.content.decode()
    assert (event.key, event.data, event.published_by) == ("ORDER-7782", {"carrier": "post"}, day.alice)
    assert Token.objects.get(run=run, waiting__topic__endswith="parcel.sent#ORDER-7782").state == "R"
    again = client.post("/w/demo/events/send/", body, follow=True)  # the button pressed twice
    assert "had been sent before" in again.content.decode()
    assert Event.objects.filter(type="parcel.sent", key="ORDER-7782").count() == 1


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"type": ""}, "&quot;type&quot; is missing"),
        ({"type": "no type"}, "Use letters, digits"),
        ({"data": "{amount: 12}"}, "This is not JSON"),
        ({"data": "[" * 100}, "nests deeper"),
        ({"source": "x" * 500}, "at most 400 are kept"),
        ({"key": "a\x07b"}, "control character U+0007"),
        ({"type": "no type", "data": "{amount: 12}"}, "This is not JSON"),  # each at its field
        ({"type": "no type", "data": "{amount: 12}"}, "Use letters, digits"),
    ],
)
def test_what_is_refused_stays_on_the_page(day: Day, changes: dict[str, str], told: str) -> None:
    typed = {"type": "parcel.sent", "key": "<k>", "source": "/me", "subject": "", "id": "1", "data": "[1]"} | changes
    answer = client_of(day.alice).post("/w/demo/events/send/", typed)
    assert answer.status_code == 400
    text = answer.content.decode()
    assert told in text
    assert 'aria-invalid="true"' in text
    assert "&lt;k&gt;" in text or "key" in changes
    assert not Event.objects.exists()


def test_sending_by_hand_counts_as_sending_by_api(day: Day, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("monitor.event_ceiling.PER_WORKSPACE", 2)
    monkeypatch.setattr(throttle, "_leases", {})
    client = client_of(day.alice)
    typed = {"type": "parcel.sent", "key": "<k>", "source": "/me", "subject": "", "id": "1", "data": "[1]"}
    by_api = {"specversion": "1.0", "type": "parcel.sent", "source": "/me", "id": "2"}
    sent = client.post("/api/v1/w/demo/events/", by_api, "application/json")
    assert sent.status_code == 201, sent.content
    assert client.post("/w/demo/events/send/", typed).status_code == 302
    refused = client.post("/w/demo/events/send/", typed | {"id": "3"})
    assert refused.status_code == 429
    assert 0 < int(refused["Retry-After"]) <= throttle.WINDOW
    text = refused.content.decode()
    assert "events of this minute. Send yours in" in text
    assert 'value="&lt;k&gt;"' in text
    assert client.post("/api/v1/w/demo/events/", by_api | {"id": "4"}, "application/json").status_code == 429
    assert Event.objects.count() == 2


def test_a_dead_letter_says_why_it_cannot_be_replayed_until_its_step_waits(day: Day, run: Run) -> None:
    text = page(day.alice, "/w/demo/events/dead-letters/")
    assert "There is no key &#x27;amount&#x27;." in text
    assert "retry it first" in text
    dead = Delivery.objects.get(state="X")
    client = client_of(day.alice)
    refused = client.post(f"/w/demo/events/dead-letters/{dead.pk}/replay/", follow=True)
    assert "is at work, or waits for another event" in refused.content.decode()
    Token.objects.filter(run=run).delete()
    make_event_wait(run, "charge", "payment.refused")
    assert "retry it first" not in page(day.alice, "/w/demo/events/dead-letters/")
    done = client.post(f"/w/demo/events/dead-letters/{dead.pk}/replay/", follow=True)
    assert "the step has the event again" in done.content.decode()
    assert "No dead letter" in done.content.decode()
    assert Token.objects.get(run=run).state == "R"


def test_the_front_page_tells_of_dead_letters_while_there_are_any(day: Day, run: Run) -> None:
    tile = 'href="/w/demo/events/dead-letters/"'
    front = page(day.alice, "/w/demo/")
    assert tile in front
    assert re.search(r'<span class="tile-count">1\s*</span><span>dead letter</span>', front)
    for person in (make_member(day.workspace, "viewer"), day.bob):  # who sees no events, and none of this run's
        assert tile not in page(person, "/w/demo/")
    dead = Delivery.objects.get(state="X")
    for number in range(120):
        make_delivery(dead.event, run, "charge", "X", scope_id=number + 1)
    assert re.search(r'<span class="tile-count">99\+\s*</span><span>dead letters</span>', page(day.alice, "/w/demo/"))
    Delivery.objects.filter(state="X").update(state="I", why="discarded")
    assert tile not in page(day.alice, "/w/demo/")


def test_a_renewal_brings_the_number_of_dead_letters_along(day: Day, run: Run) -> None:
    for address in ("events/", "events/dead-letters/"):
        client = client_of(day.alice)
        whole = client.get(f"/w/demo/{address}").content.decode()
        part = client.get(f"/w/demo/{address}", headers={"HX-Request": "true"}).content.decode()
        assert whole.count('id="dead-count"') == part.count('id="dead-count"') == 1
        assert "hx-swap-oob" not in whole
        assert re.search(r'<span id="dead-count" hx-swap-oob="true" class="tab-count">1\s*</span>', part)


def test_a_dead_letter_is_discarded(day: Day, run: Run) -> None:
    dead = Delivery.objects.get(state="X")
    done = client_of(day.alice).post(f"/w/demo/events/dead-letters/{dead.pk}/discard/", follow=True)
    assert "No dead letter" in done.content.decode()
    assert "There is no key &#x27;amount&#x27;." in page(day.alice, f"/w/demo/events/{dead.event_id}/")


@pytest.mark.parametrize("path", ["", "events/", "events/{event}/", "events/dead-letters/", "runs/{run}/?tab=events"])
def test_pages_ask_as_often_for_many_rows_as_for_few(day: Day, run: Run, path: str) -> None:
    client = client_of(day.alice)
    event = Event.objects.get(type="payment.captured")
    address = f"/w/demo/{path.format(event=event.pk, run=run.pk)}"

    def count() -> int:
        client.get(address)
        with CaptureQueriesContext(connection) as found:
            client.get(address)
        return len(found)

    make_delivery(event, run, "charge", "X", error=FAULT, scope_id=131_073)
    make_delivery(make_event(day.workspace), run, "charge", "X", error=FAULT, scope_id=131_074)
    few = count()
    for number in range(20):
        other = make_event(day.workspace, key=str(number))
        make_delivery(other, run, "charge", "X", error=FAULT)
        make_delivery(event, run, "charge", "X", error=FAULT, scope_id=number)
        make_event_wait(run, "ship", "parcel.sent", str(number), scope_id=number + 1)
    assert count() == few


def test_the_live_part_comes_alone(day: Day, run: Run) -> None:
    for address in ("events/", f"events/{Event.objects.latest('pk').pk}/", "events/dead-letters/"):
        text = client_of(day.alice).get(f"/w/demo/{address}", headers={"HX-Request": "true"}).content.decode()
        assert "<html" not in text
        assert 'id="live-part"' in text
