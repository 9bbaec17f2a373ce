"""One lane of a for-each in a slot: quick items are done here, one after another, and stored in batches.

An item whose body waits, branches, must be tried again or takes its time leaves the lane: it goes on by tokens of its
own, and the lane waits for its end. A crash repeats only what was not stored yet. In a run that stops the item in hand
becomes an attempt of its own: should it not end in time, the log says so, as of any other step.
"""

import json
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import timedelta
from random import random
from typing import Any

from orchestrator.core.advance import Signal
from orchestrator.core.errors import JsonInvalid
from orchestrator.core.outcome import Fail, Outcome, StepFault
from orchestrator.core.settle import Settlement, Tries, settle
from orchestrator.engine import metrics, observe, statements
from orchestrator.engine.attempt import Attempt
from orchestrator.engine.database import AWAY, TRY_AGAIN
from orchestrator.engine.items import fault_as_json, log_attempt, starts_as_json
from orchestrator.engine.lease import Lease
from orchestrator.engine.perform import Prepared, unexpected
from orchestrator.engine.plans import VersionFacts
from orchestrator.engine.values import Packed

BATCH = 64  # rows in one call; `branchline_begun_until` counts on it
PACE = 0.2  # seconds that an ended item, or step of an item, may wait to be stored

Leave = dict[str, Any]


@dataclass(slots=True)
class _Buffer:
    """What has ended since the last call."""

    rows: list[dict[str, Any]] = field(default_factory=list)
    payloads: list[dict[str, Any]] = field(default_factory=list)
    #: what is told once it is stored
    ends: list[observe.End] = field(default_factory=list)
    ok: int = 0
    fail: int = 0


@dataclass(slots=True)
class _Item:
    """One item under way. `prev` is the place (from 1) of its last row in the buffer."""

    index: int
    lease: Lease
    signals: list[int] = field(default_factory=list)
    prev: int | None = None
    began: float = 0.0


