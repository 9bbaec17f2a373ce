"""How browsers get our files: hashed names once collected, the plain files until then."""

import re
from pathlib import Path
from typing import Any

from django.conf import settings
from django.contrib.staticfiles.storage import ManifestStaticFilesStorage
from whitenoise.middleware import WhiteNoiseMiddleware

# Vite's own content hash, as in `island/assets/main-BX2a_9dQ.js`.
HASHED_BY_VITE = re.compile(r"/island/assets/.+-[\w-]{8}\.\w+$")
HASHED_BY_DJANGO = re.compile(r"\.[0-9a-f]{12}\.\w+$")


class StaticStorage(ManifestStaticFilesStorage):
    """Django's manifest storage, that leaves the island alone: Vite's files import each other by their own names."""

    manifest_strict = False
    support_js_module_import_aggregation = False

    def stored_name(self, name: str) -> str:
        # No manifest: nothing was collected, the files are served from their sources under their plain names.
        return super().stored_name(name) if self.hashed_files else name

    def hashed_name(self, name: str, content: Any = None, filename: str | None = None) -> str:
        return name if name.startswith("island/") else super().hashed_name(name, content, filename)


class StaticFiles(WhiteNoiseMiddleware):  # type: ignore[misc]
    """WhiteNoise, quiet about a folder that `collectstatic` has not made: the sources are served instead."""

    def add_files(self, root: str | Path, prefix: str | None = None) -> None:
        if Path(root).is_dir():
            super().add_files(root, prefix)


def is_immutable(path: str, url: str) -> bool:
    """Whether a browser may keep the file for ever: its name changes with its content."""
    return bool(HASHED_BY_VITE.search(url) or (url.startswith(settings.STATIC_URL) and HASHED_BY_DJANGO.search(url)))
