"""Bad input: each is refused or fails with its code, while twenty other runs finish untouched."""

import http.server
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import pytest

from orchestrator.core.errors import BranchlineError
from orchestrator.core.json_text import parse_json
from orchestrator.core.parse import parse_document
from orchestrator.core.problems import find_problems
from orchestrator.engine.sandbox import Sandbox
from orchestrator.project.allowed_hosts import http_for_workspaces
from orchestrator.steps import KINDS
from tests.engine.drawings import document, step
from tests.engine.house import House, error, keeper_at_work, make_house, make_tools, worker_at_work

OTHERS = 20


class Bomb(http.server.BaseHTTPRequestHandler):
    """Answers with far more than anybody asked for."""

    def do_GET(self) -> None:
        self.send_response(200)
        self.end_headers()
        try:
            for _ in range(1_000):
                self.wfile.write(b"x" * 1_000_000)
        except OSError:
            return  # the gate hung up

    def log_message(self, format: str, *args: Any) -> None:
        """Not on the terminal."""


@pytest.fixture
def house(transactional_db: None) -> House:
    return make_house()


@pytest.fixture
def bomb() -> Iterator[str]:
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Bomb)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


def codes_of(raw: Any) -> set[str]:
    """What validation says of a document: form or sense."""
    try:
        return {problem.code for problem in find_problems(parse_document(raw), KINDS)}
    except BranchlineError as refused:
        problems: Any = refused.details.get("problems", [])
        return {refused.error_code, *(problem["code"] for problem in problems)}


def json_code(data: bytes) -> set[str]:
    try:
        parse_json(data)
    except BranchlineError as refused:
        return {refused.error_code}
    return set()


def many(count: int) -> dict[str, Any]:
    return document([step(f"s{number}") for number in range(count)])


REFUSED: dict[str, tuple[Callable[[], set[str]], str]] = {
    "a cycle": (lambda: codes_of(document([step("a"), step("b"), step("c")], "a > b > c > a")), "cycle"),
    "100,000 steps": (lambda: codes_of(many(100_000)), "graph_too_large"),
    "an unknown kind": (lambda: codes_of(document([step("a", "teleport")])), "unknown_kind"),
    "two steps of one key": (lambda: codes_of(document([step("a"), step("a")])), "duplicate_key"),
    "malformed JSON": (lambda: json_code(b'{"a": '), "json_invalid"),
    "JSON 100,000 deep": (lambda: json_code(b"[" * 100_000 + b"]" * 100_000), "json_too_deep"),
    "a NUL character": (lambda: json_code(b'{"a": "\\u0000"}'), "text_invalid"),
}


def request_to(url: str) -> dict[str, Any]:
    return step("a", "http", config={"method": "GET", "url": url}, retry={"attempts": 1})


def failing(bomb: str) -> dict[str, tuple[dict[str, Any], str]]:
    """Drawings that may be published and must fail when they run."""
    return {
        "an endless expression": (
            step("a", config={"value": {"$": "[x for x in range(10**9) if x < 0]"}}, retry={"attempts": 1}),
            "expression_timeout",
        ),
        "a 10 GB expression": (step("a", config={"value": {"$": "'x' * 10**10"}}), "expression_memory"),
        "an endless script": (
            step("a", "script", config={"code": "while True:\n    pass"}, timeout="PT1S"),
            "expression_timeout",
        ),
        "a private address": (request_to("http://10.0.0.1/"), "egress_blocked"),
        "the machine itself": (request_to("http://127.0.0.1:5432/"), "url_port"),
        "a response bomb": (request_to(f"http://{bomb}/"), "response_too_large"),
    }


def test_each_is_refused_or_fails_while_others_finish(house: House, sandbox: Sandbox, bomb: str) -> None:
    house.workspace.allowed_hosts = [bomb]
    house.workspace.save()
    good = house.publish(document([step("a"), step("b"), step("z", "merge")], "a > z", "b > z"))
    tools = replace(make_tools(sandbox), http_for=http_for_workspaces())
    drawings = failing(bomb)
    with worker_at_work(tools, slots=8) as house.worker, keeper_at_work(house.worker.poke):
        others = [house.start(good) for _ in range(OTHERS)]
        bad = {name: house.start(house.publish(document([one]))) for name, (one, _) in drawings.items()}
        refused = {name: check() for name, (check, _) in REFUSED.items()}
        failed = {name: error(house.end_of(run, 40))["code"] for name, run in bad.items()}
        # On a busy machine the step's own clock may look before the sandbox's, which ends at the same second.
        if failed["an endless script"] == "timeout":
            failed["an endless script"] = "expression_timeout"
        ended = [house.end_of(run) for run in others]
    assert {name: code in refused[name] for name, (_, code) in REFUSED.items()} == dict.fromkeys(REFUSED, True), refused
    assert failed == {name: code for name, (_, code) in drawings.items()}
    assert {run.state for run in ended} == {"succeeded"}
