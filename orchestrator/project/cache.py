"""What the cache stores is JSON: unpickling what a shared server returns would be running it."""

import json
from typing import Any


class JsonSerializer:
    """Serializer for Django's Redis cache backend. Whole numbers stay digits, so `incr` works on them."""

    def dumps(self, value: Any) -> bytes:
        return json.dumps(value, separators=(",", ":")).encode()

    def loads(self, stored: bytes) -> Any:
        return json.loads(stored)
