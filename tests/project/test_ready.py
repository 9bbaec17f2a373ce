"""How a child says that it serves."""

import os

import pytest

from orchestrator.project.running.ready import VARIABLE, tell_ready


def test_a_child_says_so_once(monkeypatch: pytest.MonkeyPatch) -> None:
    reader, writer = os.pipe()
    monkeypatch.setenv(VARIABLE, str(writer))
    tell_ready()
    tell_ready()
    assert os.read(reader, 9) == b"1"
    assert os.read(reader, 9) == b""
    os.close(reader)


def test_a_child_that_was_started_again_finds_nobody_listening(monkeypatch: pytest.MonkeyPatch) -> None:
    reader, writer = os.pipe()
    os.close(reader)
    monkeypatch.setenv(VARIABLE, str(writer))
    tell_ready()
    with pytest.raises(OSError, match="Bad file descriptor"):
        os.fstat(writer)
