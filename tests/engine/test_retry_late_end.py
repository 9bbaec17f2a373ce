"""A step inside ends well after its container was cut: a retry counts it."""

import threading
from typing import Any

from django.db import connection

from orchestrator.core.outcome import Done, Outcome
from orchestrator.engine.sandbox import Sandbox
from orchestrator.models import Gate, GateArrival, Run, StepLog
from orchestrator.services.reopen import retry_run
from tests.engine.drawings import document, step
from tests.engine.house import House
from tests.engine.kinds import Held, Told, kinds
from tests.engine.rows import own_connection
from tests.engine.switched import Switch, again, at_work, ended, fails, told
from tests.engine.test_lanes import place
from tests.waiting import wait_until


def somebody_waits() -> bool:
    with connection.cursor() as cursor:
        cursor.execute("SELECT FROM pg_locks WHERE NOT granted AND locktype = 'transactionid' LIMIT 1")
        return cursor.fetchone() is not None


def test_what_ended_after_its_container_was_cut_has_arrived(house: House, sandbox: Sandbox) -> None:
    held, may_fail = Held(listens=False), threading.Event()

    def fails_later(context: Any) -> Outcome:
        """The first item does, once the second one's step is at work."""
        if place(context) != 0:
            return Done(None)
        assert may_fail.wait(20)
        return fails(context)

    switch = Switch(bad=fails_later)
    known = kinds(told=Told(switch), held=held)
    steps = [
        step("each", "for_each", config={"items": [1, 2], "parallel": 2}),
        *(told("bad", parent="each"), step("box", "scope", parent="each")),
        *(told("quick", parent="box"), step("slow", "held", parent="box")),
    ]
    version = house.publish(document(steps, "bad > box"), kinds=known)
    with at_work(house, sandbox, known):
        run_id = house.start(version)
        held.enter()
        node = version.plan["keys"].index("slow")
        with own_connection() as opened, opened.transaction():
            # Its call is under way: who closes the container passes it by.
            opened.execute("SELECT FROM orchestrator_token WHERE run_id = %s AND node = %s FOR UPDATE", [run_id, node])
            may_fail.set()
            wait_until(Run.objects.filter(pk=run_id, state="failed").exists, 10, "the run to fail")
            held.release.set()
            wait_until(somebody_waits, 10, "its call to wait for the token")
        slow = StepLog.objects.filter(run_id=run_id, node=node, outcome="S")
        wait_until(slow.exists, 10, "the step to end after its container")
        switch.answers.clear()
        again(house, lambda: retry_run(run_id, house.actor))
        ended(house, run_id, "succeeded")
    assert slow.count() == 2, "it is not done again in the second item"
    late = slow.order_by("entry")[0]
    body = Gate.objects.get(run_id=run_id, scope_id=late.scope_id)
    assert (body.ok, body.skip, body.fail, body.size, body.decided) == (2, 0, 0, 2, 1)
    assert GateArrival.objects.filter(run_id=run_id, scope_id=late.scope_id, entry=late.entry).exists()
