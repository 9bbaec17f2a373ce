"""A committer that is closed while it opens its connection."""

import pytest

from orchestrator.engine import committer as module
from orchestrator.engine import items
from orchestrator.engine.committer import Committer
from orchestrator.engine.database import OwnConnection, connect
from orchestrator.engine.lease import leases_of
from orchestrator.models import Token
from tests.engine.drawings import document, step
from tests.engine.house import House
from tests.engine.rows import claim

SESSION = 7


def test_it_leaves_no_connection_and_writes_nothing(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    house.start(house.publish(document([step("a")])))
    (lease,) = leases_of(claim(SESSION))
    closing = Committer(SESSION, lambda queues: None)
    opened: list[OwnConnection] = []

    def closed_meanwhile(name: str) -> OwnConnection:
        opened.append(connect(name))
        closing.close()
        return opened[-1]

    monkeypatch.setattr(module, "connect", closed_meanwhile)
    with pytest.raises(RuntimeError, match="stopped"):
        closing.advance(items.hand_back(lease))
    assert [connection.closed for connection in opened] == [True]
    assert Token.objects.get().session_id == SESSION
