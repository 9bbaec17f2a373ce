"""Which pages may open a socket: browsers send cookies with sockets of any page, and no CSRF token protects them."""

from collections.abc import Mapping

from django.conf import settings
from django.http.request import split_domain_port, validate_host


def is_own_origin(headers: Mapping[str, str], scheme: str) -> bool:
    """Whether the Origin header names this very site: scheme, host and port. A missing one does not.

    `headers` by lower-case names; `scheme` of the handshake: ws or wss.

    Where `BRANCHLINE_URL` says the site's address, only that one (and CSRF_TRUSTED_ORIGINS) counts. Else it is the
    address that the handshake was sent to, if ALLOWED_HOSTS admits it: a page of another name can send no such Host.
    """
    origin = headers.get("origin", "").lower()
    if settings.CSRF_TRUSTED_ORIGINS:
        return origin in {known.lower().rstrip("/") for known in settings.CSRF_TRUSTED_ORIGINS}
    host = headers.get("host", "").lower()
    domain, _ = split_domain_port(host)
    if not domain or not validate_host(domain, settings.ALLOWED_HOSTS):
        return False
    return origin == f"{'https' if scheme == 'wss' else 'http'}://{host}"
