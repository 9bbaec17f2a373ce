"""Signing in and out. Accounts are never made here, and no answer tells whether a name exists."""

from typing import Any

import structlog
from allauth.account.adapter import get_adapter
from allauth.account.utils import perform_login
from django import forms
from django.contrib.auth import logout
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import render
from django.urls import reverse
from django.views.decorators.debug import sensitive_post_parameters
from redis.exceptions import RedisError

from orchestrator.models import User
from orchestrator.queries.actors import workspaces_of
from orchestrator.services import signin as service
from orchestrator.web.access import PageRequest, page
from orchestrator.web.forms import SigninForm
from orchestrator.web.next import safe_next

logger = structlog.get_logger(__name__)
WRONG = "The user name or the password is wrong."
TOO_MANY = "Too many tries. Wait a few minutes, then try again, or ask an administrator for a sign-in link."
UNCOUNTED = (
    "Signing in by password is not possible just now: the server cannot count tries, because Redis or Valkey does not "
    "answer. Try again in a minute, or ask an administrator for a sign-in link."
)
#: Seconds after which trying again makes sense.
PATIENCE = 60


@page
def home(request: PageRequest) -> HttpResponse:
    """The front page of the first workspace, or a word on what to do without one."""
    if not isinstance(request.user, User):
        return HttpResponseRedirect(reverse("signin"))
    if workspace := workspaces_of(request.user.pk).first():
        return HttpResponseRedirect(f"/w/{workspace.slug}/")
    return render(request, "web/no_workspace.html")


@page
@sensitive_post_parameters("password")
def signin(request: PageRequest) -> HttpResponse:
    """Sign in by user name and password."""
    if request.method == "POST":
        return try_password(request)
    if request.user.is_authenticated:
        return HttpResponseRedirect(safe_next(request))
    return signin_page(request, SigninForm())


def try_password(request: PageRequest) -> HttpResponse:
    form = SigninForm(request.POST)
    if not form.is_valid():
        return signin_page(request, form, status=400)
    name = form.cleaned_data["username"]
    try:
        user = get_adapter(request).authenticate(request, username=name, password=form.cleaned_data["password"])
    except forms.ValidationError:
        form.add_error(None, TOO_MANY)
        return signin_page(request, form, status=429)
    except RedisError:
        # Refused, not let through: without the count anybody could guess passwords as fast as they like.
        logger.warning("nobody can sign in by password: the cache does not answer")
        form.add_error(None, UNCOUNTED)
        return signin_page(request, form, status=503)
    # allauth also names a person whose account is closed: for us they do not exist.
    if not isinstance(user, User) or not user.is_active:
        service.note_refused_signin(name)
        form.add_error(None, WRONG)
        return signin_page(request, form, status=401)
    service.note_signin(user)
    return signed_in(request, user, safe_next(request))


def signin_page(request: HttpRequest, form: SigninForm, status: int = 200) -> HttpResponse:
    context = {"form": form, "next": safe_next(request, "")}
    response = render(request, "web/signin.html", context, status=status)
    if status in {429, 503}:
        response["Retry-After"] = str(PATIENCE)
    return response


def signed_in(request: HttpRequest, user: User, address: str) -> HttpResponse:
    """Begin a new session (a fresh key: one planted before is worth nothing)."""
    response: HttpResponse = perform_login(request, user, email_verification="none", redirect_url=address)
    return response


@page
def signin_link(request: PageRequest, link: str) -> HttpResponse:
    """A one-time link. Opening it changes nothing, so that a mail scanner cannot use it up; the button does."""
    refused = ""
    if request.method == "POST":
        try:
            return signed_in(request, service.use_signin_link(link), "/")
        except service.LinkInvalid as error:
            refused = error.message
    response = render(request, "web/signin_link.html", {"refused": refused}, status=403 if refused else 200)
    # The address is a secret: it leaves this server as nobody's referrer. Not "no-referrer": with it browsers send
    # the button's POST with `Origin: null`, which the CSRF check refuses.
    response["Referrer-Policy"] = "same-origin"
    return response


@page
def signout(request: PageRequest, **_: Any) -> HttpResponse:
    """End this session."""
    if isinstance(request.user, User):
        service.note_signout(request.user)
    logout(request)
    return HttpResponseRedirect(reverse("signin"))
