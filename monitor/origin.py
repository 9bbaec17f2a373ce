"""Which pages may open a socket: browsers send cookies with sockets of any page, and no CSRF token protects them."""

from collections.abc import Mapping
from typing import Any

from django.conf import settings
from django.http.request import split_domain_port, validate_host


def is_own_origin(scope: Mapping[str, Any]) -> bool:
    """Whether the Origin header names this very site: scheme, host and port. A missing one does not.

    Where `BRANCHLINE_URL` says the site's address, only that one (and CSRF_TRUSTED_ORIGINS) counts. Else it is the
    address that the handshake was sent to, if ALLOWED_HOSTS admits it: a page of another name can send no such Host.
    """
    headers = {bytes(name).lower(): bytes(value).decode("latin-1").lower() for name, value in scope["headers"]}
    origin = headers.get(b"origin", "")
    if settings.CSRF_TRUSTED_ORIGINS:
        return origin in {known.lower().rstrip("/") for known in settings.CSRF_TRUSTED_ORIGINS}
    host = headers.get(b"host", "")
    domain, _ = split_domain_port(host)
    if not domain or not validate_host(domain, settings.ALLOWED_HOSTS):
        return False
    return origin == f"{'https' if scope.get('scheme') == 'wss' else 'http'}://{host}"
