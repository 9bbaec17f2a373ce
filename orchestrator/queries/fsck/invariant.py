"""One invariant of the engine as a query."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Invariant:
    """`sql` selects (run, what) of every breach; `runs` stands for the runs looked at.

    `patient`: it allows for the time that sweeps need, so it may not hold while the keeper is away.
    """

    name: str
    sentence: str
    sql: str
    patient: bool = False
