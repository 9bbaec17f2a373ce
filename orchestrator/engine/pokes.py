"""A word straight to one waiting worker process, beside the Celery message that makes the same way by two processes.

A short-lived list in Valkey per queue: one push wakes one process, so a thousand workers do not all look for one step.
Safe to lose, repeat or delay: the Celery message follows, and the keeper's sweep stands behind both.
"""

import os
import threading
from collections.abc import Callable, Sequence
from functools import cache
from typing import Any

import redis
import structlog
from django.conf import settings

from orchestrator.engine.wire import QUIET, Wire

log = structlog.get_logger(__name__)
PREFIX = "branchline:poke:"
MOST = 64  # pokes of a queue that nobody has taken
LIVES = 1_000  # milliseconds: an older poke says nothing that the Celery message has not said
LISTEN = 5  # seconds of one blocking read
COMMANDS = 3  # of one poke
KNOWN = 1_000  # pokes kept packed


class Sender:
    """Sends pokes, with words packed once; never raises."""

    def __init__(self, url: str) -> None:
        self._wire = Wire(url)
        self._words: dict[tuple[str, int], bytes] = {}

    def send(self, queue: str, count: int = 1) -> bool:
        """Poke up to `count` processes that wait for this queue. True when Valkey took it."""
        return self._wire.say(self._words.get((queue, count)) or self._packed(queue, count), COMMANDS)

    def _packed(self, queue: str, count: int) -> bytes:
        key = PREFIX + queue
        words = self._wire.packed(("LPUSH", key, *["1"] * count), ("LTRIM", key, 0, MOST - 1), ("PEXPIRE", key, LIVES))
        if len(self._words) >= KNOWN:
            self._words.clear()
        self._words[queue, count] = words
        return words


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
        client = redis.Redis.from_url(url or settings.REDIS_URL, socket_timeout=2 * LISTEN, retry=None)
        self._connection: Any = client.connection_pool.make_connection()
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
                self._connection.send_command("BLPOP", *self._keys, LISTEN)
                # Whatever comes, looking for work first does no harm, and reading it takes its time.
                if self._connection.can_read(timeout=2 * LISTEN):
                    self._poked()
                self._connection.read_response()
            except (redis.RedisError, OSError) as error:
                log.debug("no pokes, trying again", error=str(error)[:200])
                self._connection.disconnect()
                self._stopping.wait(QUIET)
        self._connection.disconnect()