class Lane:
    """`prepare(facts, lease, stop)` is the worker's, as is `stopping`; `heed(deadline)` has a handler watched. `run`
    returns the queues to wake.
    """

    def __init__(
        self,
        pool: Any,
        session_id: int,
        prepare: Any,
        facts: VersionFacts,
        attempt: Attempt,
        stopping: threading.Event,
        heed: Callable[[float], None],
    ) -> None:
        self._pool = pool
        self._session_id = session_id
        self._prepare = prepare
        self._facts = facts
        self._attempt = attempt
        self._stopping = stopping
        self._heed = heed
        self._lease = lease = attempt.lease
        self._body = facts.plan.bodies[lease.node]
        self._epoch = lease.epoch
        signal = lease.signal or {}
        self._at, self._to = signal["lo"], signal["hi"]
        self._buffer = _Buffer()
        self._item: _Item | None = None
        # The watch may give up the handler under way, and must not meet what comes after it.
        self._deciding = threading.Lock()
        self._stored_at = time.monotonic()
        self._is_lost = False
        #: What the item in hand became when the run was stopped, and how its handler has answered since.
        self.alone: Attempt | None = None
        self.answer: tuple[Outcome, Prepared] | None = None
        # One of the items may be what kills workers, or cannot be stored: find it by storing each alone.
        self._batch = BATCH if lease.lost == 0 else 1
        if "state" in signal:
            self._count(failed=signal["state"] == "failed")

    def run(self) -> list[str]:
        """Work until the lane ends, waits or the worker stops. Raises what the database raises."""
        observe.in_lane(lambda: self._lease if self._item is None else self._item.lease, self._facts)
        if self._lease.verdict == "U":
            self._give_up_item()
        while True:
            leave = self._work()
            if self._attempt.is_settled():
                return []
            row = self._flush(leave)
            if row["status"] != "go":
                return [queue for queue in row["queues"] or [] if queue]
            if self._must_stop():
                return self._hand_back()

    def settle_late(self) -> bool:
        """Decide the end of the handler under way, if it still is and takes too long."""
        with self._deciding:
            deadline = self._attempt.deadline
            return deadline is not None and time.monotonic() > deadline and self._attempt.settle()

    def overstayed(self) -> list[str]:
        """The handler under way takes too long: its item leaves, and ends elsewhere as timed out."""
        assert self._item is not None
        token = {**self._left(self._item), "verdict": "T"}
        row = self._flush({"index": self._item.index + 1, "token": token, "sig": self._item.signals})
        return [queue for queue in row["queues"] or [] if queue]

    def let_go(self, put: Callable[[Attempt], None]) -> None:
        """The lane is to stop: have `put` the handler under way, if there is one, as the attempt of its item alone.

        Nothing happens where the run goes on, or the lane is somebody else's by now. Raises what the database raises.
        """
        with self._deciding:
            deadline, item = self._attempt.deadline, self._item
            if deadline is None or item is None or self._is_lost or self._attempt.is_settled():
                return
            row = self._held_alone(item)
            if row["status"] != "held_alone" or not self._attempt.settle():
                return
            buffer, self._buffer = self._buffer, _Buffer()
            observe.lane_stored(self._facts, buffer.ends)
            spent = (item.lease.started_at - self._lease.started_at).total_seconds()
            self.alone = Attempt(
                lease=replace(item.lease, epoch=row["epoch"]),
                began=self._attempt.began + spent,
                deadline=deadline,
                thread_id=self._attempt.thread_id,
                stop=self._attempt.stop,
            )
            put(self.alone)

    def _held_alone(self, item: _Item) -> dict[str, Any]:
        began = (item.lease.started_at - self._lease.started_at).total_seconds()
        left = self._left(item)
        hold = {"index": item.index + 1, "began": began} | {key: left[key] for key in ("node", "timeout", "prev")}
        self._attempt.calls += 1
        row = self._stored(self._call_with(self._buffer, hold=hold))
        if row["status"] != "held_alone":
            self._attempt.calls -= 1  # it has used no epoch up
            self._is_lost = row["status"] == "fenced"
        return row

    # --- Items --------------------------------------------------------------------------------------------------------

    def _work(self) -> Leave | None:
        """Do items until some must be stored; what leaves the lane, if anything does."""
        while self._at < self._to and not self._must_stop():
            if not self._body.in_hand or self._lease.queue_limit_id is not None:
                return {"index": self._at + 1, "starts": starts_as_json(self._facts.plan, self._body.starts)}
            leave = self._do(self._at)
            if leave is not None or self._attempt.is_settled():
                return leave
            if len(self._buffer.rows) >= self._batch or time.monotonic() - self._stored_at >= PACE:
                break
        return None

    def _must_stop(self) -> bool:
        return self._stopping.is_set() or self._attempt.stop.is_set()

    def _do(self, index: int) -> Leave | None:
        began = self._elapsed()
        self._item = item = _Item(index, self._at_step(index, self._body.starts[0], began), began=began)
        while True:
            if item.lease.run.trace is not None:
                observe.at_work(item.lease, observe.key_of(self._facts, item.lease))
            ready = self._ready(item.lease)
            if isinstance(ready, Prepared) and ready.is_async:
                # Not so when this was published. The event loop is no place for a lane.
                return {"index": index + 1, "token": {**self._left(item), "attempt": 0}, "sig": item.signals}
            outcome = self._call(ready) if isinstance(ready, Prepared) else ready
            if self._attempt.is_settled():
                if self.alone is not None and isinstance(ready, Prepared):
                    self.answer = outcome, ready
                return None  # too late: the item has left without us
            settled = self._settled(item, outcome, ready if isinstance(ready, Prepared) else None, began)
            if settled.then == "retry":
                token = {**self._left(item), "delay": settled.delay, "waiting": settled.waiting}
                return {"index": index + 1, "token": token, "sig": item.signals}
            item.signals += settled.effects.flat()
            if not settled.effects.starts:
                failed = any(signal is Signal.FAIL for _, _, signal in settled.effects.signals)
                self._count(failed=failed)
                return None
            began = self._elapsed()
            item.lease = self._at_step(index, settled.effects.starts[0], began, item.lease)
            if self._must_stop() or began - item.began >= PACE:
                # What has ended is stored; the next step begins by a token, so not in a run that was stopped since.
                token = {**self._left(item), "attempt": 0, "began": None}
                return {"index": index + 1, "token": token, "sig": item.signals}

    def _count(self, *, failed: bool) -> None:
        self._buffer.fail += failed
        self._buffer.ok += not failed
        self._at += 1

    def _at_step(self, index: int, node: int, began: float, before: Lease | None = None) -> Lease:
        now = self._lease.started_at + timedelta(seconds=began)
        seen = {} if before is None else before.seen
        return replace(
            self._lease, seen=seen, node=node, scope_id=self._lease.scope_id + index + 1, attempt=1, lost=0, phase=0,
            verdict="", started_at=now, first_started_at=now, waiting=None, signal=None,
        )  # fmt: skip

    def _ready(self, lease: Lease) -> Prepared | Outcome:
        try:
            ready: Prepared | Outcome = self._prepare(self._facts, lease, self._attempt.stop)
        except AWAY:
            raise  # the lane is lost, and goes on where it last stored something
        except Exception as error:
            return unexpected(error)
        return ready

    def _call(self, ready: Prepared) -> Outcome:
        self._attempt.deadline = deadline = time.monotonic() + ready.context.timeout
        self._heed(deadline)
        try:
            outcome: Outcome = ready.call()
        except Exception as error:
            ready.context.note(error)
            outcome = unexpected(error)
        with self._deciding:
            self._attempt.deadline = None
        return outcome

    def _settled(self, item: _Item, outcome: Outcome, ready: Prepared | None, began: float) -> Settlement:
        node, ended = item.lease.node, self._elapsed()
        tries = Tries(attempt=1, spent=ended - began, draw=random())
        try:
            settled = settle(self._facts.plan, node, outcome, tries)
            row = self._row(item, settled, ready, began, ended)
        except JsonInvalid as error:
            refused = Fail(
                StepFault(code=error.error_code, message=f"The step's output cannot be stored: {error.message}")
            )
            settled = settle(self._facts.plan, node, refused, tries)
            row = self._row(item, settled, ready, began, ended)
        self._buffer.rows.append(row)
        self._buffer.ends.append((item.lease, settled, ended - began))
        item.prev = len(self._buffer.rows)
        fault = None if settled.fault is None else fault_as_json(settled.fault)
        item.lease.seen[node] = (settled.output, fault)
        return settled

    def _row(
        self, item: _Item, settled: Settlement, ready: Prepared | None, began: float, ended: float
    ) -> dict[str, Any]:
        packed = Packed({"node": item.lease.node, "index": item.index + 1, "attempt": 1, "final": settled.then == "go"})
        packed.item |= {"began": began, "ended": ended, "prev": item.prev}
        log_attempt(packed, self._facts.plan, item.lease.node, settled, None if ready is None else ready.config)
        if ready is not None and ready.context.log.lines:
            packed.item["log"] = ready.context.log.lines
        self._buffer.payloads += packed.payloads
        return packed.item

    def _left(self, item: _Item) -> dict[str, Any]:
        step = self._facts.plan.steps[item.lease.node]
        return {"node": step.node, "attempt": 1, "timeout": step.timeout, "prev": item.prev, "began": item.began}

    def _give_up_item(self) -> None:
        """Too many workers died at this place: the item fails, the others go on."""
        item = _Item(self._at, self._at_step(self._at, self._body.starts[0], self._elapsed()))
        message = (
            f"Item {self._at} lost its worker {self._lease.lost} times. It may be what kills them; it may have acted."
        )
        self._settled(item, Fail(StepFault(code="worker_lost", message=message)), None, self._elapsed())
        self._count(failed=True)

    # --- Storing ------------------------------------------------------------------------------------------------------

    def _flush(self, leave: Leave | None) -> dict[str, Any]:
        buffer, self._buffer = self._buffer, _Buffer()
        self._attempt.calls += 1
        row = self._stored(self._call_with(buffer, **({} if leave is None else {"leave": leave})))
        self._stored_at = time.monotonic()
        metrics.in_lane(row["status"], retrying=leave is not None and "delay" in leave.get("token", {}))
        if row["status"] != "fenced":
            observe.lane_stored(self._facts, buffer.ends)
        self._attempt.is_cleared = self._attempt.is_cleared or bool(buffer.rows)
        if row["status"] == "go":
            self._epoch, self._at, self._to = row["epoch"], row["lo"], row["hi"]
        return row

    def _call_with(self, buffer: _Buffer, **more: Leave) -> str:
        call = {"t": self._lease.token_id, "e": self._epoch, "lo": self._at, "ok": buffer.ok, "fail": buffer.fail}
        return json.dumps(call | {"rows": buffer.rows, "pay": buffer.payloads} | more, ensure_ascii=False)

    def _stored(self, call: str) -> dict[str, Any]:
        with self._pool.connection() as connection:
            while True:
                try:
                    row: dict[str, Any] = connection.execute(statements.FLUSH, (self._session_id, call)).fetchone()
                except TRY_AGAIN:
                    continue  # else all items since the last call would be done again
                return row

    def _hand_back(self) -> list[str]:
        item = {"t": self._lease.token_id, "e": self._epoch, "then": "back"}
        with self._pool.connection() as connection:
            row = connection.execute(statements.ADVANCE, (self._session_id, json.dumps([item]))).fetchone()
        metrics.in_lane(row["status"])
        return [self._lease.queue]

    def _elapsed(self) -> float:
        return time.monotonic() - self._attempt.began
