"""S1: a text that users write is bounded in time and memory."""

import time

import psutil
import pytest

from orchestrator.core.errors import ExpressionFailed
from orchestrator.engine.sandbox import Sandbox
from tests.security.sandboxes import HANGS, ROOTS, patient_sandbox, sandbox

__all__ = ["patient_sandbox", "sandbox"]


COSTLY = [
    ("sum(range(10**9))", "expression_timeout"),
    ("[0 for a in range(10**9) if False]", "expression_timeout"),
    ("(10**20000000) % 7", "expression_timeout"),  # one operation that looks at no clock: the process is killed
    ("(lambda f: f(f))(lambda f: f(f))", "expression_failed"),  # recursion
    ("[[1] * 10] * 10 and [[[[[[[[[1] * 10] * 10] * 10] * 10] * 10] * 10] * 10] * 10] * 10", None),
    ("(" * 150 + "1" + ")" * 150, None),
    ("-" * 3000 + "1", "expression_invalid"),
    ("1" + "+1" * 2000, "expression_invalid"),
    ("input" + "['a']" * 800, "expression_invalid"),
    ("x" * 5000, "expression_invalid"),
    ("'a' * 9000000", "expression_failed"),  # 8 MB of JSON at most
    ("2 ** 100000", "expression_failed"),  # more than 4,300 digits
]


@pytest.mark.parametrize(("source", "code"), COSTLY, ids=[source[:40] for source, _ in COSTLY])
def test_a_costly_expression_ends_in_time_and_harms_nobody(sandbox: Sandbox, source: str, code: str | None) -> None:
    before = psutil.Process().memory_info().rss
    start = time.perf_counter()
    try:
        sandbox.expression(source, ROOTS)
        ended = None
    except ExpressionFailed as failed:
        ended = failed.error_code
    assert time.perf_counter() - start < HANGS
    assert code is None or ended == code
    assert sandbox.expression("input.n + 1", ROOTS) == 4
    assert psutil.Process().memory_info().rss - before < 150_000_000


MEMORY_BOMBS = [
    "max(map(lambda x: x % 7, range(10**9)))",  # `map` keeps what it has made
    "'x' * 10**10",
    "[0] * 10**9",
    "list(range(10**9))",
    "10**10**8",
    "9**9**9**9",
    "1 << 10**10",
    "'%1000000000d' % 1",
    "f'{1:1000000000}'",
    "('ab' * 10**6).replace('a', 'b' * 1000)",
]


@pytest.mark.parametrize("source", MEMORY_BOMBS)
def test_what_would_fill_the_memory_is_ended_by_that_limit(patient_sandbox: Sandbox, source: str) -> None:
    before = psutil.Process().memory_info().rss
    with pytest.raises(ExpressionFailed) as caught:
        patient_sandbox.expression(source, ROOTS)
    assert caught.value.error_code == "expression_memory"
    assert patient_sandbox.expression("input.n + 1", ROOTS) == 4
    assert psutil.Process().memory_info().rss - before < 150_000_000


@pytest.mark.parametrize("levels", [4, 6, 8])
def test_combinatorial_work_is_refused(sandbox: Sandbox, levels: int) -> None:
    source = "[" * levels + "1" + "".join(f" for x{level} in range(10)]" for level in range(levels))
    with pytest.raises(ExpressionFailed) as caught:
        sandbox.expression(source, ROOTS)
    assert caught.value.error_code == "comprehension_too_deep"


def test_combinatorial_work_by_functions_is_stopped(sandbox: Sandbox) -> None:
    source = "1"
    for _ in range(8):
        source = f"list(map(lambda x: {source}, range(10)))"
    with pytest.raises(ExpressionFailed) as caught:
        sandbox.expression(source, ROOTS)
    assert caught.value.error_code in {"expression_timeout", "expression_memory"}


HOSTILE_SCRIPTS = [
    ("while True: pass", "expression_timeout"),
    ("try:\n    while True: pass\nexcept BaseException:\n    1", "expression_timeout"),
    ("import time\nwhile True: time.sleep(10)", None),
    ("x = 'x'\nwhile True: x += x", None),
    ("def f(): return f()\nf()", "expression_failed"),
    ("import re\nre.match('(a+)+$', 'a' * 40 + 'b') is None", None),
    ("import re\nre.match('(.*a){25}$', 'a' * 60 + 'b') is None", None),
    ("while True: print('x' * 1000)", None),
    ("x = []\nx.append(x)\nx", "expression_failed"),
    ("x = []\nfor i in range(100000): x = [x]\nx", "expression_failed"),
]


@pytest.mark.parametrize(("script", "code"), HOSTILE_SCRIPTS, ids=[script[:40] for script, _ in HOSTILE_SCRIPTS])
def test_a_hostile_script_ends_in_time(sandbox: Sandbox, script: str, code: str | None) -> None:
    lines: list[str] = []
    start = time.perf_counter()
    try:
        sandbox.script(script, ROOTS, seconds=0.3, log=lines.append)
        ended = None
    except ExpressionFailed as failed:
        ended = failed.error_code
    assert time.perf_counter() - start < HANGS
    assert code is None or ended == code
    assert len(lines) <= 201
    assert all(len(line) <= 16_000 for line in lines)
