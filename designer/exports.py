"""Documents as downloads."""

from django.http import HttpResponse

from designer.queries.drafts import as_text
from orchestrator.api import Json


def export_response(name: str, document: Json) -> HttpResponse:
    """A download that no browser shows in place. `name` is a slug, so it needs no quoting."""
    return HttpResponse(
        as_text(document),
        content_type="application/json",
        headers={
            "Content-Disposition": f'attachment; filename="{name}.json"',
            "X-Content-Type-Options": "nosniff",
            "Content-Security-Policy": "sandbox",
        },
    )
