"""The canvas island's files, as Vite built them."""

import json
from pathlib import Path
from typing import Any

from django import template
from django.conf import settings
from django.contrib.staticfiles import finders
from django.templatetags.static import static
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString

register = template.Library()

FOLDER = "island"
MANIFEST = f"{FOLDER}/.vite/manifest.json"
ENTRY = "src/main.tsx"
NOT_BUILT = format_html(
    '<div class="notice" data-level="warning" role="alert"><p>{} <code>{}</code></p></div>',
    "The canvas is not built yet, so there is nothing to draw on. On the machine that serves Branchline, run",
    "make canvas",
)


@register.simple_tag
def island() -> SafeString:
    """Stylesheets and the module of the canvas; a message that says what to do when they are not built.

    Goes behind `<div id="canvas"></div>` and its `canvas-config`.
    """
    entry = built_entry()
    if entry is None:
        return NOT_BUILT
    files = [static(f"{FOLDER}/{file}") for file in entry.get("css", ())]
    styles = format_html_join("", '<link rel="stylesheet" href="{}">', ((file,) for file in files))
    return format_html('{}<script type="module" src="{}"></script>', styles, static(f"{FOLDER}/{entry['file']}"))


def built_entry() -> dict[str, Any] | None:
    """The manifest's row of the entry, None when nothing is built. Read each time: a build shows without a restart."""
    found = finders.find(MANIFEST) or str(Path(settings.STATIC_ROOT) / MANIFEST)
    try:
        manifest = json.loads(Path(found).read_text(encoding="utf-8"))
    except (FileNotFoundError, json.JSONDecodeError):
        return None
    entry: dict[str, Any] | None = manifest.get(ENTRY)
    return entry
