"""When a failed attempt is tried again: a decision, nothing else. Clock and dice come in as arguments."""

import math

from orchestrator.core.document import Retry

MAX_ATTEMPTS = 100


def next_attempt(policy: Retry, attempt: int, spent: float, wish: float | None, draw: float) -> float | None:
    """Seconds to wait before attempt `attempt + 1`, or None to give up.

    `attempt` is the number of the one that just failed (from 1), `spent` the seconds since the first one began,
    `wish` what the other side asked for (`Retry-After`, seconds), `draw` a random number in [0, 1).
    Full jitter spreads the callers of a service that just recovered over the whole interval
    (https://aws.amazon.com/blogs/architecture/exponential-backoff-and-jitter/). A wait is never shorter than the
    wish, and never ends beyond the policy's budget.
    """
    if attempt >= policy.attempts:
        return None
    wait = backoff(policy, attempt)
    if policy.jitter == "full":
        wait *= min(max(draw, 0.0), 1.0)
    if wish is not None and wish > wait:  # a NaN wish is no wish
        wait = wish
    # An endless wish must end here even without a budget: infinity is no time on a clock.
    if not math.isfinite(wait) or (policy.budget is not None and spent + wait > policy.budget):
        return None
    return wait


def backoff(policy: Retry, attempt: int) -> float:
    """The longest wait after attempt number `attempt`: first * factor ** (attempt - 1), at most `cap` seconds."""
    if policy.first <= 0:
        return 0.0
    try:
        # float(): 2 ** (10**9) as an integer would eat the memory, as a float it only overflows.
        wait = policy.first * float(policy.factor) ** (max(attempt, 1) - 1)
    except OverflowError:
        wait = policy.cap
    return max(min(wait, policy.cap), 0.0)
