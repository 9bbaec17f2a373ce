"""The witness is worth something: each way to lose or to double a success contradicts what was written down."""

from collections.abc import Callable, Iterator
from pathlib import Path
from uuid import UUID, uuid4

import pytest

from orchestrator.models import StepLog
from tests.chaos import journal
from tests.chaos.journal import ACKNOWLEDGED, ACTED, CALLED
from tests.chaos.testimony import contradictions, repeated
from tests.engine.drawings import document, step
from tests.engine.house import House, make_house
from tests.engine.rows import beat, claim, finish, take_over

A, DEAD = 11, 22
Scene = tuple[UUID, Callable[..., None]]


@pytest.fixture
def house(transactional_db: None) -> House:
    return make_house()


@pytest.fixture
def scene(house: House, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Scene]:
    """A step whose first worker died in its handler; the second attempt is logged, acknowledged and written down."""
    monkeypatch.setenv(journal.FOLDER, str(tmp_path))
    journal._file.cache_clear()
    run_id = house.start(house.publish(document([step("a")])))

    def say(event: str, attempt: int, key: str = f"{run_id}:0:0:0") -> None:
        journal.write(event, key, attempt)

    claim(DEAD)
    say(CALLED, 1)
    take_over()
    beat(A)
    (lease,) = claim(A)
    say(CALLED, 2)
    say(ACTED, 2)
    assert finish(A, lease) != "fenced"
    say(ACKNOWLEDGED, 2)
    yield run_id, say
    journal._file.cache_clear()


def found(tmp_path: Path, run_id: UUID) -> list[str]:
    return [text.split(":")[0] for text in contradictions(journal.read(tmp_path), {(run_id, 0)})]


def test_a_repeated_call_is_seen_and_is_no_fault(scene: Scene, tmp_path: Path) -> None:
    assert found(tmp_path, scene[0]) == []
    evidence = journal.read(tmp_path)
    assert (evidence.calls, evidence.cut_off, repeated(evidence)) == (2, 1, 1)


def test_an_acknowledged_success_that_is_gone_is_lost(scene: Scene, tmp_path: Path) -> None:
    StepLog.objects.filter(outcome="S").delete()
    assert found(tmp_path, scene[0]) == ["lost"]


def test_a_success_told_twice_is_doubled(scene: Scene, tmp_path: Path) -> None:
    scene[1](ACKNOWLEDGED, 2)
    assert found(tmp_path, scene[0]) == ["doubled"]


def test_a_step_that_begins_again_after_its_success_is_doubled(scene: Scene, tmp_path: Path) -> None:
    scene[1](CALLED, 3)
    assert found(tmp_path, scene[0]) == ["doubled"]


def test_a_success_whose_handler_never_ended_is_lost(scene: Scene, tmp_path: Path) -> None:
    evidence = journal.read(tmp_path)
    evidence.acted.clear()
    (text,) = contradictions(evidence, {(scene[0], 0)})
    assert text.startswith("lost")


def test_a_call_that_no_row_knows_is_doubled(scene: Scene, tmp_path: Path) -> None:
    scene[1](CALLED, 1, f"{uuid4()}:0:0:0")
    assert found(tmp_path, scene[0]) == ["doubled"]
