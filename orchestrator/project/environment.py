"""What the process environment says, as typed values.

Every variable is optional; docs and README list them. A value that cannot be used stops the start with one
clear line instead of being guessed.
"""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

from django.core.exceptions import ImproperlyConfigured

TRUE = frozenset({"1", "true", "yes", "on"})
FALSE = frozenset({"", "0", "false", "no", "off"})
ABANDONED = 60  # seconds of a client's silence after which its transaction is taken back


@dataclass(frozen=True, slots=True)
class Environment:
    """Typed reads of one mapping of variables (the process environment, or a test's own)."""

    variables: Mapping[str, str]

    def text(self, name: str, default: str = "") -> str:
        return self.variables.get(name, "").strip() or default

    def flag(self, name: str, *, default: bool = False) -> bool:
        """A switch: 1, true, yes, on, or their opposites. Raises ImproperlyConfigured on anything else."""
        value = self.text(name).lower()
        if not value:
            return default
        if value not in TRUE | FALSE:
            raise ImproperlyConfigured(f'{name} is "{value}". Write 1 or 0.')
        return value in TRUE

    def number(self, name: str, default: int) -> int:
        """A whole number. Raises ImproperlyConfigured on anything else."""
        value = self.text(name)
        if value and not value.isdecimal():
            raise ImproperlyConfigured(f'{name} is "{value}". Write a whole number.')
        return int(value) if value else default

    def words(self, name: str, default: str = "") -> list[str]:
        """A comma-separated list; blanks are dropped."""
        return [word.strip() for word in self.text(name, default).split(",") if word.strip()]

    def given(self, name: str) -> bool:
        """Whether the variable is present at all, even empty."""
        return name in self.variables


def process_environment() -> Environment:
    """The variables this process was started with."""
    return Environment(os.environ)


def data_folder(environment: Environment, base: Path) -> Path:
    """Where the embedded servers, the generated key and logs live (`DATA`, default `.branchline`)."""
    return (
        Path(environment.text("BRANCHLINE_DATA") or environment.text("DATA") or base / ".branchline")
        .expanduser()
        .absolute()
    )


def database_from_url(url: str) -> dict[str, Any]:
    """Read `postgresql://user:password@host:port/name?option=value` into a Django database entry.

    A folder of sockets is written as `?host=/folder`. Raises ImproperlyConfigured for another scheme or no name.
    """
    parts = urlsplit(url)
    if parts.scheme not in {"postgres", "postgresql"}:
        raise ImproperlyConfigured(
            f'DATABASE_URL starts with "{parts.scheme}:". Branchline keeps its data in PostgreSQL: postgresql://...'
        )
    name = unquote(parts.path.lstrip("/"))
    if not name:
        raise ImproperlyConfigured("DATABASE_URL names no database. Write postgresql://user:password@host/NAME.")
    options = dict(parse_qsl(parts.query))
    return {
        "NAME": name,
        "USER": unquote(parts.username or ""),
        "PASSWORD": unquote(parts.password or ""),
        "HOST": options.pop("host", parts.hostname or ""),
        "PORT": options.pop("port", str(parts.port or "")),
        "OPTIONS": options,
    }


def session_options(options: Mapping[str, str]) -> str:
    """What each connection says of itself; what DATABASE_URL says as `options=` comes after it and wins.

    The transaction of a host that stands still or was cut off holds its locks until PostgreSQL takes it back.
    """
    return f"-c idle_in_transaction_session_timeout={ABANDONED}s {options.get('options', '')}".rstrip()


def redis_url(broker_url: str) -> str:
    """The same server, written as redis-py reads it (`unix://` where Celery writes `redis+socket://`)."""
    parts = urlsplit(broker_url)
    if parts.scheme == "redis+socket":
        database = dict(parse_qsl(parts.query)).get("virtual_host", "0")
        return f"unix://{parts.path}?db={database}"
    return broker_url


def email_from_url(url: str) -> dict[str, Any]:
    """Read EMAIL_URL into Django's EMAIL_* settings.

    `smtp://user:password@host:port` (STARTTLS: `smtp+tls:`, TLS from the first byte: `smtps:`), `file:///folder`
    or `console:`. Raises ImproperlyConfigured for anything else.
    """
    parts = urlsplit(url)
    if parts.scheme == "console":
        return {"EMAIL_BACKEND": "django.core.mail.backends.console.EmailBackend"}
    if parts.scheme == "file":
        return {"EMAIL_BACKEND": "django.core.mail.backends.filebased.EmailBackend", "EMAIL_FILE_PATH": parts.path}
    ports = {"smtp": 25, "smtp+tls": 587, "smtps": 465}
    if parts.scheme not in ports or not parts.hostname:
        raise ImproperlyConfigured(
            f'EMAIL_URL starts with "{parts.scheme}:". Write console:, file:///folder or smtp+tls://user:password@host.'
        )
    return {
        "EMAIL_BACKEND": "django.core.mail.backends.smtp.EmailBackend",
        "EMAIL_HOST": parts.hostname,
        "EMAIL_PORT": parts.port or ports[parts.scheme],
        "EMAIL_HOST_USER": unquote(parts.username or ""),
        "EMAIL_HOST_PASSWORD": unquote(parts.password or ""),
        "EMAIL_USE_TLS": parts.scheme == "smtp+tls",
        "EMAIL_USE_SSL": parts.scheme == "smtps",
        "EMAIL_TIMEOUT": 10,
    }
