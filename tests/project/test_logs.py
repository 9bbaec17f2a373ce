"""Text from outside cannot forge, paint or flood the log."""

import io
import json
import logging
import logging.config

import pytest

from orchestrator.project.logs import LONGEST_LINE, logging_settings
from orchestrator.project.running.relay import Relay


def logged(message: str, *, json_lines: bool = False) -> str:
    """What one log call writes."""
    settings = logging_settings(json_lines=json_lines, level="INFO")
    formatter = settings["formatters"]["line"]
    made = formatter.pop("()")(**formatter)
    record = logging.LogRecord("orchestrator", logging.WARNING, "file.py", 1, message, None, None)
    return str(made.format(record))


def test_it_shows_control_characters_escaped() -> None:
    line = logged("a\r\n12:00:00 forged \x1b[31mred\x9b1m \u202erev")
    assert "\n" not in line
    assert line.endswith(r"a\r\n12:00:00 forged \x1b[31mred\x9b1m \u202erev")


def test_it_cuts_long_lines() -> None:
    line = logged("x" * 1_000_000)
    assert len(line) < LONGEST_LINE + 100
    assert line.endswith("more characters)")


def test_it_writes_json_lines_on_request() -> None:
    line = json.loads(logged("a\nb" + "x" * 1_000_000, json_lines=True))
    assert line["event"].startswith("a\nb")
    assert len(line["event"]) < LONGEST_LINE + 100
    assert (line["level"], line["logger"]) == ("warning", "orchestrator")


@pytest.mark.parametrize("json_lines", [False, True])
def test_it_keeps_a_sign_in_link_to_itself(json_lines: bool) -> None:
    line = logged("Forbidden (CSRF cookie not set.): /signin/link/in0lVerv_I1W0tQt-BpqXf/", json_lines=json_lines)
    assert "/signin/link/.../" in line
    assert "in0lVerv" not in line


def test_it_relays_a_childs_lines_prefixed_and_bounded() -> None:
    target = io.StringIO()
    relay = Relay("web   |", io.BytesIO(b"hello\n\n\x1b[2Jbye\n" + b"y" * 100_000 + b"\xff\n"), target)
    relay.run()
    lines = target.getvalue().splitlines()
    assert lines[:2] == ["web   | hello", r"web   | \x1b[2Jbye"]
    assert all(len(line) < LONGEST_LINE + 100 for line in lines)
