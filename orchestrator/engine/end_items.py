"""The item of `branchline_advance` that an attempt's outcome comes to, with the end of the run where it is due."""

import random
from typing import Any

from orchestrator.core.errors import JsonInvalid
from orchestrator.core.kinds import Evaluator
from orchestrator.core.outcome import Child, Fail, Outcome, StepFault
from orchestrator.core.settle import Settlement, Tries, settle
from orchestrator.engine import items
from orchestrator.engine.attempt import Attempt
from orchestrator.engine.children import child_item
from orchestrator.engine.committer import Item
from orchestrator.engine.finish import run_end
from orchestrator.engine.follows import follows_event, follows_of
from orchestrator.engine.lease import Lease
from orchestrator.engine.perform import Prepared
from orchestrator.engine.plans import Plans, VersionFacts
from orchestrator.engine.roots import Roots
from orchestrator.engine.values import INLINE


class EndItems:
    """Makes items; what they need beside the lease is read through `pool`, `plans` and `roots`."""

    def __init__(self, pool: Any, plans: Plans, sandbox: Evaluator, roots: Roots) -> None:
        self._pool = pool
        self._plans = plans
        self._sandbox = sandbox
        self._roots = roots

    def of(
        self, attempt: Attempt, facts: VersionFacts, outcome: Outcome, ready: Prepared | None
    ) -> tuple[Settlement, Item]:
        """What becomes of the step, and the item that says so. An output that cannot be stored fails the step."""
        try:
            return self._made(attempt, facts, outcome, ready)
        except JsonInvalid as error:
            message = f"The step's output cannot be stored: {error.message}"
            return self._made(attempt, facts, Fail(StepFault(code=error.error_code, message=message)), ready)

    def of_run(self, facts: VersionFacts, lease: Lease) -> Item:
        """The item that ends the run whose token has come to its end."""
        state, output, fault = run_end(self._sandbox, self._roots, facts, lease)
        return items.end_run(lease, state, output, fault)

    def _made(
        self, attempt: Attempt, facts: VersionFacts, outcome: Outcome, ready: Prepared | None
    ) -> tuple[Settlement, Item]:
        lease = attempt.lease
        child: dict[str, Any] = {}
        if isinstance(outcome, Child):
            made = child_item(self._pool, self._plans, self._sandbox, lease, outcome)
            outcome, child = (made, {}) if isinstance(made, Fail) else (outcome, made)
        spent_tries = lease.lost + lease.tried_before
        tries = Tries(attempt=max(1, lease.attempt - spent_tries), spent=attempt.spent(), draw=random.random())
        settled = settle(facts.plan, lease.node, outcome, tries)
        item = items.build_item(
            facts.plan,
            lease,
            settled,
            config=None if ready is None else ready.config,
            log=[] if ready is None else ready.context.log.lines,
        )
        item |= child
        if settled.form is not None and ready is not None and ready.kind.resumes_alike:
            item["form"] |= follows_of(facts.plan, lease, settled.form, ready.config)
        if settled.awaited is not None and ready is not None:
            item["waiting"] |= follows_event(facts.plan, lease, settled.awaited, ready.config)
        if settled.then == "go":
            _remember(lease, settled)
        if settled.run_ends is not None:
            state, output, fault = run_end(self._sandbox, self._roots, facts, lease, settled)
            items.add_end(item, state, output, fault)
        return settled, item


def _remember(lease: Lease, settled: Settlement) -> None:
    """Keep the output for the steps that follow in this chain."""
    if settled.logged is None:
        return
    fault = None if settled.fault is None else items.fault_as_json(settled.fault)
    # Large values stay in the rows: a long chain must not hold all of them in memory.
    if len(repr(settled.output)) <= INLINE:
        lease.seen[lease.node] = (settled.output, fault)
