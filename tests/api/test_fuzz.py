"""Every operation of the OpenAPI schema, with data made from the schema: no 5xx, and answers are as it says.

Ids, slugs and keys of the address are real ones every other time, so that the views behind them are reached.
"""

from collections.abc import Callable, Iterator, Mapping
from functools import cache
from typing import Any

import pytest
import schemathesis
from django.core.signals import request_finished, request_started
from django.core.wsgi import get_wsgi_application
from django.db import close_old_connections, transaction
from drf_spectacular.generators import SchemaGenerator
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st
from schemathesis import Case
from schemathesis.checks import not_a_server_error
from schemathesis.generation import GenerationMode
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from designer.services.publishing import publish
from tests.designer_cast import Cast, document, transform
from tests.factories import bearer, make_member
from tests.run_factories import make_delivery, make_event, make_log, make_run, make_task, make_token

pytestmark = pytest.mark.django_db

EXAMPLES = 14  # per operation and kind of data
CHECKS = [not_a_server_error, status_code_conformance, content_type_conformance, response_schema_conformance]


@cache
def api() -> Any:
    """The schema that /api/v1/schema/ serves."""
    generator: Any = SchemaGenerator()  # untyped
    schema: Any = schemathesis.openapi.from_dict(generator.get_schema(request=None, public=True))
    schema.app = get_wsgi_application()
    return schema


def operations() -> list[Any]:
    found = [result.ok() for result in api().get_all_operations()]
    return [pytest.param(one, id=one.label) for one in found]


@pytest.fixture(autouse=True)
def one_connection() -> Iterator[None]:
    """Requests leave the test's transaction open, as with Django's own test client."""
    for signal in (request_started, request_finished):
        signal.disconnect(close_old_connections)
    yield
    for signal in (request_started, request_finished):
        signal.connect(close_old_connections)


@pytest.fixture
def cast(valkey: str) -> Cast:
    return Cast("demo")


@pytest.fixture
def real(cast: Cast) -> Mapping[str, Any]:
    """Values of the address that name something."""
    workflow = cast.workflow(document(transform("a"), transform("b"), transform("c")))
    version = publish(workflow=workflow, note="", actor=cast.actor)
    run = make_run(version, business_key="order-7", input={"n": 1})
    make_log(run, "a", output={"ok": True})
    make_token(run, "b", state="L")
    task = make_task(run, "c", users=["fuzz"])
    event = make_event(cast.workspace)
    letter = make_delivery(event, run, "a", "X", error={"code": "expression_failed", "message": "No amount."})
    return {
        "workspace": "demo",
        "run": str(run.pk),
        "task": str(task.pk),
        "event": event.pk,
        "delivery": letter.pk,
        "key": "a",
        "slug": workflow.slug,
        "number": 1,
        "other": 1,
        "username": "fuzz",
    }


@pytest.fixture
def token(cast: Cast, real: Mapping[str, Any]) -> dict[str, str]:
    """Headers of somebody who may edit, operate and approve."""
    return bearer(cast.workspace, make_member(cast.workspace, "editor", "operator", "approver", username="fuzz"))


def cases(operation: Any, mode: GenerationMode, real: Mapping[str, Any]) -> st.SearchStrategy["Case[Any]"]:
    """Cases of the operation, most of them in a real place."""

    def placed(case: "Case[Any]", choices: list[bool]) -> "Case[Any]":
        given_values = dict(case.path_parameters or {})
        for name, is_real in zip(sorted(given_values), choices, strict=False):
            if name in real and (is_real or name == "workspace"):
                given_values[name] = real[name]
        case.path_parameters = given_values
        return case

    strategy: st.SearchStrategy[Case[Any]] = operation.as_strategy(generation_mode=mode)
    return st.builds(placed, strategy, st.lists(st.sampled_from([True, True, True, False]), min_size=4, max_size=4))


def tried(cases: st.SearchStrategy["Case[Any]"], examples: int, headers: dict[str, str]) -> Callable[[], None]:
    """Send that many cases; each leaves the database as it was."""

    @seed(2026)  # the same cases in every run of the suite: a failure here is a change of ours
    @settings(
        max_examples=examples,
        deadline=None,
        database=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(case=cases)
    def send(case: "Case[Any]") -> None:
        with transaction.atomic():
            response = case.call(headers=headers)
            transaction.set_rollback(True)
        case.validate_response(response, checks=CHECKS)

    return send


@pytest.mark.parametrize("mode", [GenerationMode.POSITIVE, GenerationMode.NEGATIVE], ids=["as it says", "otherwise"])
@pytest.mark.parametrize("operation", operations())
def test_it_answers_as_the_schema_says(
    operation: Any, mode: GenerationMode, real: Mapping[str, Any], token: dict[str, str]
) -> None:
    tried(cases(operation, mode, real), EXAMPLES, token)()


@pytest.mark.parametrize("operation", operations())
def test_strangers_get_nothing(operation: Any, real: Mapping[str, Any]) -> None:
    tried(cases(operation, GenerationMode.POSITIVE, real), 3, {})()
