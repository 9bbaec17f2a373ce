"""A change that met somebody else in the middle of a move is made again; what it had done is rolled back."""

from collections.abc import Callable
from functools import partial, wraps
from typing import ParamSpec, TypeVar

from django.db import OperationalError

from orchestrator.services.standing import RunBusy

P = ParamSpec("P")
T = TypeVar("T")
MOST_TRIES = 5
#: serialization_failure, deadlock_detected, lock_not_available: the other one has gone on, so the same may work now.
PASSING = {"40001", "40P01", "55P03"}


def patiently(change: Callable[[], T]) -> T:
    """Make a change of one transaction; begin anew after a deadlock, or a step that was moving. Raises RunBusy."""
    for _ in range(MOST_TRIES - 1):
        try:
            return _once(change)
        except RunBusy:
            continue  # the lock was given up: whoever waited for it goes first
    return _once(change)


def patient(service: Callable[P, T]) -> Callable[P, T]:
    """A service whose calls are made `patiently`."""

    @wraps(service)
    def call(*args: P.args, **kwargs: P.kwargs) -> T:
        return patiently(partial(service, *args, **kwargs))

    return call


def _once(change: Callable[[], T]) -> T:
    try:
        return change()
    except OperationalError as error:
        if getattr(error.__cause__, "sqlstate", None) not in PASSING:
            raise
        raise RunBusy(
            "Others are changing the same run at this very moment. Nothing was changed; try again."
        ) from error
