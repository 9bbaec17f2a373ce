"""The watch over sessions that tests leave open."""

import pytest

from orchestrator.engine.database import connect
from tests import open_sessions


def test_it_names_who_is_left(transactional_db: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(open_sessions, "PATIENCE", 0.1)
    open_sessions.check_closed()
    left = connect("left open")
    try:
        with pytest.raises(AssertionError, match='"branchline left open", idle since'):
            open_sessions.check_closed()
    finally:
        left.close()
