"""A word straight to one waiting worker process, beside the Celery message that makes the same way by two processes.

A short-lived list in Valkey per queue: one push wakes one process, so a thousand workers do not all look for one step.
Safe to lose, repeat or delay: the Celery message follows, and the keeper's sweep stands behind both.
"""

import os
import threading
import time
from collections.abc import Callable, Sequence
from functools import cache

import redis
import structlog
from django.conf import settings

log = structlog.get_logger(__name__)
PREFIX = "branchline:poke:"
MOST = 64  # pokes of a queue that nobody has taken
LIVES = 1_000  # milliseconds: an older poke says nothing that the Celery message has not said
PATIENCE = 0.2  # seconds a sender waits for Valkey at most
QUIET = 5.0  # seconds without pokes after Valkey failed
LISTEN = 5  # seconds of one blocking read


class Sender:
    """Sends pokes; never raises. After a failure it keeps quiet for a while, so that nobody waits twice."""

    def __init__(self, url: str) -> None:
        self._client = redis.Redis.from_url(url, socket_timeout=PATIENCE, socket_connect_timeout=PATIENCE, retry=None)
        self._quiet_until = 0.0

    def send(self, queue: str, count: int = 1) -> bool:
        """Poke up to `count` processes that wait for this queue. True when Valkey took it."""
        if time.monotonic() < self._quiet_until:
            return False
        key = PREFIX + queue
        try:
            with self._client.pipeline(transaction=False) as pipe:
                pipe.lpush(key, *["1"] * count)
                pipe.ltrim(key, 0, MOST - 1)
                pipe.pexpire(key, LIVES)
                pipe.execute()
        except (redis.RedisError, OSError):
            self._quiet_until = time.monotonic() + QUIET
            return False
        return True


@cache
def _sender(process: int) -> Sender:
    return Sender(settings.REDIS_URL)


def poke(queue: str, count: int = 1) -> bool:
    """Tell waiting worker processes that a queue has work. Call after commit. True when Valkey took it."""
    return _sender(os.getpid()).send(queue, count)


class Listener:
    """A thread that calls `poked` whenever somebody pokes one of these queues."""

    def __init__(self, queues: Sequence[str], poked: Callable[[], None], url: str | None = None) -> None:
        self._keys = [PREFIX + queue for queue in queues]
        self._poked = poked
        self._client = redis.Redis.from_url(url or settings.REDIS_URL, socket_timeout=2 * LISTEN)
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="pokes", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        """Take no more pokes; the thread ends with its present read."""
        self._stopping.set()

    def _run(self) -> None:
        while not self._stopping.is_set():
            try:
                if self._client.blpop(self._keys, timeout=LISTEN) is not None:
                    self._poked()
            except (redis.RedisError, OSError) as error:
                log.debug("no pokes, trying again", error=str(error)[:200])
                self._stopping.wait(QUIET)
        self._client.close()
