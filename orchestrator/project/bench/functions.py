"""The handler of the latency rows: it says when it began, in the same way as the floor's Celery no-op does."""

import time
from functools import cache

import redis
from django.conf import settings

from orchestrator.steps import StepContext, step

MODULE = __name__


@cache
def _client(process: int) -> "redis.Redis":
    return redis.Redis.from_url(settings.REDIS_URL)


@step("bench.stamp")
def stamp(context: StepContext, key: str) -> float:
    """Tell who waits on this key that the handler has begun."""
    began = time.time()
    _client(0).lpush(key, str(began))
    return began
