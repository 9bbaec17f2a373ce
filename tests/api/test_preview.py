"""Trying expressions while drawing."""

from typing import Any

import pytest

from designer.preview import LONGEST_TEXT, MOST_ITEMS, MOST_PARTS, cut
from designer.services.publishing import publish
from orchestrator.api import Run
from tests.designer_cast import Cast, document, transform
from tests.run_factories import make_log, make_outputs, make_run

pytestmark = pytest.mark.django_db

INPUT = {
    "type": "object",
    "properties": {"amount": {"type": "integer", "default": 7}, "name": {"type": "string", "examples": ["Ann"]}},
}


@pytest.fixture
def cast(valkey: str) -> Cast:
    return Cast("demo")


def flow(cast: Cast) -> Any:
    drawing = document(transform("first"), transform("second"), transform("third"), name="Flow", input=INPUT)
    return cast.workflow(drawing)


def ask(cast: Cast, expression: str, step: str | None = "second") -> dict[str, Any]:
    answer = cast.client.post(
        cast.url("workflows/flow/draft/preview/"), {"expression": expression, "step": step}, format="json"
    )
    assert answer.status_code == 200, answer.content
    body: dict[str, Any] = answer.json()
    return body


def test_without_a_run_it_reads_the_schemas_examples(cast: Cast) -> None:
    flow(cast)
    assert ask(cast, "input.amount + 1") == {"value": 8}
    assert ask(cast, "f'Hello {input.name}'") == {"value": "Hello Ann"}


def test_the_last_runs_data_come_first(cast: Cast) -> None:
    workflow = flow(cast)
    version = publish(workflow=workflow, note="", actor=cast.actor)
    run = make_run(version, input={"amount": 40}, state="succeeded")
    make_log(run, "first", output={"found": [1, 2, 3]})
    assert ask(cast, "input.amount + len(steps.first.found)") == {"value": 43}
    roots = cast.client.get(cast.url("workflows/flow/draft/preview/"), {"step": "second"}).json()["roots"]
    assert roots["input"] == {"amount": 40, "name": "Ann"}
    assert roots["steps"] == {"first": {"found": [1, 2, 3]}}
    assert Run.objects.count() == 1


@pytest.mark.parametrize("expression", ["steps.first.found", "errors.first.code", "len(steps.first)"])
def test_what_no_run_has_given_yet_is_nobodys_mistake(cast: Cast, expression: str) -> None:
    workflow = flow(cast)
    assert ask(cast, expression) == {"unknown": 'Shown once a run has been through step "first".'}
    run = make_run(publish(workflow=workflow, note="", actor=cast.actor), state="succeeded")
    make_log(run, "first", output=None)
    assert ask(cast, expression)["error"]["code"] == "expression_failed"


def test_nor_is_what_an_undo_reads_of_a_step_that_never_ran(cast: Cast) -> None:
    flow(cast)
    for expression in ("output.id", "error.code"):
        body = {"expression": expression, "step": "second", "undo": True}
        answer = cast.client.post(cast.url("workflows/flow/draft/preview/"), body, format="json").json()
        assert answer == {"unknown": 'Shown once a run has been through step "second".'}


EVENT = {"specversion": "1.0", "id": "7", "source": "/shop", "type": "paid", "time": "t", "data": {"amount": 120}}


def waiting(cast: Cast) -> Any:
    """A workflow that waits for an event."""
    wait = {**transform("wait"), "kind": "wait_event", "config": {"type": "paid"}}
    return cast.workflow(document(transform("first"), wait, transform("after"), name="Flow"))


def test_a_condition_reads_the_event_that_came_last(cast: Cast) -> None:
    workflow = waiting(cast)
    assert ask(cast, "event.data.amount > 100", step="wait") == {
        "unknown": 'Shown once a run has been through step "wait".'
    }
    assert ask(cast, "event.specversion", step="wait") == {"value": "1.0"}
    make_log(make_run(publish(workflow=workflow, note="", actor=cast.actor)), "wait", output=EVENT)
    assert ask(cast, "event.data.amount > 100", step="wait") == {"value": True}
    roots = cast.client.get(cast.url("workflows/flow/draft/preview/"), {"step": "wait"}).json()["roots"]
    assert roots["event"] == EVENT


