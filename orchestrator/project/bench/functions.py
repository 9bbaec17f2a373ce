"""Handlers that measure: one says when it began, as the floor's Celery no-op does; one computes all by itself."""

import os
import time
from functools import cache

import redis
from django.conf import settings

from designer.samples.functions import fibonacci
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


@step("bench.alone", effects="none")
def alone(n: int, times: int) -> float:
    """Seconds of the pure work in a copy of this very process, in which no other thread lives.

    A copy, for where a function's code and its stack come to lie in memory changes its speed by several percent.
    """
    reader, writer = os.pipe()
    copy = os.fork()
    if copy == 0:
        try:
            began = time.perf_counter()
            for _ in range(times):
                fibonacci(n)
            os.write(writer, str(time.perf_counter() - began).encode())
        finally:
            os._exit(0)
    os.close(writer)
    with os.fdopen(reader) as told:
        seconds = float(told.read())
    os.waitpid(copy, 0)
    return seconds
