"""`async def` handlers: they leave their slot for one event loop, and their end comes back to a slot."""

import asyncio
import threading

from orchestrator.core.outcome import Fail, Outcome, StepFault
from orchestrator.engine import observe
from orchestrator.engine.attempt import Attempt
from orchestrator.engine.ending import Ender
from orchestrator.engine.perform import Prepared, too_slow, unexpected
from orchestrator.engine.plans import Plans


class Awaiting:
    """An event loop on a thread of its own. Its methods may be called from any other."""

    def __init__(self, plans: Plans, ender: Ender) -> None:
        self._plans = plans
        self._ender = ender
        self._loop = asyncio.new_event_loop()

    def start(self) -> None:
        """Await handlers from now on."""
        threading.Thread(target=self._run, name="loop", daemon=True).start()

    def stop(self) -> None:
        """Await nothing more, whatever is under way."""
        self._loop.call_soon_threadsafe(self._loop.stop)

    def begin(self, attempt: Attempt, ready: Prepared) -> None:
        """Await the attempt's handler, then have the attempt ended in a slot. Returns at once."""

        def begin() -> None:
            attempt.task = self._loop.create_task(self._await(attempt, ready))

        self._loop.call_soon_threadsafe(begin)

    def cancel(self, attempt: Attempt) -> None:
        """Cancel the attempt's handler, if it is awaited here."""
        if attempt.task is not None:
            self._loop.call_soon_threadsafe(attempt.task.cancel)

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        self._loop.run_forever()
        self._loop.close()

    async def _await(self, attempt: Attempt, ready: Prepared) -> None:
        outcome: Outcome | None = None
        observe.at_work(attempt.lease, ready.context.step_key)
        try:
            async with asyncio.timeout(ready.context.timeout):
                outcome = await ready.call()
        except TimeoutError:
            plan = self._plans.get(attempt.lease.run.version_id).plan
            outcome = too_slow(plan.step(attempt.lease.node).name, ready.context.timeout)
        except asyncio.CancelledError:
            outcome = Fail(StepFault(code="cancelled", message="The run was cancelled."))
        except Exception as error:
            ready.context.note(error)
            outcome = unexpected(error)
        self._ender.end_in_slot(attempt, outcome, ready)
