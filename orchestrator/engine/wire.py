"""A connection to Valkey for words that may be lost."""

import threading
import time
from typing import Any

import redis

PATIENCE = 0.2  # seconds a speaker waits for Valkey at most
QUIET = 5.0  # seconds without a word after Valkey failed


class Wire:
    """Says packed commands and reads their answers. Never raises; thread-safe.

    After a failure it keeps quiet for a while, so that nobody waits twice. A client with its pool and pipeline costs
    more than what is said here, and somebody waits for it, or computes beside it.
    """

    def __init__(self, url: str) -> None:
        client = redis.Redis.from_url(url, socket_timeout=PATIENCE, socket_connect_timeout=PATIENCE, retry=None)
        self._connection: Any = client.connection_pool.make_connection()
        self._lock = threading.Lock()
        self._quiet_until = 0.0

    def packed(self, *commands: tuple[str | bytes | int, ...]) -> bytes:
        """The commands as `say` takes them."""
        return b"".join(self._connection.pack_commands(commands))

    def say(self, words: bytes, answers: int) -> bool:
        """Say so many commands. True when Valkey took them."""
        if time.monotonic() < self._quiet_until:
            return False
        with self._lock:
            try:
                try:
                    self._say(words, answers)
                except redis.ConnectionError:  # it may have closed while nobody spoke
                    self._say(words, answers)
            except (redis.RedisError, OSError):
                self._connection.disconnect()  # answers may be left in it
                self._quiet_until = time.monotonic() + QUIET
                return False
        return True

    def _say(self, words: bytes, answers: int) -> None:
        self._connection.send_packed_command([words], check_health=False)
        for _ in range(answers):
            self._connection.read_response()
