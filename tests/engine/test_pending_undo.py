"""Ledgers that cannot be written yet do not keep from its undo what is due."""

from typing import Any
from uuid import UUID

import pytest

from orchestrator.engine import undo
from orchestrator.engine.plans import LonePlans
from orchestrator.models import Token
from orchestrator.queries.fsck import breaches
from tests.engine.house import House
from tests.engine.rows import own_connection, rows
from tests.engine.test_closed_while_parking import advanced, in_its_box, unpacked

UNDO_INSIDE: dict[str, Any] = {"then": "undo_inside", "waiting": {"kind": "undo", "text": "undo"}}


def closed(house: House, *, moving: bool) -> UUID:
    """A run whose container is to be undone; `moving`: a step inside is at work still."""
    run_id, outer, inner = in_its_box(house, on_failure="undo")
    rows(*unpacked(advanced(outer, **UNDO_INSIDE)))
    if not moving:
        rows(*unpacked(advanced(inner, then="back")))  # it hears at its next call that its container is over
    assert Token.objects.filter(run_id=run_id, state="L").exists() == moving
    return run_id


def test_what_is_due_is_written_however_many_are_not(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(undo, "LIMIT", 2)
    early = [closed(house, moving=True) for _ in range(3)]
    due = closed(house, moving=False)
    late = [closed(house, moving=True) for _ in range(3)]
    with own_connection("keeper") as database:
        assert undo.write_ledgers(database, LonePlans(lambda: database).of) == ["default"]
    # Nothing had happened in there: the container goes on at once.
    assert Token.objects.get(run_id=due).state == "R"
    assert Token.objects.filter(run_id__in=[*early, *late], state="W").count() == 6
    assert list(breaches()) == []