def test_the_steps_after_a_wait_read_the_event_as_its_output(cast: Cast) -> None:
    workflow = waiting(cast)
    reads = "steps.wait.data.amount"
    assert ask(cast, reads, step="after") == {"unknown": 'Shown once a run has been through step "wait".'}
    make_log(make_run(publish(workflow=workflow, note="", actor=cast.actor)), "wait", output=EVENT)
    assert ask(cast, reads, step="after") == {"value": 120}
    assert "event" in ask(cast, "event.id", step="after")["error"]["message"]


def test_a_wait_that_ended_without_an_event_shows_an_example(cast: Cast) -> None:
    workflow = waiting(cast)
    make_log(make_run(publish(workflow=workflow, note="", actor=cast.actor)), "wait", output=None)
    assert ask(cast, "event.specversion", step="wait") == {"value": "1.0"}


def test_only_steps_before_it_can_be_read(cast: Cast) -> None:
    workflow = flow(cast)
    run = make_run(publish(workflow=workflow, note="", actor=cast.actor), state="succeeded")
    make_log(run, "third", output=3)
    assert "third" in ask(cast, "steps.third", step="second")["error"]["message"]
    assert ask(cast, "steps.third", step="") == {"value": 3}


NESTED = document(
    transform("load"),
    {**transform("outer"), "kind": "for_each", "config": {"items": {"$": "steps.load"}}},
    {**transform("turns"), "kind": "repeat", "config": {"turns": 3}, "parent": "outer"},
    {**transform("inner"), "kind": "for_each", "config": {"items": {"$": "item['lines']"}}, "parent": "turns"},
    transform("deep", parent="inner"),
    {**transform("unknown"), "kind": "for_each", "config": {"items": {"$": "input."}}},
    transform("lost", parent="unknown"),
    name="Flow",
    edges=[{"from": "load", "to": "outer"}],
)


@pytest.mark.parametrize(
    ("expression", "step", "value"),
    [
        ("item['id'] + index", "turns", 7),  # of the first item
        ("item * 2", "deep", 20),  # the inner item hides the outer one
        ("[turn, len(steps.load)]", "deep", [1, 2]),  # what leads to a container leads to all inside
        ("turn + (last or 0) + len([steps.inner])", "turns", 2),  # the condition of a repeat
        ("item", "lost", None),  # items nobody can compute yet
        ("index", "lost", 0),
    ],
)
def test_inside_containers_it_reads_the_first_item_and_turn(cast: Cast, expression: str, step: str, value: Any) -> None:
    drawing = document(transform("load"), name="Flow", input=INPUT)
    workflow = cast.workflow(drawing)
    run = make_run(publish(workflow=workflow, note="", actor=cast.actor), state="succeeded")
    make_log(run, "load", output=[{"id": 7, "lines": [10, 11]}, {"id": 8, "lines": []}])
    saved = cast.client.put(cast.url("workflows/flow/draft/"), NESTED, format="json", headers={"If-Match": "1"})
    assert saved.status_code == 200, saved.content
    assert ask(cast, expression, step) == {"value": value}


def test_containers_in_a_circle_end_the_search(cast: Cast) -> None:
    around = [{**transform(key), "kind": "for_each", "parent": other} for key, other in (("a", "b"), ("b", "a"))]
    cast.workflow(document(*around, name="Flow", edges=[]))
    assert ask(cast, "index", "a") == {"value": 0}


@pytest.mark.parametrize("step", [None, "", "unknown"])
def test_without_a_step_all_steps_count_as_run(cast: Cast, step: str | None) -> None:
    flow(cast)
    assert ask(cast, "steps.third", step) == {"value": None}


@pytest.mark.parametrize(
    ("expression", "code"),
    [
        ("input.", "expression_invalid"),
        ("a = 1", "expression_invalid"),
        ("().__class__", "expression_invalid"),
        ("input.nothing", "expression_failed"),
        ("sum(range(10**9))", "expression_timeout"),
        ("'x' * 10**10", "expression_memory"),
    ],
)
def test_a_bad_expression_is_an_answer_not_a_failure(cast: Cast, expression: str, code: str) -> None:
    flow(cast)
    assert ask(cast, expression)["error"]["code"] == code


