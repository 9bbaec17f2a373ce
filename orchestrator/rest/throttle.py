"""A ceiling on requests per caller, counted in Valkey by the minute."""

import time
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


def check(request: Request) -> None:
    """Count this request; raise Throttled (429 with Retry-After) above the ceiling.

    Without Valkey nothing is refused: losing Valkey must not stop people from working.
    """
    caller, most = caller_of(request)
    now = time.time()
    key = f"branchline:throttle:{caller}:{int(now // WINDOW)}"
    try:
        count = counted(key)
    except RedisError:
        logger.warning("requests are not counted: Valkey does not answer")
        return
    if count > most:
        raise Throttled(wait=WINDOW - now % WINDOW)


def counted(key: str) -> int:
    """One more, as a number: one call, where Django's cache makes two. The first of a window also says when it ends."""
    count = int(_counter().incr(key))
    if count == 1:
        _counter().expire(key, 2 * WINDOW)
    return count


@cache
def _counter() -> redis.Redis:
    patience = {"socket_timeout": PATIENCE, "socket_connect_timeout": PATIENCE}
    return redis.Redis.from_url(settings.REDIS_URL, **patience, retry=None)


def caller_of(request: Request) -> tuple[str, int]:
    """Whom the request counts for: a token, a person, or an address."""
    if isinstance(request.auth, Bearer):
        return f"token:{request.auth.token.pk}", PER_CALLER
    if request.user.is_authenticated:
        return f"user:{request.user.pk}", PER_CALLER
    return f"address:{request.META.get('REMOTE_ADDR', '')}", PER_ADDRESS
