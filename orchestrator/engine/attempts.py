"""The attempts in one worker process's hands: at most one for each token."""

import threading
from collections.abc import Iterable, Mapping

from orchestrator.engine.attempt import Attempt, Chain
from orchestrator.engine.committer import Item
from orchestrator.engine.lease import Lease

Place = tuple[int, int]  # token, epoch


class Attempts:
    """Who is at work on which token. Thread-safe."""

    def __init__(self) -> None:
        self._by_token: dict[int, Attempt] = {}
        self._left: dict[Place, Item] = {}
        self._changed = threading.Condition()

    def __len__(self) -> int:
        return len(self._by_token)

    def __contains__(self, token_id: int) -> bool:
        return token_id in self._by_token

    def all(self) -> list[Attempt]:
        """Those of this moment."""
        return list(self._by_token.values())

    def at(self, token_id: int) -> Attempt | None:
        """Who is at work on that token here."""
        return self._by_token.get(token_id)

    def take_up(self, lease: Lease) -> tuple[Attempt | None, Attempt | None]:
        """A new attempt for a lease that was claimed, and the one of that token before it.

        None and that one, where a crash forgot its claim and the same epoch was issued again: it is at work on this
        very lease.
        """
        attempt = Attempt(lease=lease)
        with self._changed:
            before = self._by_token.get(lease.token_id)
            if before is not None and before.may_stand_at(lease.epoch):
                return None, before
            self._by_token[lease.token_id] = attempt
        return attempt, before

    def put(self, attempt: Attempt) -> None:
        """Have `attempt` at work on its token, whoever was before."""
        with self._changed:
            self._by_token[attempt.lease.token_id] = attempt

    def put_back(self, attempt: Attempt, of: Lease) -> None:
        """The same, in the place of what ran further ahead. A new claim, with facts of its own, keeps the place."""
        with self._changed:
            holder = self._by_token.get(of.token_id)
            if holder is None or holder.lease.seen is of.seen:
                self._by_token[of.token_id] = attempt

    def replace(self, attempt: Attempt, following: Attempt) -> bool:
        """Put `following` in the place of `attempt`. False when that was dropped meanwhile: its token is no more ours,
        or was claimed anew by this very process.
        """
        token_id = attempt.lease.token_id
        with self._changed:
            if self._by_token.get(token_id) is not attempt:
                return False
            self._by_token[token_id] = following
            return True

    def ahead(self, chain: Chain, lease: Lease) -> Attempt:
        """An attempt that begins behind one more end of its chain that is on its way to the rows."""
        with self._changed:
            chain.uncommitted += 1
            return Attempt(lease=lease, chain=chain, ahead=chain.uncommitted)

    def came_home(self, chain: Chain) -> None:
        """One end of that chain is on its way no more."""
        with self._changed:
            chain.uncommitted -= 1

    def forget(self, attempt: Attempt) -> None:
        """It is over."""
        with self._changed:
            if self._by_token.get(attempt.lease.token_id) is attempt:
                del self._by_token[attempt.lease.token_id]
            self._changed.notify_all()

    def leave(self, item: Item) -> None:
        """Keep what is to be stored of an attempt that is over, until it can be: its token stays leased to us."""
        with self._changed:
            self._left[item["t"], item["e"]] = item

    def left(self) -> Mapping[Place, Item]:
        """What is kept so. An attempt that is here no more has left what it had to."""
        return self._left

    def drop_left(self, places: Iterable[Place]) -> None:
        """It is stored, or its token is no more ours."""
        with self._changed:
            for place in places:
                self._left.pop(place, None)

    def wait_for_none(self, seconds: float) -> bool:
        """Whether all of them are over within so many seconds."""
        with self._changed:
            return self._changed.wait_for(lambda: not self._by_token, timeout=seconds)
