"""Tags that every page shares: icons, states, times, navigation."""

from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from typing import Any

from django import template
from django.templatetags.static import static
from django.urls import NoReverseMatch, reverse
from django.utils import timezone
from django.utils.html import format_html
from django.utils.safestring import SafeString

register = template.Library()

#: state -> (what colours it, icon, word). The same everywhere: canvas, lists, timeline, mail.
STATES: dict[str, tuple[str, str, str]] = {
    "ready": ("ready", "dots", "Ready"),
    "queued": ("ready", "dots", "Queued"),
    "running": ("running", "spinner", "Running"),
    "waiting": ("waiting", "clock", "Waiting"),
    "waiting-person": ("waiting", "person", "Waiting for a person"),
    "waiting-event": ("waiting", "signal", "Waiting for an event"),
    "waiting-time": ("waiting", "clock", "Waiting for a time"),
    "waiting-child": ("waiting", "nested", "Waiting for a run"),
    "waiting-branch": ("waiting", "merge", "Waiting for branches"),
    "waiting-worker": ("ready", "dots", "Waiting for a worker"),
    "waiting-undo": ("undone", "undo", "Waiting for an undo"),
    "paused": ("ready", "pause", "Paused"),
    "held": ("ready", "pause", "Held"),
    "retrying": ("retrying", "retry", "Retrying"),
    "succeeded": ("succeeded", "check", "Succeeded"),
    "failed": ("failed", "cross", "Failed"),
    "timed_out": ("timed-out", "clock-cross", "Timed out"),
    "skipped": ("skipped", "slash", "Skipped"),
    "cancelling": ("cancelled", "stop", "Cancelling"),
    "cancelled": ("cancelled", "stop", "Cancelled"),
    "undoing": ("undone", "undo", "Undoing"),
    "undone": ("undone", "undo", "Undone"),
    "undo_failed": ("undo-failed", "undo-broken", "Could not be undone"),
    "undo_stuck": ("undo-failed", "undo-broken", "Could not be undone"),
    # human tasks
    "open": ("waiting", "person", "Open"),
    "claimed": ("waiting", "person", "Taken"),
    "done": ("succeeded", "check", "Done"),
    "expired": ("timed-out", "clock-cross", "Expired"),
}


@register.simple_tag
def icon(name: str, label: str = "") -> SafeString:
    """The icon of our sprite. Without a label it is decoration; with one it is an image that is read out."""
    address = f"{static('icons.svg')}#{name}"
    if label:
        return format_html('<svg class="icon" role="img" aria-label="{}"><use href="{}"/></svg>', label, address)
    return format_html('<svg class="icon" aria-hidden="true"><use href="{}"/></svg>', address)


@register.simple_tag
def state(name: str, waiting: str | None = "", word: str = "") -> SafeString:
    """A state as icon, word and colour: `{% state run.state %}`, `{% state step.state waiting=step.waiting.kind %}`.

    `word` replaces the usual word where there is more to say ("Retrying, 3 of 5").
    """
    exact = f"{name}-{waiting}" if f"{name}-{waiting}" in STATES else str(name)
    colour, picture, usual = STATES.get(exact) or ("ready", "dots", exact)
    return format_html(
        '<span class="state" data-state="{}" data-exact="{}">{}<span class="state-word">{}</span></span>',
        colour,
        exact,
        icon(picture),
        word or usual,
    )


@register.simple_tag
def moment(value: datetime | None, otherwise: str = "–") -> SafeString:
    """A time, relative to now, kept fresh by time.js; hovering shows it exactly, in the viewer's zone."""
    if value is None:
        return format_html('<span class="muted">{}</span>', otherwise)
    exact = value.astimezone(timezone.get_current_timezone())
    return format_html(
        '<time datetime="{}" title="{}" data-relative>{}</time>',
        value.isoformat(),
        f"{exact:%Y-%m-%d %H:%M:%S %Z}",
        relative(value - timezone.now()),
    )


#: largest unit first: seconds in it, its short name
UNITS = ((86_400 * 365, "y"), (86_400 * 30, "mo"), (86_400, "d"), (3_600, "h"), (60, "min"), (1, "s"))


def relative(distance: timedelta) -> str:
    """ "12 s ago", "in 3 h", "now". The same words as time.js."""
    seconds = distance.total_seconds()
    size, unit = next(((size, unit) for size, unit in UNITS if abs(seconds) >= size), (1, "s"))
    count = int(abs(seconds) // size)
    if count < 1:
        return "now"
    return f"{count} {unit} ago" if seconds < 0 else f"in {count} {unit}"


@register.filter
def duration(value: timedelta | float | None) -> str:
    """A length of time with two units at most: "840 ms", "12.4 s", "3 min 5 s", "2 h 10 min"."""
    if value is None:
        return "–"
    seconds = value.total_seconds() if isinstance(value, timedelta) else float(value)
    if seconds < 0.9995:
        return f"{seconds * 1000:.0f} ms"
    if seconds < 59.95:
        return f"{seconds:.1f} s"
    # Rounded before it is divided, so that no unit ever reads 60.
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes} min {rest} s"
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min" if hours < 48 else f"{hours // 24} d {hours % 24} h"


@register.filter
def in_order(names: Iterable[str]) -> list[str]:
    """Roles in the order of the policy's table."""
    order = list(PURPOSES)
    return sorted(names, key=lambda name: order.index(name) if name in order else len(order))


@register.filter
def roles(names: Iterable[str]) -> str:
    """Roles as one text: "operator, editor"."""
    return ", ".join(in_order(names))


@register.simple_tag(takes_context=True)
def current_workspace(context: Any) -> str:
    """The name of the workspace the page belongs to."""
    slug = context["actor"].workspace_slug
    return next((str(found.name) for found in context.get("workspaces", ()) if found.slug == slug), str(slug))


@register.simple_tag(takes_context=True)
def nav_link(context: Any, route: str, word: str, picture: str, count: int | None = None) -> SafeString:
    """A link of the main navigation, marked when the page lies below it. Nothing while the route does not exist."""
    try:
        address = reverse(route, args=[context["actor"].workspace_slug])
    except NoReverseMatch:
        return SafeString("")
    path = context["request"].path
    here = path == address if route == "front" else path.startswith(address)
    current = format_html(' aria-current="{}"', "page" if path == address else "true") if here else ""
    badge = "" if count is None else counted(int(count))
    return format_html('<a href="{}"{}>{}<span>{}</span>{}</a>', address, current, icon(picture), word, badge)


def counted(count: int) -> SafeString:
    if not count:
        return SafeString("")
    shown = "99+" if count > 99 else str(count)
    return format_html('<span class="count"><span class="visually-hidden">, </span>{}</span>', shown)


#: What each role is for, beside its checkbox.
PURPOSES = {
    "viewer": "sees workflows and runs",
    "operator": "starts and repairs runs",
    "approver": "answers forms",
    "editor": "draws and publishes",
    "admin": "manages members and settings",
}


@register.simple_tag
def purpose(role: str) -> str:
    """What the role is for, in a few words."""
    return PURPOSES.get(role, "")


@register.filter
def facts(detail: Mapping[str, Any]) -> str:
    """An audit row's detail as one line: "roles: editor, viewer; groups: none"."""
    return "; ".join(f"{name}: {plain(value)}" for name, value in detail.items())


def plain(value: Any) -> str:
    if isinstance(value, list):
        return ", ".join(str(item) for item in value) or "none"
    return str(value)
