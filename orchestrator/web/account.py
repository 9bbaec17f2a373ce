"""A person's own pages: who they are here, their password, their theme."""

from allauth.core import ratelimit
from django.contrib import messages
from django.contrib.auth import update_session_auth_hash
from django.contrib.auth.forms import PasswordChangeForm, SetPasswordForm
from django.http import HttpResponse, HttpResponseRedirect
from django.shortcuts import render
from django.urls import reverse
from django.views.decorators.debug import sensitive_post_parameters

from orchestrator.models import Membership, User
from orchestrator.services import signin as service
from orchestrator.web.access import PageRequest, SignedInRequest, page
from orchestrator.web.context import THEMES
from orchestrator.web.errors import error_page
from orchestrator.web.next import safe_next

YEAR = 365 * 24 * 3600  # seconds


@page
def account(request: SignedInRequest) -> HttpResponse:
    """Who you are here."""
    memberships = Membership.objects.filter(user=request.user).select_related("workspace").order_by("workspace__name")
    return render(request, "web/account.html", {"memberships": memberships})


@page
@sensitive_post_parameters()
def password(request: SignedInRequest) -> HttpResponse:
    """Change the password; people who came by a link set their first one."""
    user = request.user
    kind = PasswordChangeForm if user.has_usable_password() else SetPasswordForm
    form = kind(user, request.POST or None)
    if request.method == "POST":
        # Who found an open browser must not guess the old password here.
        if not ratelimit.consume(request, action="change_password", user=user):
            return error_page(request, 429, "Too many tries. Wait a minute, then try again.")
        if form.is_valid():
            service.change_password(user, form.cleaned_data["new_password1"])
            update_session_auth_hash(request, user)
            messages.success(request, "Your password is changed. Your other sessions have ended.")
            return HttpResponseRedirect(reverse("account"))
    return render(request, "web/password.html", {"form": form}, status=400 if form.errors else 200)


@page
def theme(request: PageRequest) -> HttpResponse:
    """Choose light, dark or as the system; kept with the person, or in this browser before signing in."""
    chosen = request.POST.get("theme", "")
    chosen = chosen if chosen in THEMES else ""
    response = HttpResponseRedirect(safe_next(request))
    if isinstance(request.user, User):
        service.choose_theme(request.user, chosen)
    response.set_cookie("theme", chosen, max_age=YEAR, httponly=True, samesite="Lax", secure=request.is_secure())
    return response
