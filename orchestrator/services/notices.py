"""Mails that tell people a human task waits for them. They carry a link and decide nothing."""

import re
from smtplib import SMTPException, SMTPServerDisconnected
from uuid import UUID

import structlog
from django.conf import settings
from django.core.mail import EmailMessage, get_connection
from django.core.mail.backends.base import BaseEmailBackend
from django.db import connection, transaction
from django.db.models.functions import Now

from orchestrator.core.approval import Ballot, Voter, assigned_text, why_not_eligible
from orchestrator.models import HumanTask, Membership, User
from orchestrator.models.workspace import Role
from orchestrator.services.task_rows import current_ballot

logger = structlog.get_logger(__name__)

MOST_RECIPIENTS = 200  # per task: a group larger than this looks at its inbox
LONGEST_SUBJECT = 200  # characters
LOCK = 11  # seed that keeps these advisory locks apart from the runs' own
UNPRINTED = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069\s]+")


def send_task_notices(limit: int = 50) -> int:
    """Tell the people of waiting tasks that nobody was told of yet, oldest first; returns how many tasks that were.

    Safe to run anywhere at any time: a task is told by one process at a time, again after a crash in between. Stops
    at the first task when the mail server cannot be reached; the next call goes on from there.
    """
    # Served by task_unnotified.
    rows = HumanTask.objects.waiting().filter(notified_at=None).order_by("opened_at")
    waiting = list(rows.values_list("pk", flat=True)[:limit])
    return _tell_all(waiting) if waiting else 0


def _tell_all(task_ids: list[UUID]) -> int:
    told = 0
    try:
        with get_connection() as outgoing:
            for task_id in task_ids:
                told += _tell(task_id, outgoing)
    except OSError as error:  # smtplib's errors are OSErrors too
        logger.warning("the mail server cannot be reached", error=str(error))
    return told


def _tell(task_id: UUID, outgoing: BaseEmailBackend) -> int:
    # Not the task's row lock: a slow mail server must not hold up a decision.
    with transaction.atomic():
        if not _locked(task_id):
            return 0
        task = (
            HumanTask.objects.waiting()
            .filter(pk=task_id, notified_at=None)
            .select_related("workspace", "run__workflow", "requester")
            .defer("run__input", "run__output", "run__error")
            .first()
        )
        if task is None:
            return 0
        ballot = current_ballot(task)
        for person in _recipients(task, ballot):
            _send(outgoing, task, person, assigned_text(ballot))
        # The version: who was named in between (a reassignment) is told by the next call.
        return HumanTask.objects.filter(pk=task_id, version=task.version).update(notified_at=Now())


def _locked(task_id: UUID) -> bool:
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_try_advisory_xact_lock(uuid_hash_extended(%s, %s))", [task_id, LOCK])
        row = cursor.fetchone()
    return bool(row and row[0])


def _recipients(task: HumanTask, ballot: Ballot) -> list[User]:
    """Everybody who may decide and has an address."""
    members = Membership.objects.filter(workspace_id=task.workspace_id).with_role(Role.APPROVER)
    found = []
    for member in members.select_related("user").order_by("user_id"):
        voter = Voter(
            user_id=member.user_id,
            username=member.user.username,
            roles=frozenset(member.roles),
            groups=frozenset(member.groups),
        )
        if member.user.email and why_not_eligible(ballot, voter) is None:
            found.append(member.user)
    return found[:MOST_RECIPIENTS]


def _send(outgoing: BaseEmailBackend, task: HumanTask, person: User, deciders: str) -> None:
    """One message to one person: nobody learns the others' addresses."""
    message = EmailMessage(
        subject=one_line(f"Your decision: {task.title}", LONGEST_SUBJECT),
        body=_body(task, person, deciders),
        to=[person.email],
        connection=outgoing,
        headers={"Auto-Submitted": "auto-generated"},
    )
    try:
        message.send()
    except (SMTPServerDisconnected, ConnectionError, TimeoutError):
        raise
    except (SMTPException, ValueError) as error:
        # One address that cannot be written to (or that holds a line break) keeps nobody else from being told.
        logger.warning("a task notice was not accepted", task=str(task.pk), user=person.username, error=str(error))


def _body(task: HumanTask, person: User, deciders: str) -> str:
    requester = task.requester.label if task.requester else "Branchline"
    due = f"Due:       {task.due_at:%d %b %Y %H:%M} UTC\n" if task.due_at else ""
    return (
        f"Hello {one_line(person.label, 80)},\n\n"
        f"{one_line(task.title, 400)}\n\n"
        f"Workflow:  {one_line(task.run.workflow.name, 200)}\n"
        f"Asked by:  {one_line(requester, 80)}\n"
        f"Decides:   {one_line(deciders, 300)}\n"
        f"{due}\n"
        f"Read the request and decide:\n{task_address(task)}\n\n"
        "Opening the link decides nothing: it asks you to sign in and shows the form.\n"
    )


def task_address(task: HumanTask) -> str:
    """The form's address; without a configured site address, the path on it."""
    return f"{settings.SITE_URL}/w/{task.workspace.slug}/inbox/{task.pk}/"


def one_line(text: str, longest: int) -> str:
    """Text that cannot start another header or line."""
    line = UNPRINTED.sub(" ", text).strip()
    return line if len(line) <= longest else f"{line[: longest - 1]}…"
