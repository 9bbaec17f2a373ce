"""What can go wrong with one call, and how a harness says what it saw."""

from enum import StrEnum


class Breached(AssertionError):
    """An invariant of the engine does not hold. `name` is the invariant's."""

    def __init__(self, name: str, what: str) -> None:
        super().__init__(f"{name}: {what}")
        self.name = name


class Killed(BaseException):
    """The process that makes the call dies here. Not an Exception: nothing in it may go on."""


class Blow(StrEnum):
    """What happens to one call on its way to PostgreSQL and back."""

    NONE = "none"
    REQUEST_LOST = "request lost"  #: the connection breaks before PostgreSQL sees the call
    REPLY_LOST = "reply lost"  #: it breaks after the commit
    REPEATED = "repeated"  #: the call arrives twice
    ROLLED_BACK = "rolled back"  #: a deadlock's victim
    KILLED_BEFORE = "killed before"  #: the worker dies before the call
    KILLED_AFTER = "killed after"  #: the worker dies after the commit, before the reply


LOSES = frozenset({Blow.REQUEST_LOST, Blow.REPLY_LOST})
KILLS = frozenset({Blow.KILLED_BEFORE, Blow.KILLED_AFTER})
