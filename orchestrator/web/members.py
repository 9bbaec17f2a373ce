"""The members page: who belongs here, with which roles and groups; and how long ended runs are kept."""

from django.contrib import messages
from django.http import HttpResponse, HttpResponseRedirect
from django.shortcuts import render
from django.urls import reverse

from orchestrator.core.errors import BranchlineError
from orchestrator.models.workspace import Role
from orchestrator.queries.members import members_for_actor
from orchestrator.queries.settings import workspace_for_settings
from orchestrator.services.members import LastAdmin, remove_member, set_member
from orchestrator.services.settings import keep_runs_for
from orchestrator.web.access import WorkspacePage, WorkspaceRequest, workspace_view
from orchestrator.web.forms import KeepRunsForm, MemberForm


class Members(WorkspacePage):
    """The list; `?edit=name` opens a row's form; POST adds or changes."""

    def get(self, request: WorkspaceRequest) -> HttpResponse:
        edited = members_for_actor(request.actor).filter(user__username=request.GET.get("edit", "")).first()
        initial = (
            {"username": edited.user.username, "roles": edited.roles, "groups": ", ".join(edited.groups)}
            if edited
            else {"roles": [Role.VIEWER]}
        )
        return self.show(request, MemberForm(initial=initial), edit=edited.user.username if edited else "")

    def post(self, request: WorkspaceRequest) -> HttpResponse:
        form = MemberForm(request.POST)
        edit = request.POST.get("edit", "")
        if form.is_valid() and self.save(request, form, edit):
            return HttpResponseRedirect(reverse("members", args=[request.actor.workspace_slug]))
        return self.show(request, form, edit=edit, status=400)

    def save(self, request: WorkspaceRequest, form: MemberForm, edit: str) -> bool:
        name = edit or form.cleaned_data["username"]
        if not edit and members_for_actor(request.actor).filter(user__username=name).exists():
            form.add_error("username", f"{name} is a member already. Change their roles in the list.")
            return False
        try:
            set_member(
                actor=request.actor, username=name, roles=form.cleaned_data["roles"], groups=form.cleaned_data["groups"]
            )
        except LastAdmin as error:
            form.add_error("roles", error.message)
        except BranchlineError as error:
            fields = {"user_unknown": "username", "group_invalid": "groups"}
            form.add_error(fields.get(error.error_code), error.message)
        else:
            messages.success(request, f"{name} is saved.")
        return form.is_valid()

    def show(
        self,
        request: WorkspaceRequest,
        form: MemberForm,
        *,
        edit: str,
        keep: KeepRunsForm | None = None,
        status: int = 200,
    ) -> HttpResponse:
        context = {
            "members": members_for_actor(request.actor),
            "form": form,
            "edit": edit,
            "keep": keep or keep_form(request),
        }
        return render(request, "web/members.html", context, status=status)


class KeepRuns(Members):
    """How long ended runs are kept."""

    def post(self, request: WorkspaceRequest) -> HttpResponse:
        keep = KeepRunsForm(request.POST)
        if not keep.is_valid():
            return self.show(request, MemberForm(initial={"roles": [Role.VIEWER]}), edit="", keep=keep, status=400)
        days = keep_runs_for(actor=request.actor, days=keep.cleaned_data["days"]).keep_runs_days
        kept = "for ever" if days is None else "for 1 day" if days == 1 else f"for {days} days"
        messages.success(request, f"Ended runs are kept {kept}.")
        return HttpResponseRedirect(reverse("members", args=[request.actor.workspace_slug]))


def keep_form(request: WorkspaceRequest) -> KeepRunsForm | None:
    """What is set now, for those who may change it."""
    workspace = workspace_for_settings(request.actor).first()
    return KeepRunsForm(initial={"days": workspace.keep_runs_days}) if workspace else None


@workspace_view
def remove(request: WorkspaceRequest, username: str) -> HttpResponse:
    """Take somebody out of the workspace."""
    try:
        remove_member(actor=request.actor, username=username)
    except LastAdmin as error:
        messages.error(request, error.message)
    else:
        messages.success(request, f"{username} is no longer a member.")
    return HttpResponseRedirect(reverse("members", args=[request.actor.workspace_slug]))
