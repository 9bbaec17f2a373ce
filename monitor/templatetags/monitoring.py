"""Filters of the monitor's templates."""

from datetime import datetime
from typing import Any

from django import template
from django.templatetags.static import static
from django.utils import timezone
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString

from monitor.words import between
from orchestrator.api import KINDS
from orchestrator.templatetags.ui import icon

register = template.Library()

ATTEMPTS = {"S": "succeeded", "F": "failed", "T": "timed_out", "U": "failed", "K": "cancelled"}
HAPPENED = {
    "started": "Run started",
    "cancel_requested": "Cancellation asked",
    "stopped_hard": "What was at work was stopped without waiting",
    "deadline_passed": "The run's deadline passed",
    "paused": "Run paused",
    "resumed": "Run resumed",
    "released": "Left the queue of runs",
    "retried": "Retried",
    "rerun": "Run again from",
    "step_skipped": "Skipped",
    "succeeded": "Run succeeded",
    "failed": "Run failed",
    "cancelled": "Run cancelled",
    "undo_requested": "Undo asked",
    "undo_started": "The run failed, and its undo began",
    "undo_held": "The run failed while it was paused: its undo waits for the resume",
    "undo_retry": "Undo tried again",
    "undo_skip": "Undo skipped",
    "undo_by_hand": "Undone by hand",
    "undone": "Run undone",
    "undo_stuck": "Undo stuck: a person is needed",
}
#: state of a ledger's line -> (colour, icon, word)
UNDO_STATES = {
    "waiting": ("ready", "dots", "Waits for later steps"),
    "running": ("running", "spinner", "Being undone"),
    "undone": ("undone", "undo", "Undone"),
    "stuck": ("undo-failed", "undo-broken", "Could not be undone"),
    "unknown": ("undo-failed", "undo-broken", "Nobody knows whether it acted"),
    "skipped": ("skipped", "slash", "Skipped"),
    "by_hand": ("undone", "hand", "Done by hand"),
    "not_needed": ("skipped", "slash", "Not needed"),
    "irreversible": ("timed-out", "alert", "Has no undo"),
}
#: state of a delivery -> (colour, icon, word)
DELIVERIES = {
    "pending": ("ready", "dots", "On its way"),
    "delivered": ("succeeded", "check", "Delivered"),
    "ignored": ("skipped", "slash", "Not taken"),
    "dead": ("failed", "cross", "Dead letter"),
}


@register.filter
def took(begun: datetime | None, ended: datetime | None) -> str:
    """How long it took: `{{ run.started_at|took:run.finished_at }}`; until now while it lasts."""
    return between(begun, ended or timezone.now())


@register.filter
def attempt_state(outcome: str) -> str:
    """The state an attempt's letter stands for."""
    return ATTEMPTS.get(outcome, outcome)


@register.filter
def happened(kind: str) -> str:
    """What a record of a run says."""
    return HAPPENED.get(kind, kind.replace("_", " ").capitalize())


@register.filter
def kind_name(kind: str) -> str:
    """What people call a kind of step."""
    found = KINDS.get(kind)
    return found.name if found else kind


@register.filter
def undo_word(name: str) -> str:
    """What became of the undo of one step, as a word in a sentence."""
    return UNDO_STATES[name][2].lower() if name in UNDO_STATES else name


@register.simple_tag
def undo_state(name: str) -> SafeString:
    """What became of the undo of one step, as icon, word and colour."""
    return _badge(f"undo-{name}", *(UNDO_STATES.get(name) or ("ready", "dots", name)))


@register.simple_tag
def delivery_state(name: str) -> SafeString:
    """What became of an event at one step, as icon, word and colour."""
    return _badge(f"delivery-{name}", *(DELIVERIES.get(name) or ("ready", "dots", name)))


def _badge(exact: str, colour: str, picture: str, word: str) -> SafeString:
    return format_html(
        '<span class="state" data-state="{}" data-exact="{}">{}<span class="state-word">{}</span></span>',
        colour,
        exact,
        icon(picture),
        word,
    )


@register.filter
def lookup(mapping: Any, key: str) -> Any:
    """A value of a mapping by a key that is only known here."""
    return mapping.get(key) if mapping else None


@register.filter
def overdue(moment: datetime | None) -> bool:
    """Whether a due date has passed."""
    return moment is not None and moment < timezone.now()


@register.filter
def until_word(kind: str) -> str:
    """What the clock of a wait is called."""
    words = {"person": "due", "retry": "tries again", "time": "goes on", "limit": "next"}
    return words.get(kind, "deadline")


@register.filter
def wait_icon(kind: str) -> str:
    """The icon of what a step waits for."""
    return {
        "person": "person",
        "event": "signal",
        "time": "clock",
        "retry": "retry",
        "branch": "merge",
        "worker": "settings",
        "paused": "pause",
        "child": "nested",
        "lock": "lock",
        "undo": "undo",
        "limit": "runs",
    }.get(kind, "clock")


@register.simple_tag
def styles(*parts: str) -> SafeString:
    """Links to the stylesheets in `static/monitor/`: what the monitor's pages share, and the named parts."""
    places = (static(f"monitor/{part}.css") for part in ("shared", *parts))
    return format_html_join("", '<link rel="stylesheet" href="{}">', ((place,) for place in places))
