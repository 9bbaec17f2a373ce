"""A ceiling on requests per caller, counted in Valkey by the minute.

A process takes admissions by the block, a thousandth of the ceiling, so that few requests wait for Valkey. What it took
and did not use is lost to that minute; more than the ceiling is never admitted.
"""

import threading
import time
from dataclasses import dataclass
from functools import cache

import redis
import structlog
from django.conf import settings
from redis.exceptions import RedisError
from rest_framework.exceptions import Throttled
from rest_framework.request import Request

from orchestrator.queries.actors import Bearer

logger = structlog.get_logger(__name__)

WINDOW = 60  # seconds
#: Far above what people and well-behaved programs need: it stops loops, not work.
PER_CALLER = 60_000
PER_ADDRESS = 3_000
PATIENCE = 0.5  # seconds a request waits for Valkey at most


MOST_LEASES = 10_000


@dataclass(slots=True)
class _Lease:
    """What is left of a block. `is_last`: Valkey gave the last there was in this window."""

    window: int
    left: int = 0
    is_last: bool = False


_leases: dict[str, _Lease] = {}
_lock = threading.Lock()


def check(request: Request) -> None:
    """Count this request; raise Throttled (429 with Retry-After) above the ceiling."""
    if not admits(*caller_of(request)):
        raise Throttled(wait=WINDOW - time.time() % WINDOW)


def admits(caller: str, most: int) -> bool:
    """Count one request of the caller. False above `most` in this minute.

    Without Valkey nothing is refused: losing Valkey must not stop people from working.
    """
    lease = _lease_of(caller, int(time.time() // WINDOW))
    if _took(lease):
        return True
    if lease.is_last:
        return False
    block = max(1, most // 1000)
    try:
        count = counted(f"branchline:throttle:{caller}:{lease.window}", block)
    except RedisError:
        logger.warning("requests are not counted: Valkey does not answer")
        return True
    with _lock:
        lease.left += max(0, min(block, most - count + block))
        lease.is_last |= count >= most
    return _took(lease)


def _lease_of(caller: str, window: int) -> _Lease:
    with _lock:
        lease = _leases.get(caller)
        if lease is None or lease.window != window:
            if len(_leases) >= MOST_LEASES:
                _leases.clear()
            lease = _leases[caller] = _Lease(window)
        return lease


def _took(lease: _Lease) -> bool:
    with _lock:
        lease.left -= 1
        if lease.left < 0:
            lease.left = 0
            return False
        return True


def counted(key: str, more: int = 1) -> int:
    """So many more, as a number: one call, where Django's cache makes two. The first of a window says when it ends."""
    count = int(_counter().incrby(key, more))
    if count == more:
        _counter().expire(key, 2 * WINDOW)
    return count


@cache
def _counter() -> redis.Redis:
    patience = {"socket_timeout": PATIENCE, "socket_connect_timeout": PATIENCE}
    return redis.Redis.from_url(settings.REDIS_URL, **patience, retry=None)


def name_of(bearer: Bearer) -> str:
    """A token's name here."""
    return f"token:{bearer.token.pk}"


def caller_of(request: Request) -> tuple[str, int]:
    """Whom the request counts for: a token, a person, or an address."""
    if isinstance(request.auth, Bearer):
        return name_of(request.auth), PER_CALLER
    if request.user.is_authenticated:
        return f"user:{request.user.pk}", PER_CALLER
    return f"address:{request.META.get('REMOTE_ADDR', '')}", PER_ADDRESS
