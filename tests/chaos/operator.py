"""People at work during the blows: runs are cancelled, and what has failed is mended and retried."""

from pathlib import Path
from random import Random
from uuid import UUID

from django.db import OperationalError

from orchestrator.core.errors import Conflict
from orchestrator.models import Run
from orchestrator.services.control import cancel_run
from orchestrator.services.reopen import RunNotFailed, retry_run
from orchestrator.services.standing import RunBusy
from tests.chaos import functions
from tests.chaos.drawings import Nested
from tests.chaos.verdict import Started
from tests.engine.house import House

CANCELLED_SHARE = 0.05
RETRIED_SHARE = 0.5  # of failed runs whose end after a retry is not foretold


class Operator:
    """Acts on the runs of one round. `cancelled` and `retried` are the runs in which that was accepted."""

    def __init__(self, house: House, started: Started, random: Random, folder: Path) -> None:
        self.house, self.started, self.random, self.folder = house, started, random, folder
        self.cancelled: set[UUID] = set()
        self.retried: set[UUID] = set()
        self._seen: set[UUID] = set()
        self._doomed = 0.0

    def look(self) -> None:
        """What a person does between two blows."""
        self._retry()
        due = len(self.started) * CANCELLED_SHARE
        if self._doomed < due:
            self._doomed += 1
            self._cancel()

    def retry_what_is_left(self) -> bool:
        """False once no run has failed that is to be mended."""
        return bool(self._retry())

    def _cancel(self) -> None:
        """A run with open sub-workflows, if there is one: cancelling has to travel."""
        waiting = Run.objects.open().filter(root_run__isnull=False).values_list("root_run_id", flat=True).distinct()
        roots = list(waiting) or list(Run.objects.open().values_list("pk", flat=True))
        if not roots:
            return
        run_id = self.random.choice(sorted(roots))
        try:
            cancel_run(run_id, self.house.actor, "chaos")
        except Conflict:
            return  # it has just ended, or undoes what it did
        self.cancelled.add(run_id)

    def _retry(self) -> int:
        failed = Run.objects.filter(state="failed", root_run__isnull=True).exclude(pk__in=self._seen)
        due = [one for one in failed.values_list("pk", "input__mark") if self._wants_retry(one[0])]
        for run_id, mark in due:
            functions.mend(self.folder, mark)
            try:
                retry_run(run_id, self.house.actor, "mended")
            except RunNotFailed:
                self._seen.add(run_id)  # only joins have failed
            except (RunBusy, OperationalError):
                continue  # a step moves at this very moment: later
            else:
                self._seen.add(run_id)
                self.retried.add(run_id)
        return len(due)

    def _wants_retry(self, run_id: UUID) -> bool:
        wanted = self.started[run_id][1]
        if isinstance(wanted, Nested) and (wanted.mended or self.random.random() < RETRIED_SHARE):
            return True
        self._seen.add(run_id)
        return False
