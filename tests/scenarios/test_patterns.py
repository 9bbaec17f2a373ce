"""Every document of the pattern corpus, played by a worker in this process and by real worker nodes."""

import re
from collections import Counter, defaultdict
from collections.abc import Callable
from datetime import datetime
from itertools import combinations
from pathlib import Path
from typing import TYPE_CHECKING
from uuid import UUID, uuid4

import pytest

from orchestrator.core.parse import parse_document
from orchestrator.core.problems import find_problems
from orchestrator.core.states import TokenState
from orchestrator.engine.sandbox import Sandbox
from orchestrator.models import HumanTask, Run, StepLog, Token, User, WorkerSession
from orchestrator.models.ballot import digest_of
from orchestrator.models.task import WAITING_TASK
from orchestrator.models.workspace import Role
from orchestrator.queries.actors import actor_in
from orchestrator.services.control import cancel_run
from orchestrator.services.events import publish_event
from orchestrator.services.tasks import decide_task
from orchestrator.steps import KINDS
from tests.engine.house import House, leftovers, make_house, output
from tests.scenarios.conftest import person
from tests.scenarios.driver import inline, workers
from tests.scenarios.patterns import CORPUS
from tests.scenarios.patterns.pattern import (
    ANY,
    Act,
    Awaiting,
    CancelRun,
    Decide,
    InTurn,
    Opened,
    Pattern,
    Publish,
    Ran,
)
from tests.waiting import wait_until

if TYPE_CHECKING:
    from django.db.models import QuerySet

    from orchestrator.core.json_types import Json

BEGAN, ENDED = 0, 1  # of a span
PATIENCE = 40  # seconds that one act may take on a busy machine


@pytest.fixture
def house(transactional_db: None) -> House:
    return make_house()


def published(house: House, pattern: Pattern) -> UUID:
    """Start the pattern's document, published as it stands."""
    assert find_problems(parse_document(pattern.document), KINDS) == []
    return house.start(house.publish(pattern.document, slug=pattern.slug), pattern.input)


def rows_of(run_id: UUID, outcome: str) -> dict[str, list[StepLog]]:
    """Key -> its rows with this outcome, in the order of their ends."""
    keys = Run.objects.select_related("version").get(pk=run_id).version.plan["keys"]
    found: dict[str, list[StepLog]] = defaultdict(list)
    for row in StepLog.objects.filter(run_id=run_id, outcome=outcome).order_by("finished_at", "entry"):
        found[keys[row.node]].append(row)
    return found


class Player:
    """Does what people do while one run is at work."""

    def __init__(self, house: House, user: User, run_id: UUID) -> None:
        self._house = house
        self._user = user
        self._run_id = run_id

    def play(self, act: Act) -> None:
        """Wait for the fact that the act needs, then act."""
        match act:
            case Ran(key, times):
                self._wait(lambda: len(rows_of(self._run_id, "S")[key]) >= times, f"{key} to have run {times} times")
            case Opened(tasks):
                self._wait(lambda: self._open.count() == tasks, f"{tasks} tasks to be open")
            case Decide(key):
                self._wait(self._open.filter(step_key=key).exists, f"a task of {key}")
                self._decide(self._open.filter(step_key=key))
            case InTurn(tasks):
                for _ in range(tasks):
                    self._wait(self._open.exists, "the next task")
                    assert self._open.count() == 1, "two tasks are open at once"
                    self._decide(self._open)
            case CancelRun():
                cancel_run(self._run_id, self._house.actor)
            case Awaiting(steps):
                self._wait(lambda: self._awaiting.count() == steps, f"{steps} steps to wait for an event")
            case Publish():
                self._publish(act)

    @property
    def _open(self) -> "QuerySet[HumanTask]":
        return HumanTask.objects.filter(run_id=self._run_id, state__in=WAITING_TASK).order_by("opened_at", "id")

    @property
    def _awaiting(self) -> "QuerySet[Token]":
        return Token.objects.filter(run_id=self._run_id, state=TokenState.WAITING, waiting__kind="event")

    def _publish(self, act: Publish) -> None:
        event: dict[str, Json] = {"id": str(uuid4()), "source": "/tests", "type": act.type, "data": act.data}
        publish_event(actor=self._house.actor, event={**event, "key": act.key})
        self._poke()

    def _decide(self, tasks: "QuerySet[HumanTask]") -> None:
        chosen, actor = tasks[0], actor_in(self._house.workspace.slug, self._user)
        assert actor is not None
        decide_task(task_id=chosen.pk, actor=actor, outcome="done", values={}, digest=digest_of(chosen))
        self._poke()

    def _poke(self) -> None:
        if self._house.worker is not None:
            self._house.worker.poke()

    def _wait(self, fact: Callable[[], object], what: str) -> None:
        wait_until(fact, PATIENCE, f"run {self._run_id}: {what}")


