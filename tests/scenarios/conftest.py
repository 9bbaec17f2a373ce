"""Fixtures of the scenarios: the sample workspace, and something that works on it."""

from collections.abc import Iterator
from typing import TYPE_CHECKING
from uuid import UUID

import pytest

from designer.samples.load import load
from orchestrator.models import User, Workflow
from orchestrator.models.workspace import Role
from orchestrator.queries.actors import actor_in
from orchestrator.services.members import machine_actor, set_member
from orchestrator.services.runs import start_run
from tests.engine.conftest import sandbox  # noqa: F401  a fixture
from tests.engine.house import House, make_house
from tests.scenarios.driver import DRIVERS, inline, workers

if TYPE_CHECKING:
    from orchestrator.engine.sandbox import Sandbox


@pytest.fixture
def samples(transactional_db: None) -> House:
    """A workspace with the published samples."""
    house = make_house()
    load(house.workspace, house.actor)
    return house


@pytest.fixture(params=DRIVERS)
def at_work(request: pytest.FixtureRequest, samples: House) -> Iterator[str]:
    """The same scenario inline and by real workers."""
    if request.param == "inline":
        pool: Sandbox = request.getfixturevalue("sandbox")
        with inline(samples, pool):
            yield "inline"
    else:
        with workers(request.getfixturevalue("process_environment")):
            yield "workers"


def person(house: House, name: str, *roles: Role) -> User:
    """A member with these roles."""
    user = User.objects.create(username=name, email=f"{name}@example.org")
    set_member(actor=machine_actor(house.workspace), username=name, roles=[str(role) for role in roles])
    return user


def begin(house: House, slug: str, value: object, user: User | None = None) -> UUID:
    """Start a sample as somebody."""
    workflow = Workflow.objects.select_related("live_version").get(workspace=house.workspace, slug=slug)
    actor = house.actor
    if user is not None:
        found = actor_in(house.workspace.slug, user)
        assert found is not None
        actor = found
    run_id = start_run(workflow=workflow, input=value, actor=actor).run_id  # type: ignore[arg-type]
    if house.worker is not None:
        house.worker.poke()
    return run_id
