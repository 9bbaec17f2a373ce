"""Starting a run by the form that its input schema makes."""

from typing import Any

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client

from designer.queries.drafts import load_draft
from designer.services.drafts import save_draft
from orchestrator.api import Run, Workflow
from tests.designer_cast import Cast, document, transform
from tests.pages.designer_pages import published, text_of

pytestmark = pytest.mark.django_db

SCHEMA = {
    "type": "object",
    "properties": {
        "name": {"type": "string", "title": "Full name", "description": "As in the passport", "minLength": 2},
        "count": {"type": "integer", "minimum": 1, "default": 3},
        "price": {"type": "number"},
        "express": {"type": "boolean"},
        "size": {"enum": ["small", "large", 7]},
        "day": {"type": "string", "format": "date"},
        "extra": {"type": "object"},
        "remark": {"type": "string", "maxLength": 500},
    },
    "required": ["name", "count"],
}


def start(browser: Client, cast: Cast, **typed: Any) -> Any:
    return browser.post(cast.page("workflows/flow/start/"), {"once": "one", **typed})


@pytest.fixture
def flow(cast: Cast) -> Workflow:
    return published(cast, document(transform("a"), name="Flow", input=SCHEMA))


def test_the_form_has_a_field_per_property_in_the_drawn_order(cast: Cast, browser: Client, flow: Workflow) -> None:
    page = text_of(browser.get(cast.page("workflows/flow/start/")))
    order = [page.index(f'name="input.{key}"') for key in SCHEMA["properties"]]
    assert order == sorted(order)
    for part in ('type="number"', 'type="checkbox"', 'type="date"', "<select", "<textarea", 'value="3"', "Full name"):
        assert part in page


def test_it_starts_a_run_with_typed_values(cast: Cast, browser: Client, flow: Workflow) -> None:
    answer = start(
        browser,
        cast,
        **{
            "input.name": "Ann",
            "input.count": "4",
            "input.price": "2.5",
            "input.express": "on",
            "input.size": "7",
            "input.day": "2026-05-01",
            "input.extra": '{"a": [1]}',
            "input.remark": "two\r\nlines",
        },
    )
    run = Run.objects.get()
    assert (answer.status_code, answer["Location"]) == (302, f"/w/demo/runs/{run.pk}/")
    assert run.input == {
        "name": "Ann",
        "count": 4,
        "price": 2.5,
        "express": True,
        "size": 7,
        "day": "2026-05-01",
        "extra": {"a": [1]},
        "remark": "two\nlines",
    }
    assert (run.trigger, run.started_by_id) == ("person", cast.editor.pk)


def test_what_is_left_empty_is_left_out(cast: Cast, browser: Client, flow: Workflow) -> None:
    start(browser, cast, **{"input.name": "Ann", "input.count": "1"})
    assert Run.objects.get().input == {"name": "Ann", "count": 1, "express": False}


@pytest.mark.parametrize(
    ("typed", "words"),
    [
        ({"input.name": ""}, "Fill this in."),
        ({"input.name": "A"}, "shorter than 2"),
        ({"input.count": "many"}, "Type a number."),
        ({"input.count": "0"}, "The least is 1"),
        ({"input.count": "1.5"}, "whole number"),
        ({"input.count": "1e999"}, "Type a number."),
        ({"input.size": '"huge"'}, "Choose one of the list."),
        ({"input.day": "2026-13-01"}, "which is no"),
        ({"input.extra": "{"}, "not JSON"),
        ({"input.extra": "[]"}, "must be an object"),
        ({"input.extra": "[" * 5_000}, "deeper"),
        ({"input.remark": "x" * 501}, "longer than 500"),
        ({"input.name": "nul \x00 inside"}, "NUL"),
    ],
)
def test_errors_stand_beside_their_field_and_keep_what_was_typed(
    cast: Cast, browser: Client, flow: Workflow, typed: dict[str, str], words: str
) -> None:
    answer = start(browser, cast, **{"input.name": "Ann", "input.count": "1", "input.price": "12.75", **typed})
    page = text_of(answer)
    assert answer.status_code == 400
    assert words in page
    assert 'aria-invalid="true"' in page
    assert 'value="12.75"' in page
    assert not Run.objects.exists()


def test_a_form_sent_twice_starts_one_run(cast: Cast, browser: Client, flow: Workflow) -> None:
    typed = {"input.name": "Ann", "input.count": "1"}
    places = {start(browser, cast, **typed)["Location"] for _ in range(2)}
    assert len(places) == 1
    assert Run.objects.count() == 1


ROWS = {
    "type": "object",
    "properties": {"rows": {"type": "array", "minItems": 1}, "to": {"type": "string"}},
    "required": ["rows"],
}


def test_a_csv_file_becomes_rows(cast: Cast, browser: Client) -> None:
    published(cast, document(transform("a"), name="Flow", input=ROWS))
    assert 'type="file"' in text_of(browser.get(cast.page("workflows/flow/start/")))
    file = SimpleUploadedFile("sales.csv", b"region,amount\nNorth,=1+1\n")
    assert start(browser, cast, rows_file=file, **{"input.to": "x"}).status_code == 302
    assert Run.objects.get().input == {"rows": [{"region": "North", "amount": "=1+1"}], "to": "x"}


@pytest.mark.parametrize(
    ("typed", "words"),
    [
        ({"rows_file": SimpleUploadedFile("a.csv", b"a,a\n1,2\n")}, "Rename one"),
        ({"rows_file": SimpleUploadedFile("a.csv", b"a,b\n1\n")}, "Line 2"),
        ({"rows_file": SimpleUploadedFile("a.csv", b"a\n")}, "fewer than 1"),
        ({"input.rows": "[}"}, "not JSON"),
        ({}, "Choose a file"),
    ],
)
def test_a_wrong_file_is_explained(cast: Cast, browser: Client, typed: dict[str, Any], words: str) -> None:
    published(cast, document(transform("a"), name="Flow", input=ROWS))
    answer = start(browser, cast, **{"input.to": "kept", **typed})
    assert answer.status_code == 400
    assert words in text_of(answer)
    assert 'value="kept"' in text_of(answer)


def test_a_published_workflow_keeps_its_form_while_the_draft_goes_on(
    cast: Cast, browser: Client, flow: Workflow
) -> None:
    changed = document(transform("a"), name="Flow", input={"type": "object", "properties": {"other": {}}})
    save_draft(workflow=flow, document=changed, base_revision=1, actor=cast.actor)
    assert load_draft(flow).revision == 2
    assert 'name="input.name"' in text_of(browser.get(cast.page("workflows/flow/start/")))
