"""A connection to Valkey for words that may be lost."""

import socket
import struct
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
        patience = {
            "socket_timeout": PATIENCE,
            "socket_connect_timeout": PATIENCE,
            "redis_connect_func": _leave_patience,
        }
        client = redis.Redis.from_url(url, retry=None, **patience)
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
            began = time.monotonic()
            try:
                try:
                    self._say(words, answers)
                except redis.ConnectionError:  # it may have closed while nobody spoke
                    if time.monotonic() - began > PATIENCE / 2:
                        raise  # nobody answered: that is not waited for twice
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


def _leave_patience(connection: Any) -> None:
    """Let the kernel end what takes too long: Python would wait before each word and each answer, and give the
    interpreter away once more for it.
    """
    opened: socket.socket = connection._sock
    opened.settimeout(None)
    patience = struct.pack("ll", int(PATIENCE), int(PATIENCE % 1 * 1_000_000))
    for option in (socket.SO_RCVTIMEO, socket.SO_SNDTIMEO):
        opened.setsockopt(socket.SOL_SOCKET, option, patience)
    connection.on_connect()
