"""H1: Hypothesis chooses which worker makes its next call and what happens to it; after each step all must hold."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, ClassVar

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from tests.harness import ending, told
from tests.harness.clock import set_right
from tests.harness.faults import KILLS, Blow, Breached
from tests.harness.rows import clean
from tests.harness.stepped import SLOTS, Held, Process
from tests.harness.world import MOST_PROCESSES, TTL, Started, World

ANY = st.integers(0, 2**16)
JUMPS = (0.5, 5.0, TTL + 1, 31.0, 61.0, 700.0, -1.0, -40.0)
FATES = ("heard", "heard", "heard", "heard", "unheard", "forgotten")
BLOWS = st.sampled_from([Blow.NONE] * 5 + list(Blow))
SHARED_BLOWS = st.sampled_from([blow for blow in Blow if blow not in KILLS])
MEANWHILE = st.sampled_from(["nothing", "taken over", "taken and claimed", "cancelled", "paused"])


class Engine(RuleBasedStateMachine):
    """`new_world` is set by the test: it makes a World on the test's database."""

    new_world: ClassVar[Callable[[], World]]
    seen: ClassVar[list[str]] = []

    def __init__(self) -> None:
        super().__init__()
        self.world = type(self).new_world()
        self.drained = False

    @initialize(drawings=st.lists(ANY, min_size=1, max_size=3))
    def begin(self, drawings: list[int]) -> None:
        for which in drawings:
            self.world.start(which)
        for _ in range(2):
            self.world.boot()

    def able(self) -> list[Process]:
        return [process for process in self.world.processes if not process.dead and not process.frozen]

    def busy(self) -> list[Process]:
        return [process for process in self.able() if process.in_hand]

    def run(self, which: int) -> Started:
        runs = list(self.world.runs.values())
        return runs[which % len(runs)]

    # --- Workers ------------------------------------------------------------------------------------------------------

    @precondition(lambda self: sum(not one.dead for one in self.world.processes) < MOST_PROCESSES)
    @rule()
    def boot(self) -> None:
        self.world.boot()

    @precondition(lambda self: self.able())
    @rule(who=ANY, most=st.integers(1, SLOTS), fate=st.sampled_from(FATES))
    def claim(self, who: int, most: int, fate: str) -> None:
        self.world.claim(chosen(self.able(), who), most, fate)

    @precondition(lambda self: self.able())
    @rule(who=ANY, most=st.integers(1, 8))
    def work_on(self, who: int, most: int) -> None:
        """A stretch without blows, so that others have something to strike at."""
        process = chosen(self.able(), who)
        if not process.in_hand:
            self.world.claim(process, SLOTS, "heard")
        for _ in range(most):
            if process.in_hand:
                self.end(process, process.in_hand[0], Blow.NONE, None)

    @precondition(lambda self: self.able())
    @rule(who=ANY, other=ANY, gone=st.booleans(), most=st.integers(1, SLOTS))
    def crash_of_the_database(self, who: int, other: int, gone: bool, most: int) -> None:
        """It forgets a claim that its owner has heard of; somebody else gets the same tokens, and both go on."""
        first = chosen(self.able(), who)
        self.world.claim(first, most, "forgotten")
        first.frozen = gone  # its supervisor starts another under its name
        others = [one for one in self.able() if one is not first]
        second = chosen(others, other) if others and not gone else self.world.boot()
        self.world.claim(second, SLOTS, "heard")
        first.frozen = False
        self.world.beat()
        for process in (first, second) if other % 2 else (second, first):
            for held in list(process.in_hand):
                self.end(process, held, Blow.NONE, None)

    @precondition(lambda self: self.able())
    @rule(who=ANY, which=ANY, then=st.sampled_from(["take_over", "fire_timers", "wake"]))
    def woken_while_paused(self, who: int, which: int, then: str) -> None:
        """A token becomes ready in a paused run, and a worker looks."""
        self.world.control(self.run(which), "pause")
        self.world.pass_time(TTL * 4)
        if then == "wake":
            self.world.wake(which)
        else:
            getattr(self.world, then)()
        self.world.claim(chosen(self.able(), who), SLOTS, "heard")

    def end(self, process: Process, held: Held, blow: Blow, meanwhile: Callable[[], None] | None) -> None:
        if held.ended is None:
            process.perform(held)
        self.world.finish(process, [held], blow, meanwhile)

    @precondition(lambda self: self.busy())
    @rule(who=ANY, which=ANY, blow=BLOWS, meanwhile=MEANWHILE)
    def work(self, who: int, which: int, blow: Blow, meanwhile: str) -> None:
        process = chosen(self.busy(), who)
        held = chosen(process.in_hand, which)
        self.end(process, held, blow, self.while_away(process, meanwhile, which))

    @precondition(lambda self: any(len(one.at_steps) > 1 for one in self.able()))
    @rule(who=ANY, blow=SHARED_BLOWS, meanwhile=MEANWHILE)
    def work_together(self, who: int, blow: Blow, meanwhile: str) -> None:
        process = chosen([one for one in self.able() if len(one.at_steps) > 1], who)
        several = {held.attempt.lease.token_id: held for held in process.at_steps}
        for held in several.values():
            if held.ended is None:
                process.perform(held)
        self.world.finish(process, list(several.values()), blow, self.while_away(process, meanwhile, who))

    @precondition(lambda self: self.busy())
    @rule(who=ANY, which=ANY)
    def perform_only(self, who: int, which: int) -> None:
        process = chosen(self.busy(), who)
        held = chosen(process.in_hand, which)
        if held.ended is None:
            process.perform(held)

    @precondition(lambda self: self.busy())
    @rule(who=ANY, which=ANY, most=st.integers(1, 4))
    def run_ahead(self, who: int, which: int, most: int) -> None:
        """Steps of a chain end, and their commits are still to come: anything may happen before."""
        process = chosen(self.busy(), who)
        token_id = chosen(process.in_hand, which).attempt.lease.token_id
        for _ in range(most):
            for held in [one for one in process.in_hand if one.attempt.lease.token_id == token_id][:1]:
                if held.ended is None:
                    process.perform(held)
                process.run_ahead(held)

    @rule(which=ANY)
    def replay(self, which: int) -> None:
        self.world.replay(which)

    @precondition(lambda self: self.able())
    @rule(who=ANY, noticed=st.booleans())
    def kill(self, who: int, noticed: bool) -> None:
        self.world.kill(chosen(self.able(), who), noticed=noticed)

    @precondition(lambda self: self.able())
    @rule(who=ANY)
    def freeze(self, who: int) -> None:
        """SIGSTOP: its node no longer beats for it."""
        chosen(self.able(), who).frozen = True

    @precondition(lambda self: any(one.frozen and not one.dead for one in self.world.processes))
    @rule(who=ANY)
    def thaw(self, who: int) -> None:
        """SIGCONT: it goes on as if nothing had been."""
        chosen([one for one in self.world.processes if one.frozen and not one.dead], who).frozen = False
        self.world.beat()

    @precondition(lambda self: self.able())
    @rule(who=ANY)
    def stop_politely(self, who: int) -> None:
        chosen(self.able(), who).stop_politely()

    @precondition(lambda self: self.able())
    @rule(who=ANY)
    def look_after(self, who: int) -> None:
        chosen(self.able(), who).look_after()

    # --- Keepers, the clock, operators --------------------------------------------------------------------------------

    @rule(seconds=st.sampled_from(JUMPS))
    def pass_time(self, seconds: float) -> None:
        self.world.pass_time(seconds)

    @rule(limit=st.sampled_from([1, 2, 500]))
    def take_over(self, limit: int) -> None:
        self.world.take_over(limit)

    @rule(limit=st.sampled_from([1, 500]))
    def fire_timers(self, limit: int) -> None:
        self.world.fire_timers(limit)

    @rule(limit=st.sampled_from([1, 500]))
    def stop_cancelled(self, limit: int) -> None:
        self.world.stop_cancelled(limit)

    @rule()
    def sweep(self) -> None:
        self.world.sweep()

    @rule(which=ANY)
    def wake(self, which: int) -> None:
        self.world.wake(which)

    @rule(which=ANY, fate=st.sampled_from(told.FATES))
    def publish(self, which: int, fate: str) -> None:
        with self.noted():
            told.publish(self.world, which, fate)

    @rule(limit=st.sampled_from([1, 500]))
    def deliver(self, limit: int) -> None:
        told.deliver(self.world, limit)

    @rule(which=ANY, what=st.sampled_from(["pause", "pause", "resume", "resume", "resume", "cancel", "overdue"]))
    def control(self, which: int, what: str) -> None:
        self.world.control(self.run(which), what)

    @precondition(lambda self: len(self.world.runs) < 5)
    @rule(which=ANY)
    def start(self, which: int) -> None:
        self.world.start(which)

    def while_away(self, process: Process, what: str, which: int) -> Callable[[], None] | None:
        """What goes on before a process whose connection broke has another."""

        def happens() -> None:
            if what in ("cancelled", "paused"):
                self.world.control(self.run(which), "cancel" if what == "cancelled" else "pause")
                return
            process.frozen = True
            self.world.pass_time(TTL + 1)
            self.world.take_over()
            if what == "taken and claimed":
                others = [one for one in self.able() if one is not process] or [self.world.boot()]
                self.world.claim(others[0], SLOTS, "heard")
            process.frozen = False

        return None if what == "nothing" else happens

    @invariant()
    def holds(self) -> None:
        with self.noted():
            self.world.check()

    @contextmanager
    def noted(self) -> Iterator[None]:
        """Keep the name of what is found, whatever becomes of the exception."""
        try:
            yield
        except Breached as breach:
            self.seen.append(breach.name)
            raise

    def teardown(self) -> None:
        try:
            if self.world.breach is None and not self.drained:
                self.drained = True
                with self.noted():
                    ending.drain(self.world)
                    ending.compare(self.world)
        finally:
            set_right(self.world.database)
            clean(self.world.database)


def chosen(several: list[Any], which: int) -> Any:
    """One of several by a number that need not fit."""
    return several[which % len(several)]