def judge(house: House, pattern: Pattern, run_id: UUID) -> None:
    """Compare what happened with what must have happened."""
    run = house.end_of(run_id, PATIENCE)
    succeeded, cancelled = rows_of(run_id, "S"), rows_of(run_id, "K")
    assert run.state == pattern.state, run.error
    assert Counter({key: len(rows) for key, rows in succeeded.items()}) == pattern.ran
    assert Counter({key: len(rows) for key, rows in cancelled.items()}) == pattern.cancelled
    for moment, lines in ((BEGAN, pattern.order), (ENDED, pattern.ends)):
        for line in lines:
            (first, nth), (second, mth) = (_nth(side) for side in line.split("<"))
            assert _span(succeeded[first][nth])[ENDED] <= _span(succeeded[second][mth])[moment], line
    spans = [_span(*(row for key in group for row in succeeded[key])) for group in pattern.apart]
    for one, other in combinations(spans, 2):
        assert one[1] <= other[0] or other[1] <= one[0], f"{one} and {other} overlap"
    if pattern.output is not ANY:
        assert output(run) == pattern.output
    assert leftovers(run_id) == {}


def _nth(side: str) -> tuple[str, int]:
    key, _, number = side.strip().partition(" ")
    return key, int(number or 1) - 1


def _span(*rows: StepLog) -> tuple[datetime, datetime]:
    """From the first beginning to the last end."""
    began = [row.started_at for row in rows if row.started_at is not None]
    return min(began), max(row.finished_at for row in rows)


@pytest.mark.parametrize("pattern", CORPUS, ids=lambda pattern: pattern.slug)
def test_inline(house: House, sandbox: Sandbox, pattern: Pattern) -> None:
    user = person(house, "ada", Role.APPROVER)
    with inline(house, sandbox):
        run_id = published(house, pattern)
        for act in pattern.acts:
            Player(house, user, run_id).play(act)
        judge(house, pattern, run_id)


def test_by_real_workers(house: House, process_environment: dict[str, str]) -> None:
    """All at once, by one node: two processes share every run."""
    user = person(house, "ada", Role.APPROVER)
    failed: dict[str, str] = {}
    with workers(process_environment):
        runs = {pattern.slug: published(house, pattern) for pattern in CORPUS}
        for pattern in CORPUS:
            try:
                for act in pattern.acts:
                    Player(house, user, runs[pattern.slug]).play(act)
                judge(house, pattern, runs[pattern.slug])
            except AssertionError as error:
                failed[pattern.slug] = str(error)
        assert WorkerSession.objects.count() >= 2
    assert failed == {}


def test_the_documentation_lists_every_pattern_as_the_corpus_plays_it() -> None:
    text = Path("docs/patterns.md").read_text()
    told = dict(re.findall(r"^\| (\d+) \| [^|]+ \| ([a-z ]+) \|", text, re.MULTILINE))
    assert list(map(int, told)) == list(range(1, 44))
    supported, workarounds = ({int(one) for one in told if told[one] == how} for how in ("supported", "workaround"))
    assert supported == {pattern.number for pattern in CORPUS if pattern.direct}
    assert workarounds == {pattern.number for pattern in CORPUS if not pattern.direct}
    assert f"Supported: {len(supported)}." in text
    assert len(supported) >= 36


def test_the_corpus_names_each_document_once() -> None:
    assert len({pattern.slug for pattern in CORPUS}) == len(CORPUS)
