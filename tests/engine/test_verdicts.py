"""Verdicts of joins, signal by signal through the SQL: a table, any order of arrival, and mutants to be caught."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import permutations
from typing import Any

import pytest
from django.db import IntegrityError, connection, transaction

from orchestrator.models import Gate, GateArrival, StepLog, Token
from orchestrator.sql import FOLDER
from tests.engine.drawings import document, step
from tests.engine.house import House
from tests.engine.rows import rows

SQL = (FOLDER / "gates.sql").read_text()
FIRE = "SELECT * FROM branchline_fire_gates(10)"
QUORUM2 = {"mode": "quorum", "quorum": 2}

#: join, the signals of its branches in order (o ok, s skip, f fail; ! its deadline passes), the verdict after each.
TABLE: list[tuple[dict[str, Any], str, str]] = [
    ({}, "ooo", "OOF"),
    ({}, "sss", "OOS"),
    ({}, "oso", "OOF"),
    ({}, "foo", "OOX"),  # "finish" lets the others end first
    ({}, "fss", "OOX"),
    ({"on_branch_failure": "abort"}, "foo", "XXX"),
    ({"on_branch_failure": "abort"}, "ofs", "OXX"),
    ({"on_branch_failure": "abort"}, "oos", "OOF"),
    ({"on_branch_failure": "abort", "tolerate": {"count": 1}}, "ffo", "OXX"),  # the first beyond what is tolerated
    ({"on_branch_failure": "abort", "tolerate": {"count": 1}}, "ofo", "OOF"),
    ({"tolerate": {"count": 1}}, "foo", "OOF"),
    ({"tolerate": {"count": 1}}, "fof", "OOX"),
    ({"tolerate": {"percent": 67}}, "fof", "OOF"),  # 2.01 of 3
    ({"tolerate": {"percent": 66}}, "fof", "OOX"),  # 1.98 of 3, rounded down
    ({"on_branch_failure": "continue"}, "fof", "OOF"),
    ({"on_branch_failure": "continue"}, "fff", "OOF"),  # an empty result is a result
    ({"on_branch_failure": "continue"}, "sss", "OOS"),
    ({"mode": "any"}, "foo", "OFF"),
    ({"mode": "any"}, "ffo", "OOF"),
    ({"mode": "any"}, "ffs", "OOX"),
    ({"mode": "any"}, "sss", "OOS"),
    ({"mode": "any", "on_branch_failure": "continue"}, "fff", "OOF"),
    (QUORUM2, "oof", "OFF"),
    (QUORUM2, "ffo", "OXX"),  # out of reach with one to come
    (QUORUM2, "sof", "OOX"),
    (QUORUM2, "oss", "OOX"),
    (QUORUM2, "sso", "OOX"),  # the last one might have been skipped, too
    (QUORUM2, "sss", "OOS"),
    ({**QUORUM2, "on_branch_failure": "abort"}, "ffo", "OXX"),
    ({**QUORUM2, "on_branch_failure": "continue"}, "ffo", "OOF"),  # whoever still comes makes the result fuller
    ({**QUORUM2, "on_branch_failure": "continue"}, "foo", "OOF"),
    ({"deadline": "PT1H"}, "o!oo", "OXXX"),
    ({"deadline": "PT1H", "on_deadline": "proceed"}, "o!oo", "OFFF"),
    ({"deadline": "PT1H", "on_deadline": "proceed"}, "s!oo", "OFFF"),
    ({"deadline": "PT1H", "on_deadline": "proceed"}, "of!o", "OOXX"),  # the failure is there already
    ({"deadline": "PT1H", "on_deadline": "proceed", "tolerate": {"count": 1}}, "of!o", "OOFF"),
    ({"deadline": "PT1H", "on_deadline": "proceed", "on_branch_failure": "continue"}, "f!oo", "OFFF"),
    ({"deadline": "PT1H", "on_deadline": "proceed", **QUORUM2}, "o!oo", "OFFF"),
    ({"deadline": "PT1H", **QUORUM2}, "oo!o", "OFFF"),  # decided before: the deadline says nothing any more
    ({"deadline": "PT1H", "on_branch_failure": "abort"}, "f!oo", "XXXX"),
    ({"deadline": "PT1H"}, "ooo!", "OOFF"),
]


class Board:
    """One join of one run, sent signals by hand."""

    def __init__(self, house: House, join: dict[str, Any], size: int) -> None:
        steps = [step(f"b{n}") for n in range(size)]
        lines = [f"b{n} > z" for n in range(size)]
        self.version = house.publish(document([*steps, step("z", "merge", join=join)], *lines))
        self.run_id = house.start(self.version)
        self.node = size
        self.edges = list(range(size))

    def send(self, letter: str) -> str:
        """One signal, or its deadline; the verdict after it."""
        if letter == "!":
            with connection.cursor() as cursor:
                cursor.execute(
                    "UPDATE orchestrator_gate SET deadline_at = clock_timestamp() WHERE run_id = %s"
                    " AND deadline_at IS NOT NULL",
                    [self.run_id],
                )
            rows(FIRE)
        else:
            self.apply(self.edges.pop(0), "osf".index(letter))
        return self.gate.verdict

    def apply(self, edge: int, kind: int) -> None:
        """What `advance` tells the gate."""
        signal = "ROW(%s, 0, %s, 0, 100, %s, %s, %s, NULL)::branchline_signal"
        arguments = (self.run_id, self.version.pk, self.node, edge, kind)
        rows(f"SELECT * FROM branchline_apply(ARRAY[{signal}], 'default')", *arguments)

    @property
    def error(self) -> Any:
        return StepLog.objects.get(run_id=self.run_id, node=self.node).error

    @property
    def gate(self) -> Gate:
        return Gate.objects.get(run_id=self.run_id, node=self.node)


def played(house: House, join: dict[str, Any], signals: str) -> str:
    """The verdicts after each signal; what must hold of every gate is asserted."""
    board = Board(house, join, len(signals.replace("!", "")))
    verdicts = "".join(board.send(letter) for letter in signals)
    gate = board.gate
    assert gate.decided == 1
    assert (gate.deadline_at, gate.cancel_pending) == (None, False), "all have answered"
    joins = Token.objects.filter(run_id=board.run_id, node=board.node).count()
    blocked = StepLog.objects.filter(run_id=board.run_id, node=board.node, outcome="F").count()
    assert (joins, blocked) == (int(gate.verdict == "F"), int(gate.verdict == "X"))
    early = [letter for letter in signals[: verdicts.index(gate.verdict) + 1] if letter != "!"]
    assert GateArrival.objects.filter(run_id=board.run_id, gate=board.node, late=False).count() == len(early)
    return verdicts


@pytest.mark.parametrize(("join", "signals", "verdicts"), TABLE)
def test_a_verdict_is_reached_as_soon_as_it_is_certain(
    house: House, join: dict[str, Any], signals: str, verdicts: str
) -> None:
    assert played(house, join, signals) == verdicts


@pytest.mark.parametrize(
    "join",
    [
        {},
        QUORUM2,
        {"mode": "any", "on_branch_failure": "abort"},
        {"on_branch_failure": "abort", "tolerate": {"count": 1}},
        {**QUORUM2, "on_branch_failure": "continue"},
    ],
)
def test_the_order_of_arrival_changes_no_verdict(house: House, join: dict[str, Any]) -> None:
    for signals in ("oof", "ofs", "ffo", "oss", "ffs"):
        verdicts = {played(house, join, "".join(order))[-1] for order in set(permutations(signals))}
        assert len(verdicts) == 1, f"{signals} in some order: {verdicts}"


def test_a_deadline_is_never_early(house: House) -> None:
    board = Board(house, {"deadline": "PT1H"}, 2)
    assert board.send("o") == "O"
    assert rows(FIRE) == []
    # Not even when somebody says that it has passed.
    board.apply(-1, 3)
    assert board.gate.verdict == "O"


def test_the_failed_join_names_its_branches(house: House) -> None:
    board = Board(house, {"deadline": "PT1H"}, 3)
    for letter in "of!":
        board.send(letter)
    assert board.error["code"] == "branch_failed"
    assert board.error["details"] == {"arrived": ["b0"], "failed": ["b1"], "missing": ["b2"]}
    late = Board(house, {"deadline": "PT1H"}, 2)
    for letter in "o!":
        late.send(letter)
    assert late.error["code"] == "join_deadline"
    assert late.error["message"] == 'The deadline of this join passed when 1 of 2 branches had arrived; missing: "b1".'


def test_the_timer_of_a_closed_run_is_taken_away(house: House) -> None:
    board = Board(house, {"deadline": "PT1H"}, 2)
    board.send("o")
    rows("SELECT branchline_end_run(%s, 'cancelled', NULL, NULL, NULL)", board.run_id)
    assert board.send("!") == "O"
    assert board.gate.deadline_at is None


#: What a mutant does to `branchline_signal_gates`: a piece of it, and what stands there instead.
MUTANTS = {
    "fires without looking at the verdict": ("        IF g.verdict = 'O' THEN\n", "        IF true THEN\n"),
    "fires without looking at the clock": ("v_due := g.deadline_at <= clock_timestamp() AND", "v_due := true AND"),
    "forgets what is tolerated": ("g.fail > p.tolerate AND", "g.fail > 0 AND"),
    "decides a hopeless quorum too soon": ("g.ok + g.fail > 0 AND g.size", "g.size"),
    "counts late branches as arrived": ("s.kind + 1, 1), g.verdict <> 'O'", "s.kind + 1, 1), false"),
}  # fmt: skip


@contextmanager
def mutant(name: str) -> Iterator[None]:
    piece, instead = MUTANTS[name]
    assert SQL.count(piece) == 1, "the verdict is written differently now: adapt the mutants"
    start = SQL.index("CREATE FUNCTION branchline_signal_gates")
    end = SQL.index("END $$;", start) + len("END $$;")
    with connection.cursor() as cursor:
        try:
            cursor.execute(SQL[start:end].replace(piece, instead).replace("CREATE", "CREATE OR REPLACE", 1))
            yield
        finally:
            cursor.execute(SQL[start:end].replace("CREATE", "CREATE OR REPLACE", 1))


def caught(scene: Callable[[], Any]) -> bool:
    try:
        with transaction.atomic():
            scene()
    except (AssertionError, IntegrityError):
        return True
    return False


@pytest.mark.parametrize("name", MUTANTS)
def test_the_table_catches(house: House, name: str) -> None:
    def table() -> None:
        test_a_deadline_is_never_early(house)
        for row in TABLE:
            test_a_verdict_is_reached_as_soon_as_it_is_certain(house, *row)

    with mutant(name):
        assert caught(table), f"nothing noticed a join that {name}"