@pytest.mark.parametrize("text", ["{{7*7}}", "${7*7}", "%(x)s", "=7*7"])
def test_data_are_never_evaluated(cast: Cast, text: str) -> None:
    workflow = flow(cast)
    make_run(publish(workflow=workflow, note="", actor=cast.actor), input={"name": text}, state="succeeded")
    assert ask(cast, "input.name") == {"value": text}


def test_another_workspaces_runs_stay_unseen(cast: Cast) -> None:
    other = Cast("other")
    theirs = other.workflow(document(transform("first"), transform("second"), name="Flow", input=INPUT))
    make_run(publish(workflow=theirs, note="", actor=other.actor), input={"name": "canary"}, state="succeeded")
    flow(cast)
    assert ask(cast, "input.name") == {"value": "Ann"}


def test_too_long_an_expression_is_refused(cast: Cast) -> None:
    flow(cast)
    answer = cast.client.post(cast.url("workflows/flow/draft/preview/"), {"expression": "1" * 4_097}, format="json")
    assert answer.status_code == 400
    answer = cast.client.post(
        cast.url("workflows/flow/draft/preview/"), {"expression": "1", "version": 1}, format="json"
    )
    assert answer.json()["code"] == "unknown_field"


def test_what_is_shown_is_cut() -> None:
    assert cut(list(range(100))) == list(range(MOST_ITEMS))
    assert cut("x" * 1_000) == "x" * LONGEST_TEXT + "…"
    wide = cut({f"k{n}": [n] for n in range(10_000)})
    assert isinstance(wide, dict)
    assert len(wide) < MOST_PARTS


def test_the_undo_of_a_step_reads_what_the_step_gave(cast: Cast) -> None:
    workflow = flow(cast)

    def asked(expression: str, *, undo: bool) -> dict[str, Any]:
        body = {"expression": expression, "step": "second", "undo": undo}
        answer = cast.client.post(cast.url("workflows/flow/draft/preview/"), body, format="json")
        assert answer.status_code == 200, answer.content
        found: dict[str, Any] = answer.json()
        return found

    assert asked("output", undo=True) == {"value": None}  # nothing has run yet
    run = make_run(publish(workflow=workflow, note="", actor=cast.actor), state="succeeded")
    make_log(run, "second", output={"id": "R-1"})
    assert asked("output.id", undo=True) == {"value": "R-1"}
    assert asked("error", undo=True) == {"value": None}
    assert "error" in asked("output.id", undo=False)
    assert "error" in asked("steps.second", undo=True)  # by its own name only as output
    url = cast.url("workflows/flow/draft/preview/")
    assert cast.client.get(url, {"step": "second", "undo": "true"}).json()["roots"]["output"] == {"id": "R-1"}
    assert "output" not in cast.client.get(url, {"step": "second"}).json()["roots"]
    failed = make_run(run.version, state="failed")
    make_log(failed, "second", outcome="F", error={"code": "refused", "message": "No."})
    assert asked("output.id", undo=True) == {"unknown": 'Shown once a run has been through step "second".'}
    assert asked("error.code", undo=True) == {"value": "refused"}
    assert "error" in asked("error.nothing", undo=True)


def test_outputs_too_large_to_be_one_value_show_their_first_ones(cast: Cast) -> None:
    drawing = document(
        {**transform("many"), "kind": "for_each", "config": {"items": [1]}},
        transform("one", parent="many"),
        {**transform("again"), "kind": "for_each", "config": {"items": {"$": "steps.many"}}},
        transform("inside", parent="again"),
        name="Flow",
        edges=[{"from": "many", "to": "again"}],
    )
    workflow = cast.workflow(drawing)
    run = make_run(publish(workflow=workflow, note="", actor=cast.actor), state="succeeded")
    kept = make_outputs(run, "many", "one", [{"n": n} for n in range(MOST_ITEMS + 5)], size=10_000)
    make_log(run, "many", output_ref=kept.pk)
    first = [{"n": n} for n in range(MOST_ITEMS)]
    assert ask(cast, "steps.many", step="again") == {"value": first}
    assert ask(cast, "item.n + index", step="inside") == {"value": 0}
    assert ask(cast, "len(steps.many)", step="again")["error"]["code"] == "outputs_too_large"
    roots = cast.client.get(cast.url("workflows/flow/draft/preview/"), {"step": "again"}).json()["roots"]
    assert roots["steps"] == {"many": first}
