"""The processes of a sandbox: each text has one for itself, and one that dies or hangs is replaced."""

import os
import threading
from pathlib import Path

import psutil
import pytest

from orchestrator.core.errors import ExpressionFailed
from orchestrator.engine.sandbox import Sandbox
from tests.security.sandboxes import ROOTS, sandbox
from tests.waiting import wait_until

__all__ = ["sandbox"]


def test_nothing_is_left_for_the_next_script(sandbox: Sandbox) -> None:
    sandbox.script("leak = input.name\nimport json\n1", ROOTS)
    with pytest.raises(ExpressionFailed, match="leak"):
        sandbox.script("leak", {})
    with pytest.raises(ExpressionFailed):
        sandbox.script("input.name", {})


def test_nothing_is_left_for_the_next_expression(sandbox: Sandbox) -> None:
    """Workspaces share warm sessions: what is not given must not be there, not even as a rest."""
    assert sandbox.expression("input.name + '!'", ROOTS) == "ann!"
    assert sandbox.expression("input.get('name', 'nobody')", {"input": {}}) == "nobody"
    assert sandbox.expression("[input for i in [1]]", {"input": {"rows": [1] * 500}}) != [ROOTS["input"]]
    with pytest.raises(ExpressionFailed, match="not known here"):
        sandbox.expression("len(steps)", {"input": {}})


def test_many_threads_get_their_own_answers(sandbox: Sandbox) -> None:
    wrong: list[object] = []

    def ask(number: int) -> None:
        for turn in range(50):
            value = sandbox.expression("[input.n, input.n + 1]", {"input": {"n": number * 1000 + turn}})
            if value != [number * 1000 + turn, number * 1000 + turn + 1]:
                wrong.append(value)

    threads = [threading.Thread(target=ask, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=30)
    assert wrong == []


def test_a_stuck_expression_does_not_stop_the_others(sandbox: Sandbox) -> None:
    failures: list[str] = []

    def stuck() -> None:
        try:
            sandbox.expression("sum(range(10**9))", ROOTS)
        except ExpressionFailed as failed:
            failures.append(failed.error_code)

    thread = threading.Thread(target=stuck)
    thread.start()
    assert sandbox.expression("input.n + 1", ROOTS) == 4
    thread.join(timeout=10)
    assert failures == ["expression_timeout"]


def test_it_starts_late_and_leaves_no_process() -> None:
    before = set(psutil.Process().children())
    sandbox = Sandbox()
    assert sandbox.expression("input.n", ROOTS) == 3  # a plain path needs no interpreter
    assert started_since(before) == []
    sandbox.expression("input.n + 1", ROOTS)
    started = started_since(before)
    assert started
    sandbox.close()
    wait_until(lambda: not any(child.is_running() for child in started), 5, "the sandbox processes to end")
    with pytest.raises(RuntimeError, match="closed"):
        sandbox.expression("input.n + 1", ROOTS)


def test_a_killed_process_is_replaced() -> None:
    before = set(psutil.Process().children())
    with Sandbox(processes=1) as sandbox:
        sandbox.expression("input.n + 1", ROOTS)
        for child in started_since(before):
            child.kill()
            child.wait(5)
        outcomes = []
        for _ in range(2):
            try:
                outcomes.append(sandbox.expression("input.n + 1", ROOTS))
            except ExpressionFailed as failed:
                outcomes.append(failed.error_code)
        assert outcomes[-1] == 4


def test_a_stopped_process_is_killed_by_the_watchdog() -> None:
    before = set(psutil.Process().children())
    with Sandbox(processes=1) as sandbox:
        sandbox.expression("input.n + 1", ROOTS)
        stopped = started_since(before)
        for child in stopped:
            child.suspend()
        wait_until(lambda: stopped and all(is_stopped(child.pid) for child in stopped), 5, "every thread to stop")
        with pytest.raises(ExpressionFailed) as caught:
            sandbox.expression("input.n + 1", ROOTS)
        assert caught.value.error_code == "expression_timeout"
        assert sandbox.expression("input.n + 1", ROOTS) == 4


def started_since(before: set[psutil.Process]) -> list[psutil.Process]:
    """The children that this process has got since. Theirs are no sandboxes: PostgreSQL starts and ends its own."""
    return [child for child in psutil.Process().children() if child not in before]


def is_stopped(pid: int) -> bool:
    """Whether the signal has reached every thread: until then one of them may still answer."""
    threads = Path(f"/proc/{pid}/task").iterdir()
    return all((thread / "stat").read_text().rpartition(")")[2].split()[0] == "T" for thread in threads)


def test_a_forked_process_is_told_instead_of_waiting_forever(sandbox: Sandbox) -> None:
    sandbox.expression("input.n + 1", ROOTS)
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            sandbox.expression("input.n + 1", ROOTS)
        except RuntimeError as error:
            os.write(writing, str(error).encode())
        finally:
            os._exit(0)
    os.close(writing)
    with os.fdopen(reading) as pipe:
        assert "forked" in pipe.read()
    os.waitpid(child, 0)
    assert sandbox.expression("input.n + 1", ROOTS) == 4
