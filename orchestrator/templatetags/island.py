"""`{% island %}`: the style sheets and the module script of the canvas, as Vite built them."""

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

ENTRY = "src/main.tsx"
MANIFEST = "island/.vite/manifest.json"
NOT_BUILT = format_html(
    '<div class="notice" data-level="warning" role="alert"><p>{} <code>{}</code></p></div>',
    "The canvas is not built yet, so there is nothing to show. On the machine that serves Branchline, run",
    "make canvas",
)
_read: dict[Path, tuple[int, dict[str, Any]]] = {}


@register.simple_tag
def island() -> SafeString:
    """The tags that load the canvas, or a message that says what to do when it has not been built.

    Goes behind `<div id="canvas"></div>` and its `canvas-config`.
    """
    manifest = built()
    entry = manifest.get(ENTRY)
    if entry is None:
        return NOT_BUILT
    chunks = [entry, *(manifest[name] for name in _imports(manifest, ENTRY))]
    styles = dict.fromkeys(style for chunk in chunks for style in chunk.get("css", ()))
    return format_html(
        '{}{}<script type="module" src="{}"></script>',
        format_html_join("", '<link rel="stylesheet" href="{}">', ((_address(style),) for style in styles)),
        format_html_join(
            "", '<link rel="modulepreload" href="{}">', ((_address(chunk["file"]),) for chunk in chunks[1:])
        ),
        _address(entry["file"]),
    )


@register.simple_tag
def island_is_built() -> bool:
    """Whether there is a canvas to load."""
    return ENTRY in built()


def built() -> dict[str, Any]:
    """Vite's manifest; empty when the canvas was never built. Read again only when the file changes."""
    found = finders.find(MANIFEST)
    path = Path(found) if isinstance(found, str) else Path(settings.STATIC_ROOT) / MANIFEST
    try:
        changed = path.stat().st_mtime_ns
    except OSError:
        return {}
    if path not in _read or _read[path][0] != changed:
        _read[path] = changed, json.loads(path.read_text())
    return _read[path][1]


def _imports(manifest: dict[str, Any], name: str) -> list[str]:
    """Every chunk the entry imports at once, nearest first."""
    found: dict[str, None] = {}
    waiting = list(manifest[name].get("imports", ()))
    while waiting:
        chunk = waiting.pop(0)
        if chunk not in found:
            found[chunk] = None
            waiting += manifest[chunk].get("imports", ())
    return list(found)


def _address(path: str) -> str:
    return static(f"island/{path}")
