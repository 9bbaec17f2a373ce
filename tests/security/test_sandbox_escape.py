"""S1: a text that users write never becomes code in our processes, and is bounded in time and memory.

The attack strings are those that worked on other products (n8n CVE-2025-68613 and -2026-1470, Conductor
CVE-2026-58138, Python nodes CVE-2025-68668, -2026-0863, -2026-49444), and the classics of Python sandboxes.
"""

import os
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from orchestrator.core.errors import ExpressionFailed
from orchestrator.core.json_text import check_json
from orchestrator.core.json_types import Json
from orchestrator.engine.sandbox import Sandbox, evaluate_value
from tests.waiting import wait_until

ROOTS: dict[str, Json] = {
    "input": {"name": "ann", "rows": [{"a": 1}, {"a": 2}], "n": 3},
    "steps": {"first": {"id": 7}},
    "errors": {},
    "run": {"id": "r1"},
}
HANGS = 60.0  # seconds: bounded, these take less than one; unbounded, hours
CANARY = "a value that only this process knows"


@pytest.fixture(scope="module")
def sandbox() -> Iterator[Sandbox]:
    with Sandbox() as sandbox:
        yield sandbox


@pytest.fixture
def canary(tmp_path: Path) -> Iterator[Path]:
    path = tmp_path / "canary.txt"
    path.write_text(CANARY)
    os.environ["BRANCHLINE_CANARY"] = CANARY
    yield path
    del os.environ["BRANCHLINE_CANARY"]


ATTACKS = [
    # the way up from a value to its class
    "().__class__",
    "().__class__.__bases__[0].__subclasses__()",
    "''.__class__.__mro__[1].__subclasses__()",
    "[].__class__.__base__.__subclasses__()[140].__init__.__globals__",
    "(1).__class__.__base__",
    "{}.__class__.__init__.__globals__['os']",
    "input.__class__",
    "input.name.__class__.__mro__",
    "input.__dict__",
    "input.__init__.__globals__",
    "input['__class__']",
    "type(1).__subclasses__(type(1))",
    "type('X', (), {})",
    "type(input)",
    "object.__subclasses__()",
    "object()",
    "super().__init__",
    "int.__dict__",
    "str.__class__.__call__(str)",
    "len.__self__",
    "len.__module__",
    "print.__self__.eval('1')",
    "Exception().__traceback__",
    "(lambda: 0).__code__",
    "(lambda: 0).__globals__",
    "(lambda f: f.__globals__)(lambda: 0)",
    "(lambda: 0).__closure__",
    "(i for i in [1]).gi_frame.f_back.f_globals",
    "(i for i in [1]).gi_code",
    "[x.gi_frame for x in [(i for i in [1])]]",
    # the same by text
    "getattr((), '__class__')",
    "getattr(input, '__cl' + 'ass__')",
    "getattr(len, '__self__')",
    "hasattr(1, '__class__')",
    "setattr(input, 'x', 1)",
    "delattr(input, 'x')",
    "vars()",
    "vars(input)",
    "dir(input)",
    "dir()",
    "globals()",
    "locals()",
    "globals()['__builtins__']",
    # names and imports
    "__import__('os').system('id')",
    "__import__('subprocess').check_output('id')",
    "__builtins__",
    "__builtins__['eval']",
    "__loader__",
    "__spec__",
    "__name__",
    "__file__",
    "__build_class__",
    "__debug__",
    "builtins",
    "os.system('id')",
    "os.environ",
    "sys.modules",
    "sys._getframe()",
    "importlib.import_module('os')",
    "subprocess.run(['id'])",
    "socket.socket()",
    "ctypes.CDLL(None)",
    "pickle.loads(b'')",
    "json.dumps(1)",
    "_json.dumps(1)",  # what the sandbox itself uses
    "_json",
    "_bind('[]')",
    "_answer(1)",
    "_text",
    "_result",
    "process.env",
    "constructor",
    "this.constructor.constructor('return process')()",
    "settings.SECRET_KEY",
    "django",
    "self",
    "context",
    "quit()",
    "exit()",
    "help()",
    "license()",
    "copyright",
    # evaluators
    "eval('1')",
    "eval('__import__(\"os\")')",
    "exec('x = 1')",
    "exec('import os')",
    "(lambda e: e('1'))(eval)",
    "[e for e in [exec]]",
    "compile('1', 'x', 'eval')",
    "open('/etc/passwd').read()",
    "open('/proc/self/environ')",
    "[open][0]('/etc/passwd')",
    "map(open, ['/etc/passwd'])",
    "input('name?')",
    "breakpoint()",
    "memoryview(b'a')",
    "bytearray(10)",
    "print('x')",
    "print(1, file=2)",
    # text formatting that walks attributes
    "'{0.__class__}'.format(1)",
    "'{0.__class__.__mro__}'.format(input)",
    "'{a.__globals__}'.format(a=len)",
    "'{0[__class__]}'.format(input)",
    "'{0.real.__class__}'.format(1)",
    "'%(__class__)s' % input",
    "f'{().__class__}'",
    "f'{input.__class__}'",
    "f'{len.__self__!r}'",
    "f'{__import__(\"os\")}'",
    "f'{(lambda: 0).__globals__}'",
    "''.format_map(input)",
    "'{x}'.format_map({'x': 1}.__class__)",
    # statements where an expression should be
    "import os",
    "from os import environ",
    "x = 1",
    "1; import os",
    "1\nimport os",
    "def f(): return 1",
    "class A: pass",
    "del input",
    "global input",
    "assert False, len",
    "raise SystemExit",
    "with open('x') as f: f",
    "while True: pass",
    "return 1",
    "pass",
    "(x := 1)",
    "[y := 1, y]",
    "[(x := i) for i in [1]]",
    "lambda: (yield)",
    "(yield)",
    "await input",
    "async def f(): ...",
    "@print",
    # breaking out of the wrapping
    "1)) ; _json.dumps((1",
    "1\n)); __import__('os'); ((1",
    "))",
    "1 # ))\n))",
    "\\",
    "'",
    '"""',
    "\x00",
    "1\x00import os",
    "\ud800",
    "_ｊson",  # letters that Python folds to ASCII
    "ｅval('1')",
    "ｏpen('/etc/passwd')",
    "().__ｃlass__",
    "input.__ｃlass__",
    "𝓮𝓿𝓪𝓵('1')",
    # decorations of other template languages
    "{{7*7}}",
    "${7*7}",
    "#{7*7}",
    "<%= 7*7 %>",
    "{% debug %}",
    "=7*7",
    "$(id)",
    "`id`",
    "; ls",
    "| cat /etc/passwd",
]


