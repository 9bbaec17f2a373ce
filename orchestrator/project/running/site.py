"""Where a running Branchline can be opened, told by `up` to the commands beside it."""

from pathlib import Path

from django.conf import settings

FILE_NAME = "address"
DEFAULT = "http://127.0.0.1:8000"


def address_file() -> Path:
    return Path(settings.DATA_DIR) / FILE_NAME


def note_address(address: str) -> None:
    """Write the address down for `signin` and other commands on this data folder."""
    address_file().write_text(address + "\n", encoding="ascii")


def forget_address() -> None:
    address_file().unlink(missing_ok=True)


def site_address() -> str:
    """The configured address (BRANCHLINE_URL), else that of the running `up`, else where it would run."""
    if settings.SITE_URL:
        return str(settings.SITE_URL)
    try:
        return address_file().read_text(encoding="ascii").strip() or DEFAULT
    except OSError:
        return DEFAULT
