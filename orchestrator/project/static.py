"""How browsers get our files: hashed names once collected, the plain files until then."""

from pathlib import Path
from typing import Any

from django.contrib.staticfiles.storage import ManifestStaticFilesStorage
from whitenoise.middleware import WhiteNoiseMiddleware


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
