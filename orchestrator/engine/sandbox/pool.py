"""A pool of sandbox processes: warm sessions for expressions, a fresh session for each script."""

import json
import os
import threading
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Self

from pydantic_monty import Monty, MontyError, MontySession, OSPolicy, ResourceLimits

from orchestrator.core.json_types import Json
from orchestrator.core.references import ROOTS
from orchestrator.engine import metrics
from orchestrator.engine.sandbox.compiled import Compiled, compile_expression, compile_script
from orchestrator.engine.sandbox.faults import explain, unavailable, unusable
from orchestrator.engine.sandbox.printed import Printed, drop
from orchestrator.engine.sandbox.roots import is_small, projected, read_path

EXPRESSION_SECONDS = 0.25
EXPRESSION_MEGABYTES = 64
SCRIPT_SECONDS = 5.0
MOST_SCRIPT_SECONDS = 60.0
SCRIPT_MEGABYTES = 128
LARGEST_RESULT = 8_000_000  #: characters of JSON
#: The interpreter looks at its clock between operations; one huge operation is ended by killing the process this
#: many seconds after the limit.
KILL_AFTER = 0.15
#: Each evaluation leaves its text (about 0.3 kB) in the session; a used one is replaced.
EVALUATIONS_PER_SESSION = 2_000
SESSIONS_PER_PROCESS = 200
#: Without a bound on each exchange, a process that is stopped between two of them would be waited for forever.
EXCHANGE_MARGIN = 0.75
SCRIPT_EXCHANGE_SECONDS = MOST_SCRIPT_SECONDS + 1.0
CHECKOUT_SECONDS = 30.0

_NAMES = tuple(sorted(ROOTS))
_UNBOUND: dict[str, Json] = dict.fromkeys(_NAMES)
_PRELUDE = f"""
import json as _json
def _bind(text):
    global {", ".join(_NAMES)}
    {", ".join(_NAMES)} = _json.loads(text)
def _answer(value):
    return _json.dumps(value, allow_nan=False, separators=(",", ":"))
"""
# Sleeping is free of the execution clock, so it must not last.
_POLICY: OSPolicy = {"sleep": "zero"}


@dataclass(slots=True)
class _Warm:
    session: MontySession
    evaluations: int = 0