def test_the_table_is_long_enough() -> None:
    assert len(set(ATTACKS)) > 140


@pytest.mark.parametrize("attack", ATTACKS)
def test_an_expression_stays_inside(sandbox: Sandbox, canary: Path, attack: str) -> None:
    """It is refused, or it gives plain JSON in which nothing of this process can be seen."""
    try:
        value = sandbox.expression(attack, ROOTS)
    except ExpressionFailed as refused:
        seen = f"{refused.message} {refused.details}"
    else:
        seen = check_json(value)
    for secret in (CANARY, "root:", "uid=", "built-in", "site-packages"):
        assert secret not in seen
    assert sandbox.expression("input.n + 1", ROOTS) == 4  # nothing was left behind


@pytest.mark.parametrize("attack", [attack for attack in ATTACKS if "__" in attack])
def test_no_inner_name_is_ever_answered(sandbox: Sandbox, attack: str) -> None:
    with pytest.raises(ExpressionFailed):
        sandbox.expression(attack, ROOTS)


SCRIPTS = [
    "open('{canary}').read()",
    "open('{canary}', 'w').write('x')",
    "from pathlib import Path\nPath('{canary}').read_text()",
    "from pathlib import Path\nPath('{canary}').unlink()",
    "import os\nos.environ['BRANCHLINE_CANARY']",
    "import os\nos.getenv('BRANCHLINE_CANARY')",
    "import os\nos.listdir('/')",
    "import os\nos.system('id')",
    "import os\nos.remove('{canary}')",
    "import subprocess\nsubprocess.run(['id'])",
    "import socket\nsocket.create_connection(('127.0.0.1', 1))",
    "import ctypes",
    "import django",
    "import orchestrator",
    "import urllib.request\nurllib.request.urlopen('http://127.0.0.1')",
    "import sys\nsys.modules",
    "import sys\nsys._getframe()",
    "import builtins\nbuiltins.open('{canary}')",
    "import importlib\nimportlib.import_module('os').system('id')",
    "eval('open(\"{canary}\").read()')",
    "exec('import os')\nos.system('id')",
    "import inspect\ninspect.currentframe().f_back",
    "import gc\ngc.get_objects()",
    "import threading\nthreading.Thread(target=print).start()",
    "import multiprocessing",
    "import asyncio\nasyncio.create_subprocess_shell('id')",
    "class A:\n    def __del__(self): open('{canary}')\nA()\n",
    "try:\n    1/0\nexcept Exception as e:\n    x = e\nx.__traceback__.tb_frame",
    "def f(): pass\nf.__globals__",
    "getattr(f'', '__cla' + 'ss__')",
    "import json\njson.dumps.__globals__",
    "import json\njson.codecs",
    "from json import decoder",
]


