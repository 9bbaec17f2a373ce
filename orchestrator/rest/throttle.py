"""A ceiling on requests per caller, counted in the cache by the minute."""

import time

import structlog
from django.core.cache import cache
from redis.exceptions import RedisError
from rest_framework.exceptions import Throttled
from rest_framework.request import Request

from orchestrator.queries.actors import Bearer

logger = structlog.get_logger(__name__)

WINDOW = 60  # seconds
#: Far above what people and well-behaved programs need: it stops loops, not work.
PER_CALLER = 60_000
PER_ADDRESS = 3_000


def check(request: Request) -> None:
    """Count this request; raise Throttled (429 with Retry-After) above the ceiling.

    Without the cache nothing is refused: losing Valkey must not stop people from working.
    """
    caller, most = caller_of(request)
    now = time.time()
    key = f"throttle:{caller}:{int(now // WINDOW)}"
    try:
        count = counted(key)
    except RedisError:
        logger.warning("requests are not counted: the cache does not answer")
        return
    if count > most:
        raise Throttled(wait=WINDOW - now % WINDOW)


def counted(key: str) -> int:
    """One more, as a number. Only the first of a window asks to make the key: one call less for all others."""
    try:
        return cache.incr(key)
    except ValueError:
        return 1 if cache.add(key, 1, timeout=2 * WINDOW) else cache.incr(key)


def caller_of(request: Request) -> tuple[str, int]:
    """Whom the request counts for: a token, a person, or an address."""
    if isinstance(request.auth, Bearer):
        return f"token:{request.auth.token.pk}", PER_CALLER
    if request.user.is_authenticated:
        return f"user:{request.user.pk}", PER_CALLER
    return f"address:{request.META.get('REMOTE_ADDR', '')}", PER_ADDRESS
