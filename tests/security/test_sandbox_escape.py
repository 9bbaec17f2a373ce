"""S1: a text that users write never becomes code in our processes.

The attack strings are those that worked on other products (n8n CVE-2025-68613 and -2026-1470, Conductor
CVE-2026-58138, Python nodes CVE-2025-68668, -2026-0863, -2026-49444), and the classics of Python sandboxes.
"""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from orchestrator.core.errors import ExpressionFailed
from orchestrator.core.json_text import check_json
from orchestrator.engine.sandbox import Sandbox, evaluate_value
from tests.security.sandboxes import ROOTS, sandbox

if TYPE_CHECKING:
    from orchestrator.core.json_types import Json

__all__ = ["sandbox"]


CANARY = "a value that only this process knows"


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