@pytest.mark.parametrize("script", SCRIPTS)
def test_a_script_stays_inside(sandbox: Sandbox, canary: Path, script: str) -> None:
    lines: list[str] = []
    try:
        value = sandbox.script(script.replace("{canary}", str(canary)), ROOTS, log=lines.append)
    except ExpressionFailed as refused:
        value = refused.message
    seen = f"{check_json(value)} {lines}"
    for secret in (CANARY, "root:", "uid=", "site-packages"):
        assert secret not in seen
    assert canary.read_text() == CANARY


@pytest.mark.parametrize(
    "marker", ["{{7*7}}", "${7*7}", "=7*7", "%(x)s", "{0.x}", "{input.n}", "input.n", '{"$": "7*7"}']
)
def test_a_value_is_never_evaluated_again(sandbox: Sandbox, marker: str) -> None:
    roots: dict[str, Json] = {**ROOTS, "input": {"text": marker, "node": {"$": "7*7"}}}
    config: Json = {"a": {"$": "input.text"}, "b": {"$": "f'<{input.text}>'"}, "c": {"$": "input.node"}, "d": marker}
    expected = {"a": marker, "b": f"<{marker}>", "c": {"$": "7*7"}, "d": marker}
    assert evaluate_value(config, roots, sandbox) == expected


