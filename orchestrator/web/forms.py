"""The forms of the pages around sign-in, members and tokens."""

from datetime import timedelta
from typing import Any

from django import forms
from django.utils import timezone

from orchestrator.models.queue_limit import LONGEST_PERIOD, MOST_AT_ONCE, MOST_STARTS
from orchestrator.models.workspace import MOST_KEPT_DAYS, Role

ROLE_CHOICES = [(str(role), str(role).capitalize()) for role in Role]


class PlainForm(forms.Form):
    """Labels as they are written, without a colon behind."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **{"label_suffix": "", **kwargs})


class SigninForm(PlainForm):
    """User name and password."""

    username = forms.CharField(
        label="User name",
        max_length=150,
        widget=forms.TextInput(attrs={"autocomplete": "username", "autocapitalize": "none", "autofocus": True}),
    )
    password = forms.CharField(
        label="Password",
        max_length=4096,
        strip=False,
        widget=forms.PasswordInput(attrs={"autocomplete": "current-password"}),
    )


class GroupsField(forms.CharField):
    """Group names separated by commas or spaces; the service says which names are good."""

    def clean(self, value: Any) -> list[str]:
        return sorted({name for name in super().clean(value).replace(",", " ").split() if name})


class MemberForm(PlainForm):
    """A person and what they may do here."""

    username = forms.CharField(
        label="User name",
        max_length=150,
        widget=forms.TextInput(attrs={"autocomplete": "off", "autocapitalize": "none"}),
    )
    roles = forms.MultipleChoiceField(
        label="Roles", choices=ROLE_CHOICES, required=False, widget=forms.CheckboxSelectMultiple
    )
    groups = GroupsField(
        label="Groups",
        required=False,
        max_length=4000,
        help_text="Names that forms are assigned to, such as managers. Separate them by commas.",
        widget=forms.TextInput(attrs={"autocomplete": "off", "placeholder": "managers, finance"}),
    )


class KeepRunsForm(PlainForm):
    """How long ended runs are kept."""

    days = forms.IntegerField(
        label="Days",
        required=False,
        min_value=1,
        max_value=MOST_KEPT_DAYS,
        help_text="Empty: for ever. Older runs are deleted with their steps, values, tasks and decisions, "
        "and older events that no kept run has had.",
        widget=forms.NumberInput(attrs={"autocomplete": "off", "placeholder": "for ever"}),
    )


class QueueLimitForm(PlainForm):
    """What the workspace lets begin on a queue."""

    PERIODS = (("1", "second"), ("60", "minute"), ("3600", "hour"), ("86400", "day"))

    queue = forms.CharField(label="Queue", max_length=63, widget=forms.TextInput(attrs={"autocomplete": "off"}))
    concurrency = forms.IntegerField(
        label="Steps at once",
        required=False,
        min_value=1,
        max_value=MOST_AT_ONCE,
        help_text="In workers' hands, over all workers. Empty: as many as there are.",
        widget=forms.NumberInput(attrs={"autocomplete": "off", "placeholder": "no limit"}),
    )
    starts = forms.IntegerField(
        label="Starts",
        required=False,
        min_value=1,
        max_value=MOST_STARTS,
        help_text="In each period, evenly spaced. Empty: as fast as they come.",
        widget=forms.NumberInput(attrs={"autocomplete": "off", "placeholder": "no limit"}),
    )
    period = forms.ChoiceField(label="Per", choices=PERIODS, initial="60", required=False)
    burst = forms.IntegerField(
        label="Burst",
        required=False,
        min_value=1,
        max_value=MOST_STARTS,
        help_text="Starts that may come at once after a quiet time.",
        widget=forms.NumberInput(attrs={"autocomplete": "off", "placeholder": "1"}),
    )

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        held = str(self.data.get("period") or self.initial.get("period") or "60")
        if held not in dict(self.PERIODS) and held.isdigit() and 1 <= int(held) <= LONGEST_PERIOD:
            # One that was set through the API.
            choices = [*self.PERIODS, (held, f"{held} seconds")]
            self.fields["period"].choices = choices  # type: ignore[attr-defined]

    def clean_period(self) -> str:
        return self.cleaned_data["period"] or "60"


class TokenForm(PlainForm):
    """An API token that somebody wishes for themselves."""

    LIFETIMES = (("30", "30 days"), ("90", "90 days"), ("365", "1 year"), ("0", "No end"))

    name = forms.CharField(
        label="Name",
        max_length=120,
        help_text="What will use it, so that it can be told apart later.",
        widget=forms.TextInput(attrs={"autocomplete": "off", "placeholder": "Nightly import"}),
    )
    lifetime = forms.ChoiceField(label="Ends after", choices=LIFETIMES, initial="90")
    roles = forms.MultipleChoiceField(label="Roles", widget=forms.CheckboxSelectMultiple)

    def __init__(self, *args: Any, held: frozenset[str], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        choices = [choice for choice in ROLE_CHOICES if choice[0] in held]
        self.fields["roles"].choices = choices  # type: ignore[attr-defined]

    @property
    def expires_at(self) -> Any:
        """The chosen end, or None."""
        days = int(self.cleaned_data["lifetime"])
        return timezone.now() + timedelta(days=days) if days else None
