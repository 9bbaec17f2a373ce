"""A URL text -> the one host and port that are meant, or a refusal."""

from dataclasses import dataclass

import httpx

from orchestrator.core.http_errors import EgressBlocked

_PORTS = {"http": 80, "https": 443}
LONGEST_URL = 16_000


@dataclass(frozen=True, slots=True)
class Target:
    """Where a request goes. `host` is lower-case ASCII without a trailing dot, the same for test and connection."""

    scheme: str
    host: str
    port: int
    path: bytes

    @property
    def authority(self) -> str:
        """The Host header."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == _PORTS[self.scheme] else f"{host}:{self.port}"


def target_of(url: str) -> Target:
    """Parse once; everything after works on this. Raises `EgressBlocked` (url_invalid, url_scheme)."""
    if len(url) > LONGEST_URL:
        raise _invalid("is too long")
    try:
        parsed = httpx.URL(url)
        host = parsed.raw_host.decode("ascii").lower().strip("[]")
    except (httpx.InvalidURL, ValueError) as error:
        raise _invalid("cannot be read") from error
    if parsed.scheme not in _PORTS:
        scheme = parsed.scheme[:20] or "no scheme"
        raise EgressBlocked(f"Only http and https are allowed, not {scheme}.", code="url_scheme")
    if parsed.userinfo:
        raise _invalid("holds a user name. Send credentials in a header")
    host = host.removesuffix(".")
    if not host or "%" in host or len(host) > 253:
        raise _invalid("names no host")
    return Target(parsed.scheme, host, parsed.port or _PORTS[parsed.scheme], parsed.raw_path)


def _invalid(reason: str) -> EgressBlocked:
    return EgressBlocked(f"The URL {reason}. Write it like https://host/path.", code="url_invalid")
