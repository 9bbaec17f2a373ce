"""Who may do what, as data. Permission checks, disabled buttons, docs and access tests all come from these tables.

`POLICY` says which roles an action needs, `ROUTES` which action each method of each route is, `SOCKETS` which
action each kind of live subscription is. A route without its row, or a row without its route, fails the tests.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from orchestrator import audit
from orchestrator.core.actor import Actor
from orchestrator.core.errors import Forbidden
from orchestrator.models.workspace import Role

__all__ = ["POLICY", "ROUTES", "SOCKETS", "Access", "Action", "Actor", "Denied", "Rule", "may", "narrowed", "require"]


class Action(StrEnum):
    """Everything a member can be allowed or refused."""

    WORKFLOW_READ = "workflow.read"
    RUN_READ = "run.read"
    RUN_READ_DATA = "run.read_data"
    RUN_START = "run.start"
    RUN_CONTROL = "run.control"
    DRAFT_EDIT = "draft.edit"
    WORKFLOW_PUBLISH = "workflow.publish"
    TRIGGER_EDIT = "trigger.edit"
    EVENT_EMIT = "event.emit"
    SECRET_EDIT = "secret.edit"
    TASK_READ = "task.read"
    TASK_DECIDE = "task.decide"
    TASK_REASSIGN = "task.reassign"
    MEMBER_MANAGE = "member.manage"
    TOKEN_MANAGE = "token.manage"
    AUDIT_READ = "audit.read"
    SETTINGS_EDIT = "settings.edit"


class Access(StrEnum):
    """What a route asks for when it is no action of a role."""

    PUBLIC = "public"  #: anybody, signed in or not
    SIGNED_IN = "signed_in"  #: a session, whatever the workspace
    MACHINE = "machine"  #: callers on this machine, or with the machine's own token; the view checks it
    MEMBER = "member"  #: a member of the workspace, whatever the role


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """Which roles an action needs."""

    #: May do it to everything in the workspace.
    roles: frozenset[Role]
    #: May do it to some things only: the query for the actor narrows, see `note`.
    limited: frozenset[Role] = frozenset()
    note: str = ""
    #: What a disabled button says.
    sentence: str


V, O, A, E, AD = Role.VIEWER, Role.OPERATOR, Role.APPROVER, Role.EDITOR, Role.ADMIN  # noqa: E741  letters of the table


def rule(sentence: str, *roles: Role, limited: tuple[Role, ...] = (), note: str = "") -> Rule:
    return Rule(roles=frozenset(roles), limited=frozenset(limited), note=note, sentence=sentence)


POLICY: Final[Mapping[Action, Rule]] = {
    Action.WORKFLOW_READ: rule("Only viewers, operators, editors and admins see workflows.", V, O, E, AD),
    Action.RUN_READ: rule(
        "Your roles do not include reading runs.", V, O, E, AD, limited=(A,), note="Approvers: runs of their own tasks."
    ),
    Action.RUN_READ_DATA: rule(
        "Only operators, editors and admins see what a run carries.",
        *(O, E, AD),
        limited=(A,),
        note="Approvers: runs of their own tasks. Fields marked sensitive are masked for everybody.",
    ),
    Action.RUN_START: rule("Only operators, editors and admins start runs.", O, E, AD),
    Action.RUN_CONTROL: rule(
        "Only operators, editors and admins pause, resume, retry, cancel or undo runs.",
        *(O, E, AD),
        note="Nobody skips an approval.",
    ),
    Action.DRAFT_EDIT: rule("Only editors and admins change drafts.", E, AD),
    Action.WORKFLOW_PUBLISH: rule("Only editors and admins publish.", E, AD),
    Action.TRIGGER_EDIT: rule("Only editors and admins change schedules, webhooks and event types.", E, AD),
    Action.EVENT_EMIT: rule("Only operators, editors and admins emit events.", O, E, AD),
    Action.SECRET_EDIT: rule(
        "Only editors and admins set secrets.", AD, limited=(E,), note="Editors: their own. Nobody reads a value."
    ),
    Action.TASK_READ: rule(
        "Your roles do not include reading tasks.", O, E, AD, limited=(A,), note="Approvers: tasks they may decide."
    ),
    Action.TASK_DECIDE: rule(
        "Only approvers decide tasks.",
        limited=(A,),
        note="Eligible approvers, not the requester, while the run waits, on the content shown.",
    ),
    Action.TASK_REASSIGN: rule(
        "Only admins, or the approver who holds it, reassign a task.", AD, limited=(A,), note="Approvers: their own."
    ),
    Action.MEMBER_MANAGE: rule("Only admins manage members.", AD, note="The last admin stays."),
    Action.TOKEN_MANAGE: rule(
        "Your roles do not include API tokens.", AD, limited=(V, O, A, E), note="Everybody but admins: their own."
    ),
    Action.AUDIT_READ: rule(
        "Only editors and admins read the audit trail.", AD, limited=(E,), note="Editors: what they did themselves."
    ),
    Action.SETTINGS_EDIT: rule("Only admins change the workspace's settings.", AD),
}

Need = Action | Access
PUBLIC, SIGNED_IN, MEMBER = Access.PUBLIC, Access.SIGNED_IN, Access.MEMBER


def reads(need: Need) -> dict[str, Need]:
    return {"GET": need}


def posts(need: Need) -> dict[str, Need]:
    return {"POST": need}


#: Route name -> method -> what it needs. HEAD is as GET; a method that is not listed answers 405.
ROUTES: Final[Mapping[str, Mapping[str, Need]]] = {
    # Pages outside workspaces
    "home": reads(PUBLIC),
    "signin": reads(PUBLIC) | posts(PUBLIC),
    "signin-link": reads(PUBLIC) | posts(PUBLIC),
    "signout": posts(PUBLIC),
    "theme": posts(PUBLIC),
    "account": reads(SIGNED_IN),
    "password": reads(SIGNED_IN) | posts(SIGNED_IN),
    # Pages of a workspace
    "members": reads(Action.MEMBER_MANAGE) | posts(Action.MEMBER_MANAGE),
    "member-remove": posts(Action.MEMBER_MANAGE),
    "keep-runs": posts(Action.SETTINGS_EDIT),
    "queues": reads(Action.SETTINGS_EDIT) | posts(Action.SETTINGS_EDIT),
    "queue-unlimit": posts(Action.SETTINGS_EDIT),
    "tokens": reads(Action.TOKEN_MANAGE) | posts(Action.TOKEN_MANAGE),
    "token-revoke": posts(Action.TOKEN_MANAGE),
    "audit": reads(Action.AUDIT_READ),
    # API: people and tokens
    "api-members": reads(Action.MEMBER_MANAGE) | posts(Action.MEMBER_MANAGE),
    "api-member": {
        "GET": Action.MEMBER_MANAGE,
        "PATCH": Action.MEMBER_MANAGE,
        "DELETE": Action.MEMBER_MANAGE,
    },
    "api-tokens": reads(Action.TOKEN_MANAGE) | posts(Action.TOKEN_MANAGE),
    "api-token": {"GET": Action.TOKEN_MANAGE, "DELETE": Action.TOKEN_MANAGE},
    "api-audit": reads(Action.AUDIT_READ),
    "api-settings": {"GET": Action.SETTINGS_EDIT, "PATCH": Action.SETTINGS_EDIT},
    "api-queues": reads(Action.SETTINGS_EDIT),
    "api-queue": {"GET": Action.SETTINGS_EDIT, "PUT": Action.SETTINGS_EDIT, "DELETE": Action.SETTINGS_EDIT},
    # Designer: pages
    "workflows": reads(Action.WORKFLOW_READ) | posts(Action.DRAFT_EDIT),
    "workflow": reads(Action.WORKFLOW_READ),
    "workflow-versions": reads(Action.WORKFLOW_READ) | posts(Action.WORKFLOW_PUBLISH),
    "workflow-start": reads(Action.RUN_START) | posts(Action.RUN_START),
    # Designer: API
    "api-workflows": reads(Action.WORKFLOW_READ) | posts(Action.DRAFT_EDIT),
    "api-workflow": {"GET": Action.WORKFLOW_READ, "PATCH": Action.DRAFT_EDIT, "DELETE": Action.DRAFT_EDIT},
    "api-draft": {"GET": Action.WORKFLOW_READ, "PUT": Action.DRAFT_EDIT},
    "api-draft-problems": reads(Action.WORKFLOW_READ) | posts(Action.DRAFT_EDIT),
    "api-draft-preview": reads(Action.DRAFT_EDIT) | posts(Action.DRAFT_EDIT),
    "api-draft-undo-plan": reads(Action.WORKFLOW_READ),
    "api-publish": posts(Action.WORKFLOW_PUBLISH),
    "api-versions": reads(Action.WORKFLOW_READ),
    "api-version": reads(Action.WORKFLOW_READ),
    "api-version-diff": reads(Action.WORKFLOW_READ),
    "api-version-undo-plan": reads(Action.WORKFLOW_READ),
    "api-version-live": posts(Action.WORKFLOW_PUBLISH),
    "api-workflow-copy": posts(Action.DRAFT_EDIT),
    "api-workflow-import": posts(Action.DRAFT_EDIT),
    "api-workflow-export": reads(Action.WORKFLOW_READ),
    "api-step-kinds": reads(Action.WORKFLOW_READ),
    # Monitor: pages
    "front": reads(MEMBER),
    "runs": reads(Action.RUN_READ),
    "run": reads(Action.RUN_READ),
    "run-step": reads(Action.RUN_READ),
    "run-value": reads(Action.RUN_READ_DATA),
    "step-value": reads(Action.RUN_READ_DATA),
    "run-cancel": reads(Action.RUN_CONTROL) | posts(Action.RUN_CONTROL),
    "run-pause": posts(Action.RUN_CONTROL),
    "run-resume": posts(Action.RUN_CONTROL),
    "run-retry": reads(Action.RUN_CONTROL) | posts(Action.RUN_CONTROL),
    "step-retry": reads(Action.RUN_CONTROL) | posts(Action.RUN_CONTROL),
    "step-rerun": reads(Action.RUN_CONTROL) | posts(Action.RUN_CONTROL),
    "step-skip": reads(Action.RUN_CONTROL) | posts(Action.RUN_CONTROL),
    "runs-bulk": reads(Action.RUN_CONTROL) | posts(Action.RUN_CONTROL),
    "run-undo": reads(Action.RUN_CONTROL) | posts(Action.RUN_CONTROL),
    "run-undo-settle": posts(Action.RUN_CONTROL),
    "inbox": reads(Action.TASK_READ),
    "task": reads(Action.TASK_READ) | posts(Action.TASK_DECIDE),
    "task-claim": posts(Action.TASK_DECIDE),
    "task-release": posts(Action.TASK_REASSIGN),
    "task-reassign": reads(Action.TASK_REASSIGN) | posts(Action.TASK_REASSIGN),
    "events": reads(Action.RUN_READ_DATA),
    "event": reads(Action.RUN_READ_DATA),
    "event-data": reads(Action.RUN_READ_DATA),
    "event-send": reads(Action.EVENT_EMIT) | posts(Action.EVENT_EMIT),
    "dead-letters": reads(Action.RUN_READ_DATA),
    "dead-letter-replay": posts(Action.EVENT_EMIT),
    "dead-letter-discard": posts(Action.EVENT_EMIT),
    # Monitor: API
    "api-workflow-runs": posts(Action.RUN_START),
    "api-runs": reads(Action.RUN_READ),
    "api-run": reads(Action.RUN_READ),
    "api-run-steps": reads(Action.RUN_READ),
    "api-run-step": reads(Action.RUN_READ),
    "api-run-items": reads(Action.RUN_READ),
    "api-run-history": reads(Action.RUN_READ),
    "api-run-pause": posts(Action.RUN_CONTROL),
    "api-run-resume": posts(Action.RUN_CONTROL),
    "api-run-cancel": posts(Action.RUN_CONTROL),
    "api-run-retry": reads(Action.RUN_CONTROL) | posts(Action.RUN_CONTROL),
    "api-step-retry": reads(Action.RUN_CONTROL) | posts(Action.RUN_CONTROL),
    "api-step-rerun": reads(Action.RUN_CONTROL) | posts(Action.RUN_CONTROL),
    "api-step-skip": reads(Action.RUN_CONTROL) | posts(Action.RUN_CONTROL),
    "api-runs-bulk": posts(Action.RUN_CONTROL),
    "api-run-undo": reads(Action.RUN_READ) | posts(Action.RUN_CONTROL),
    "api-run-undo-preview": reads(Action.RUN_READ),
    "api-run-undo-retry": posts(Action.RUN_CONTROL),
    "api-run-undo-skip": posts(Action.RUN_CONTROL),
    "api-run-undo-by-hand": posts(Action.RUN_CONTROL),
    "api-tasks": reads(Action.TASK_READ),
    "api-task": reads(Action.TASK_READ),
    "api-task-claim": posts(Action.TASK_DECIDE),
    "api-task-release": posts(Action.TASK_DECIDE),
    "api-task-reassign": posts(Action.TASK_REASSIGN),
    "api-task-decide": posts(Action.TASK_DECIDE),
    "api-events": reads(Action.RUN_READ_DATA) | posts(Action.EVENT_EMIT),
    "api-event": reads(Action.RUN_READ_DATA),
    "api-dead-letters": reads(Action.RUN_READ_DATA),
    "api-dead-letter-replay": posts(Action.EVENT_EMIT),
    "api-dead-letter-discard": posts(Action.EVENT_EMIT),
    # The machine's own
    "api-schema": reads(PUBLIC),
    "api-docs": reads(PUBLIC),
    "healthz": reads(PUBLIC),
    "readyz": reads(PUBLIC),
    "metrics": reads(Access.MACHINE),
}

#: What a socket may watch -> the action it needs. The handshake itself asks for MEMBER.
SOCKETS: Final[Mapping[str, Need]] = {
    "connect": MEMBER,
    "run": Action.RUN_READ,
    "dashboard": Action.RUN_READ,
    "tasks": Action.TASK_READ,
    "events": Action.RUN_READ_DATA,
}


class Denied(Forbidden):
    """Refused by the policy; the denial is already in the audit trail."""


def may(actor: Actor, action: Action) -> bool:
    """Whether the actor's roles include the action, on everything or (see `narrowed`) on some things."""
    entry = POLICY[action]
    return not actor.roles.isdisjoint(entry.roles | entry.limited)


def narrowed(actor: Actor, action: Action) -> bool:
    """Whether the actor may do it to some things only, so that the query must narrow to those."""
    return actor.roles.isdisjoint(POLICY[action].roles)


def require(actor: Actor, action: Action, *, target: str = "") -> None:
    """Do nothing when the actor may; else write the denial to the audit trail and raise Denied.

    Call it before opening a transaction: a denial written inside would be rolled back with it.
    """
    if may(actor, action):
        return
    audit.record(actor, action, target=target, allowed=False)
    raise Denied(POLICY[action].sentence, details={"action": str(action)})
