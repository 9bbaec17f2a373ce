"""One-time sign-in links, and the record of who came and went."""

import hashlib
import secrets
from datetime import timedelta

from django.db import transaction
from django.utils import timezone

from orchestrator import audit
from orchestrator.core.errors import BranchlineError
from orchestrator.models import SigninLink, User

LIFETIME = timedelta(minutes=15)


class LinkInvalid(BranchlineError):
    """The link is unknown, used, too old, or its person's account is closed: from outside all the same."""

    code = "link_invalid"
    status = 403


def create_signin_link(user: User) -> str:
    """Make a link that signs the user in once within 15 minutes; returns its path. For the machine's administrator."""
    plain = secrets.token_urlsafe(32)
    with transaction.atomic():
        SigninLink.objects.filter(expires_at__lt=timezone.now() - LIFETIME).delete()
        SigninLink.objects.create(user=user, digest=digest(plain), expires_at=timezone.now() + LIFETIME)
        audit.record_outside("signin.link", user_id=user.pk, username=user.username)
    return f"/signin/link/{plain}/"


def use_signin_link(plain: str) -> User:
    """Use the link up and return whose it is. Raises LinkInvalid, also for the second of two uses at once."""
    now = timezone.now()
    with transaction.atomic():
        # Claimed by one conditional UPDATE: of two people with one link the second finds zero rows. No join in it:
        # Django would turn that into a subselect, which PostgreSQL does not check again after waiting for the row.
        won = SigninLink.objects.filter(digest=digest(plain), used_at=None, expires_at__gt=now).update(used_at=now)
        user = User.objects.filter(signin_links__digest=digest(plain), is_active=True).first()
        if not won or user is None:
            raise LinkInvalid("This link was used already or is older than 15 minutes. Ask for a new one.")
        audit.record_outside("signin", user_id=user.pk, username=user.username, detail={"by": "link"})
    return user


def digest(plain: str) -> bytes:
    """What is kept of a link. 256 random bits need no slow hash; looking up by digest leaks no prefix by timing."""
    return hashlib.sha256(plain.encode("utf-8", "surrogatepass")).digest()


def note_signin(user: User) -> None:
    """Record a sign-in by password."""
    audit.record_outside("signin", user_id=user.pk, username=user.username, detail={"by": "password"})


def note_refused_signin(username: str) -> None:
    """Record a refused sign-in. The name is what was typed: it may belong to nobody."""
    audit.record_outside("signin", username=username, allowed=False)


def note_signout(user: User) -> None:
    audit.record_outside("signout", user_id=user.pk, username=user.username)


def change_password(user: User, password: str) -> None:
    """Set a password that the form has checked; every other session of the user ends by it."""
    with transaction.atomic():
        user.set_password(password)
        user.save(update_fields=["password"])
        audit.record_outside("password.change", user_id=user.pk, username=user.username)


def choose_theme(user: User, theme: str) -> None:
    """Remember how the user wants to see the pages; "" follows their system."""
    User.objects.filter(pk=user.pk).update(theme=theme)
