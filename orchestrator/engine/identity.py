"""Ids that callers make themselves."""

import secrets
import time
from uuid import UUID


def uuid7() -> UUID:
    """A UUID version 7 (RFC 9562, 6.2, method 3): ordered by the quarter of a microsecond it was made in.

    Several runs start in one millisecond, and which of them is the newest counts where a newer one replaces others.
    """
    milliseconds, rest = divmod(time.time_ns(), 1_000_000)
    value = (
        (milliseconds & (1 << 48) - 1) << 80
        | 0x7 << 76
        | (rest << 12) // 1_000_000 << 64
        | 0b10 << 62
        | secrets.randbits(62)
    )
    return UUID(int=value)


def new_session_id() -> int:
    """A random 63-bit number: one life of one worker process, never used again."""
    return secrets.randbits(63)
