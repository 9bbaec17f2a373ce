"""The key that signs sessions: given, or made once for this machine. There is no default key."""

import os
import secrets
from pathlib import Path

from django.core.exceptions import ImproperlyConfigured

from orchestrator.project.environment import Environment

FILE_NAME = "secret_key"
LEAST_LENGTH = 50
LEAST_DIFFERENT = 12


def secret_key(environment: Environment, folder: Path) -> str:
    """The key from `SECRET_KEY`, else the one kept in the data folder, made there on the first start.

    Raises ImproperlyConfigured when a given key is empty or weak: signing with it would be no protection.
    """
    if environment.given("SECRET_KEY"):
        return checked(environment.text("SECRET_KEY"), "SECRET_KEY")
    path = folder / FILE_NAME
    try:
        return checked(make(path) if (key := kept(path)) is None else key, str(path))
    except OSError as error:
        raise ImproperlyConfigured(
            f"The data folder {folder} cannot be used: {error.strerror}. Free it, or choose another with DATA=."
        ) from error


def kept(path: Path) -> str | None:
    try:
        return path.read_text(encoding="ascii").strip()
    except FileNotFoundError:
        return None


def checked(key: str, source: str) -> str:
    """The key itself, when it is hard to guess; else ImproperlyConfigured."""
    if len(key) < LEAST_LENGTH or len(set(key)) < LEAST_DIFFERENT or key.startswith("django-insecure-"):
        raise ImproperlyConfigured(
            f"{source} is empty or easy to guess ({len(key)} characters). Give at least {LEAST_LENGTH} random "
            "characters (`openssl rand -base64 48`), or unset it to have one made in the data folder."
        )
    return key


def make(path: Path) -> str:
    """Write a new random key readable by this user only; when another process was faster, take its key."""
    key = secrets.token_urlsafe(64)
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    temporary = path.with_name(f".{FILE_NAME}.{os.getpid()}.{secrets.token_hex(4)}")
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(descriptor, "w", encoding="ascii") as file:
            file.write(key + "\n")
        # link() fails when the name exists, so of two starts at once both end with the same key.
        os.link(temporary, path)
    except FileExistsError:
        return path.read_text(encoding="ascii").strip()
    finally:
        temporary.unlink(missing_ok=True)
    return key