class Sandbox:
    """Implements `core.kinds.Evaluator`. Thread-safe. Starts processes at the first evaluation only.

    Args: `processes` for expressions, and as many more for scripts; `expression_seconds` of execution for each of them.
    The native pool does not live through a fork: a process that has evaluated something must not fork workers that
    evaluate too. Such a child is told so by a `RuntimeError` at once, instead of waiting forever.
    """

    def __init__(self, *, processes: int = 2, expression_seconds: float = EXPRESSION_SECONDS) -> None:
        self._processes = processes
        self._expression_seconds = expression_seconds
        self._expression_slots = threading.BoundedSemaphore(processes)
        self._script_slots = threading.BoundedSemaphore(processes)
        self._lock = threading.Lock()
        self._idle: list[_Warm] = []
        self._native: dict[float, Monty] = {}  # by the bound on each exchange: one for expressions, one for scripts
        self._closed = False

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def expression(self, source: str, roots: Mapping[str, Json]) -> Json:
        """Evaluate one expression within `expression_seconds` (0.25 s) and 64 MB. Raises `ExpressionFailed`."""
        compiled = compile_expression(source)
        if compiled.path is not None:
            return read_path(compiled.path, roots)
        values = projected(compiled.needs, roots)
        with metrics.evaluation("expression"), self._expression_slots:
            warm = self._take()
            try:
                answer = _feed(warm.session, compiled, values)
            except BaseException as error:
                # After an error nothing is certain about the session's heap.
                _leave(warm.session)
                if isinstance(error, MontyError):
                    last_line = compiled.text.count("\n") + 1
                    raise explain(error, self._expression_seconds, EXPRESSION_MEGABYTES, last_line) from error
                raise
            self._give_back(warm)
        return _result(answer)

    def script(
        self,
        source: str,
        roots: Mapping[str, Json],
        seconds: float = SCRIPT_SECONDS,
        log: Callable[[str], None] = lambda line: None,
    ) -> Json:
        """Run a script in a fresh session; the result is its last expression, or None. Raises `ExpressionFailed`.

        Args: `seconds` of execution (60 at most); `log` gets each printed line.
        """
        compiled = compile_script(source)
        inputs = projected({name: need for name, need in compiled.needs.items() if name in roots}, roots)
        seconds = min(max(seconds, 0.01), MOST_SCRIPT_SECONDS)
        printed = Printed(log)
        with metrics.evaluation("script"), self._script_slots:
            session = self._checkout(_limits(seconds, SCRIPT_MEGABYTES), "script", SCRIPT_EXCHANGE_SECONDS)
            try:
                answer = session.feed_run(compiled.text, inputs=dict(inputs), print_callback=printed)
            except MontyError as error:
                last_line = source.count("\n") + 1
                raise explain(error, seconds, SCRIPT_MEGABYTES, last_line) from error
            finally:
                _leave(session)
                printed.close()
        return _result(answer)

    def close(self) -> None:
        """Stop every process. What is being evaluated in other threads fails."""
        with self._lock:
            self._closed = True
            idle, self._idle = self._idle, []
            native, self._native = self._native, {}
        if _Process.started_in != os.getpid():
            return
        for warm in idle:
            _leave(warm.session)
        for pool in native.values():
            pool.__exit__(None, None, None)

    def _take(self) -> _Warm:
        with self._lock:
            if self._idle and _Process.started_in == os.getpid():
                return self._idle.pop()
        limits = _limits(self._expression_seconds, EXPRESSION_MEGABYTES)
        session = self._checkout(limits, "expression", self._expression_seconds + EXCHANGE_MARGIN)
        try:
            session.feed_run(_PRELUDE, print_callback=drop)
        except MontyError as error:
            _leave(session)
            raise unavailable() from error
        return _Warm(session)

    def _give_back(self, warm: _Warm) -> None:
        warm.evaluations += 1
        with self._lock:
            keep = not self._closed and warm.evaluations < EVALUATIONS_PER_SESSION
            if keep:
                self._idle.append(warm)
        if not keep:
            _leave(warm.session)

    def _checkout(self, limits: ResourceLimits, name: str, exchange: float) -> MontySession:
        session = self._started(exchange).checkout(limits=limits, script_name=name, os_policy=_POLICY)
        try:
            session.__enter__()
        except (MontyError, TimeoutError) as error:
            raise unavailable() from error
        return session

    def _started(self, exchange: float) -> Monty:
        with self._lock:
            if self._closed:
                raise RuntimeError("The sandbox is closed.")
            _Process.claim()
            if exchange not in self._native:
                native = Monty(
                    max_processes=self._processes,
                    checkout_timeout=CHECKOUT_SECONDS,
                    max_checkouts_per_worker=SESSIONS_PER_PROCESS,
                    feed_duration_limit_grace=KILL_AFTER,
                    request_timeout=exchange,
                )
                native.__enter__()
                self._native[exchange] = native
            return self._native[exchange]


class _Process:
    """Which process runs the native threads; there is one set of them for all sandboxes."""

    started_in: int | None = None

    @classmethod
    def claim(cls) -> None:
        if cls.started_in not in (None, os.getpid()):
            raise RuntimeError(
                "This process was forked from one that had used the sandbox. Fork first, evaluate later."
            )
        cls.started_in = os.getpid()


def _feed(session: MontySession, compiled: Compiled, values: Mapping[str, Json]) -> Any:
    bound = {**_UNBOUND, **values}
    if all(is_small(value) for value in values.values()):
        return session.feed_run(f"_answer(({compiled.text}\n))", inputs=bound, print_callback=drop)
    text = json.dumps([bound[name] for name in _NAMES])
    return session.feed_run(f"_bind(_text);_answer(({compiled.text}\n))", inputs={"_text": text}, print_callback=drop)


def _result(answer: object) -> Json:
    if not isinstance(answer, str):
        raise unusable("it is not JSON")
    if len(answer) > LARGEST_RESULT:
        raise unusable(f"it has {len(answer):,} characters as JSON, at most {LARGEST_RESULT:,} are kept")
    try:
        value: Json = json.loads(answer)
    except (ValueError, RecursionError) as error:
        raise unusable("it is not JSON") from error
    return value


def _limits(seconds: float, megabytes: int) -> ResourceLimits:
    return {"max_feed_duration_secs": seconds, "max_memory": megabytes * 2**20, "max_recursion_depth": 200}


def _leave(session: MontySession) -> None:
    with suppress(MontyError, RuntimeError):  # its process may be gone already
        session.__exit__(None, None, None)