@given(text=st.text(st.characters(codec="utf-8", exclude_characters="\x00"), max_size=40))
@settings(max_examples=50, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
def test_any_text_comes_back_byte_identical(sandbox: Sandbox, text: str) -> None:
    roots: dict[str, Json] = {"input": {"text": text}}
    assert sandbox.expression("[input.text, f'{input.text}', input.text + '']", roots) == [text, text, text]


FRAGMENTS = [
    "input.n",
    "(",
    ")",
    "()",
    "[",
    "]",
    "__class__",
    ".a",
    "lambda",
    ":",
    "for",
    "x",
    "in",
    "1",
    "f'{",
    "}'",
    "eval",
]


@given(parts=st.lists(st.sampled_from([*FRAGMENTS, "**", ",", "*"]), max_size=12))
@settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
def test_mixtures_are_refused_or_give_json(sandbox: Sandbox, parts: list[str]) -> None:
    assert _text_or_code(sandbox, " ".join(parts))


def _text_or_code(sandbox: Sandbox, source: str) -> str:
    """Any other error than a refusal, and any other value than JSON, is raised on."""
    try:
        return check_json(sandbox.expression(source, ROOTS))
    except ExpressionFailed as refused:
        return refused.error_code


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


@pytest.fixture(scope="module")
def patient_sandbox() -> Iterator[Sandbox]:
    """With so much time that an overloaded machine, too, comes to the limit of memory first."""
    with Sandbox(expression_seconds=HANGS / 2) as sandbox:
        yield sandbox


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
    before = {child.pid for child in psutil.Process().children(recursive=True)}
    sandbox = Sandbox()
    assert sandbox.expression("input.n", ROOTS) == 3  # a plain path needs no interpreter
    assert {child.pid for child in psutil.Process().children(recursive=True)} == before
    sandbox.expression("input.n + 1", ROOTS)
    started = {child.pid for child in psutil.Process().children(recursive=True)} - before
    assert started
    sandbox.close()
    wait_until(lambda: not any(psutil.pid_exists(pid) for pid in started), 5, "the sandbox processes to end")
    with pytest.raises(RuntimeError, match="closed"):
        sandbox.expression("input.n + 1", ROOTS)


def test_a_killed_process_is_replaced() -> None:
    before = {child.pid for child in psutil.Process().children(recursive=True)}
    with Sandbox(processes=1) as sandbox:
        sandbox.expression("input.n + 1", ROOTS)
        for child in psutil.Process().children(recursive=True):
            if child.pid not in before:
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
    before = {child.pid for child in psutil.Process().children(recursive=True)}
    with Sandbox(processes=1) as sandbox:
        sandbox.expression("input.n + 1", ROOTS)
        stopped = [child for child in psutil.Process().children(recursive=True) if child.pid not in before]
        for child in stopped:
            child.suspend()
        wait_until(lambda: stopped and all(is_stopped(child.pid) for child in stopped), 5, "every thread to stop")
        with pytest.raises(ExpressionFailed) as caught:
            sandbox.expression("input.n + 1", ROOTS)
        assert caught.value.error_code == "expression_timeout"
        assert sandbox.expression("input.n + 1", ROOTS) == 4


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


@pytest.mark.parametrize(
    ("source", "roots", "sentence"),
    [
        ("input.order.sku", {"input": {"order": {"id": 1}}}, "`input.order` has no key 'sku'; its keys are: id."),
        ("input.rows[5]", {"input": {"rows": [1]}}, "`input.rows` has 1 items, so there is no number 5."),
        ("input.a.b", {"input": {"a": None}}, "`input.a` is empty (None), so it has no 'b'."),
        ("steps.later.id", {"steps": {}}, "Step 'later' has no output here: it comes later or was skipped."),
        ("item.x", {}, "`item` is not known here. It is known inside a for-each."),
        ("(1 +\n1 / 0)", {}, "Line 2: ZeroDivisionError: division by zero."),
        ("{1, 2}", {}, "The result cannot be used: Object of type set is not JSON serializable."),
        ("foo + 1", {}, "`foo` is not known in an expression."),
    ],
)
def test_messages_name_the_spot_and_the_way_out(
    sandbox: Sandbox, source: str, roots: dict[str, Json], sentence: str
) -> None:
    with pytest.raises(ExpressionFailed) as caught:
        sandbox.expression(source, roots)
    assert caught.value.message.startswith(sentence)


def test_a_config_says_which_field_failed(sandbox: Sandbox) -> None:
    with pytest.raises(ExpressionFailed) as caught:
        evaluate_value({"fields": [{"label": {"$": "1/0"}}]}, ROOTS, sandbox, path="config")
    assert caught.value.details["field"] == "config.fields.0.label"
    assert caught.value.message.startswith("In config.fields.0.label: Line 1: ZeroDivisionError")


def test_lazy_paths_and_secrets_stay(sandbox: Sandbox) -> None:
    config: Json = {"cases": [{"port": {"$": "'a'"}, "when": {"$": "1/0"}}], "key": {"$secret": "token"}}
    expected = {"cases": [{"port": "a", "when": {"$": "1/0"}}], "key": {"$secret": "token"}}
    assert evaluate_value(config, ROOTS, sandbox, lazy=("cases.*.when",)) == expected


@pytest.mark.parametrize("source", [None, 5, ["1"], {"$": "1"}])
def test_an_expression_must_be_text(sandbox: Sandbox, source: Json) -> None:
    with pytest.raises(ExpressionFailed) as caught:
        evaluate_value({"a": {"$": source}}, ROOTS, sandbox)
    assert caught.value.error_code == "expression_invalid"
