"""Where to go after signing in: only to an address of our own."""

import re

from django.http import HttpRequest
from django.utils.http import url_has_allowed_host_and_scheme

#: Browsers drop tabs and line breaks inside addresses and read "\" as "/".
STRANGE = re.compile(r"[\x00-\x20\x7f\\]")
LONGEST = 2_000  # characters


def safe_next(request: HttpRequest, otherwise: str = "/") -> str:
    """The `next` of the form or address when it is a path on this site, else `otherwise`."""
    wished = request.POST.get("next") or request.GET.get("next") or ""
    return wished if is_local(wished) else otherwise


def is_local(address: str) -> bool:
    """Whether every browser stays on this site when it follows the address."""
    return (
        len(address) <= LONGEST
        and address.startswith("/")
        and not address.startswith("//")
        and not STRANGE.search(address)
        and url_has_allowed_host_and_scheme(address, allowed_hosts=None)
    )
