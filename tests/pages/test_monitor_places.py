"""Every page calls the turn of a repeat a turn and the item of a for-each an item; a plain scope has no number."""

import re
from typing import Any

import pytest
from django.test import Client

from orchestrator.engine import dispatch
from orchestrator.models import Run
from tests.pages.monitor_cast import Day, working_day
from tests.run_factories import (
    drawn,
    make_delivery,
    make_event,
    make_event_wait,
    make_items,
    make_log,
    make_record,
    make_run,
    make_scope,
    make_token,
    make_undo_item,
    make_version,
    make_workflow,
    node_of,
)

pytestmark = pytest.mark.django_db
STEPS: dict[str, dict[str, Any]] = {
    "again": {"kind": "repeat"},
    "call": {"parent": "again", "name": "Call the shop"},
    "box": {"kind": "scope"},
    "plain": {"parent": "box", "name": "Plain step"},
    "each": {"kind": "for_each", "parent": "box"},
    "inner": {"kind": "repeat", "parent": "each"},
    "deep": {"parent": "inner", "name": "Deep step"},
}


@pytest.fixture
def day(monkeypatch: pytest.MonkeyPatch) -> Day:
    monkeypatch.setattr(dispatch, "wake", lambda *_: None)
    monkeypatch.setattr(dispatch, "announce", lambda *_, **__: None)
    return working_day()


class Places:
    """A failed run with a step in turn 2, one in a plain scope, one in turn 5 of item 3."""

    def __init__(self, day: Day) -> None:
        self.run: Run = make_run(make_version(make_workflow(day.workspace), drawn(*STEPS, steps=STEPS)), state="failed")
        self.turn = make_scope(self.run, "again").pk + 2
        self.box = make_scope(self.run, "box").pk + 1
        self.item = make_items(self.run, "each", total=9, parent=self.box).pk + 3
        self.deep = make_scope(self.run, "inner", parent=self.item).pk + 5


@pytest.fixture
def places(day: Day) -> Places:
    return Places(day)


def text_of(day: Day, address: str) -> str:
    client = Client()
    client.force_login(day.alice)
    answer = client.get(f"/w/demo/{address}")
    assert answer.status_code == 200
    return " ".join(re.sub(r"<[^>]+>", " ", answer.content.decode()).split())


def log_all(places: Places) -> None:
    make_log(places.run, "call", scope_id=places.turn)
    make_log(places.run, "plain", scope_id=places.box)


@pytest.mark.parametrize("tab", ["steps", "timeline", "history"])
def test_tabs_name_turns_and_no_number_of_a_plain_scope(day: Day, places: Places, tab: str) -> None:
    log_all(places)
    make_token(places.run, "again")
    text = text_of(day, f"runs/{places.run.pk}/?tab={tab}")
    assert "Call the shop turn 2" in text
    assert "Plain step" in text
    assert not re.search(r"Plain step (item|turn) \d", text)
    assert "item 2" not in text


@pytest.mark.parametrize("tab", ["timeline", "history"])
def test_an_opened_item_names_the_turns_inside_it(day: Day, places: Places, tab: str) -> None:
    make_log(places.run, "deep", scope_id=places.deep)
    text = text_of(day, f"runs/{places.run.pk}/?tab={tab}&item={places.item}")
    assert "Item 3 of 9" in text
    assert "Deep step turn 5" in text
    assert "item 3, turn 5" not in text


def test_the_history_names_where_an_undo_was_settled(day: Day, places: Places) -> None:
    make_record(places.run, "undo_skip", detail={"node": node_of(places.run, "deep"), "scope": places.deep, "entry": 7})
    assert "Undo skipped “Deep step” item 3, turn 5" in text_of(day, f"runs/{places.run.pk}/?tab=history")


def test_the_undo_names_turns_before_and_after(day: Day, places: Places) -> None:
    log_all(places)
    make_log(places.run, "deep", scope_id=places.deep)
    foreseen = text_of(day, f"runs/{places.run.pk}/undo/")
    assert "Call the shop turn 2" in foreseen
    assert "Deep step item 3, turn 5" in foreseen
    assert not re.search(r"Plain step (item|turn) \d", foreseen)
    make_undo_item(places.run, "deep", "stuck")
    make_undo_item(places.run, "call", "undone")
    ledger = text_of(day, f"runs/{places.run.pk}/?tab=undo")
    assert ledger.count("Deep step item 3, turn 5") == 2  # the ledger, and what needs a person
    assert "Call the shop turn 2" in ledger


def test_cancelling_foresees_the_undo_in_the_same_words(day: Day, places: Places) -> None:
    Run.objects.filter(pk=places.run.pk).update(state="running", finished_at=None)
    log_all(places)
    assert "Call the shop turn 2" in text_of(day, f"runs/{places.run.pk}/cancel/")


def test_events_name_the_turn_that_they_reached_or_that_waits(day: Day, places: Places) -> None:
    event = make_event(day.workspace, "parcel.sent")
    make_delivery(event, places.run, "call", "X", scope_id=places.turn, error={"code": "x", "message": "y"})
    make_event_wait(places.run, "deep", "mail.read", scope_id=places.deep)
    assert "Call the shop turn 2" in text_of(day, f"events/{event.pk}/")
    assert "Call the shop turn 2" in text_of(day, "events/dead-letters/")
    tab = text_of(day, f"runs/{places.run.pk}/?tab=events")
    assert "Call the shop turn 2" in tab
    assert "Deep step item 3, turn 5" in tab


def test_the_panel_offers_turns_by_their_names(day: Day, places: Places) -> None:
    log_all(places)
    make_log(places.run, "call", scope_id=places.turn - 1)
    address = f"runs/{places.run.pk}/steps/call/?scope={places.turn}"
    assert "turn 1 turn 2" in text_of(day, address)


def test_skipping_names_where_the_step_stands(day: Day, places: Places) -> None:
    Run.objects.filter(pk=places.run.pk).update(state="running", finished_at=None)
    waiting = {"kind": "time", "text": "Later"}
    make_token(places.run, "call", state="W", scope_id=places.turn, waiting=waiting)
    address = f"runs/{places.run.pk}/steps/call/skip/?scope={places.turn}"
    assert "Skip “Call the shop” in turn 2?" in text_of(day, address)
