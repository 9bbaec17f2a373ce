"""Mails that tell people of human tasks: once, to those who may decide, and safe against odd names."""

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from smtplib import SMTPRecipientsRefused
from threading import Barrier

import pytest
from django.core import mail
from django.core.mail.backends.locmem import EmailBackend
from django.db import connection, connections
from django.test import Client
from django.test.utils import CaptureQueriesContext

from orchestrator.models import HumanTask, User
from orchestrator.services.notices import send_task_notices
from tests.factories import make_user, make_workspace
from tests.run_factories import drawn, make_run, make_task, make_version, make_workflow

DRAWING = drawn("ask.approved -> go", "ask.rejected -> stop", steps={"ask": {"kind": "human_task"}})


@pytest.fixture(autouse=True)
def address(settings):
    settings.SITE_URL = "https://flows.example"


def member(workspace, name: str, *roles: str, groups=()) -> User:
    user = make_user(name, email=f"{name}@example.org")
    workspace.memberships.create(user=user, roles=list(roles), groups=list(groups))
    return user


def open_task(workspace, requester=None, **fields) -> HumanTask:
    run = make_run(make_version(make_workflow(workspace), DRAWING), started_by=requester)
    return make_task(run, "ask", requester=requester, **fields)


@pytest.fixture
def team(db):
    workspace = make_workspace("team")
    member(workspace, "bob", "approver", groups=["finance"])
    member(workspace, "carl", "approver")
    member(workspace, "vera", "viewer", groups=["finance"])
    return workspace


def test_everybody_who_may_decide_is_told_once(team):
    asker = member(team, "alice", "operator", "approver")
    task = open_task(team, asker)
    assert send_task_notices() == 1
    assert sorted(message.to[0] for message in mail.outbox) == ["bob@example.org", "carl@example.org"]
    assert all(len(message.to) == 1 and not message.cc and not message.bcc for message in mail.outbox)
    assert f"https://flows.example/w/team/inbox/{task.pk}/" in mail.outbox[0].body
    assert "alice" in mail.outbox[0].body
    task.refresh_from_db()
    assert task.notified_at is not None
    assert task.version == 1  # telling is no change of the task
    assert send_task_notices() == 0
    assert len(mail.outbox) == 2


def test_only_the_named_are_told(team):
    open_task(team, groups=["finance"])
    send_task_notices()
    assert [message.to for message in mail.outbox] == [["bob@example.org"]]


def test_a_task_that_ended_first_is_not_mailed(team):
    task = open_task(team)
    HumanTask.objects.filter(pk=task.pk).update(state="cancelled", closed_at=datetime.now(UTC))
    assert send_task_notices() == 0
    assert mail.outbox == []


def test_following_the_link_changes_nothing(team, client: Client):
    task = open_task(team)
    send_task_notices()
    link = next(line for line in mail.outbox[0].body.splitlines() if line.startswith("https://flows.example"))
    path = link.removeprefix("https://flows.example")
    before = HumanTask.objects.values().get(pk=task.pk)
    for verb in (client.get, client.head):
        assert verb(path).status_code == 302  # a mail scanner is sent to sign in
    client.force_login(User.objects.get(username="bob"))
    for verb in (client.get, client.head):
        assert verb(path).status_code == 200
    assert HumanTask.objects.values().get(pk=task.pk) == before


def test_names_cannot_add_headers(team):
    evil = "Pay\r\nBcc: victim@example.org\n\nhello\u2028x\u202e"
    User.objects.filter(username="bob").update(first_name="B\r\nBcc: v@example.org", last_name="x")
    open_task(team, title=evil)
    assert send_task_notices() == 1
    message = mail.outbox[0].message()
    assert message["Subject"] == "Your decision: Pay Bcc: victim@example.org hello x"
    assert message["Bcc"] is None
    assert sorted(each.to[0] for each in mail.outbox) == ["bob@example.org", "carl@example.org"]


def test_an_address_with_a_line_break_keeps_nobody_else_from_being_told(team):
    User.objects.filter(username="bob").update(email="bob@example.org\nBcc: victim@example.org")
    assert open_task(team)
    assert send_task_notices() == 1
    assert [message.to for message in mail.outbox] == [["carl@example.org"]]


class DownBackend(EmailBackend):
    """A mail server that cannot be reached."""

    def open(self) -> bool:
        raise ConnectionRefusedError("no route")


class PickyBackend(EmailBackend):
    """A mail server that refuses Bob's address."""

    def send_messages(self, messages):
        messages = list(messages)
        if "bob@example.org" in messages[0].to:
            raise SMTPRecipientsRefused({"bob@example.org": (550, b"unknown")})
        return super().send_messages(messages)


def test_without_a_mail_server_they_are_told_later(team, settings):
    open_task(team)
    usual = settings.EMAIL_BACKEND
    settings.EMAIL_BACKEND = "tests.api.test_notices.DownBackend"
    assert send_task_notices() == 0
    settings.EMAIL_BACKEND = usual
    assert send_task_notices() == 1


def test_one_refused_address_does_not_repeat_the_others(team, settings):
    open_task(team)
    settings.EMAIL_BACKEND = "tests.api.test_notices.PickyBackend"
    assert send_task_notices() == 1
    assert send_task_notices() == 0
    assert [message.to for message in mail.outbox] == [["carl@example.org"]]


def test_more_people_need_no_more_queries(team):
    counts = []
    for more in (0, 20):
        for number in range(more):
            member(team, f"more{number}", "approver")
        open_task(team)
        with CaptureQueriesContext(connection) as found:
            send_task_notices()
        counts.append(len(found))
    assert counts[0] == counts[1]


@pytest.mark.django_db(transaction=True)
def test_two_senders_at_once_send_one_mail_each():
    workspace = make_workspace("team")
    member(workspace, "bob", "approver")
    for _ in range(5):
        open_task(workspace)
    barrier = Barrier(4)

    def send(_: int) -> int:
        try:
            barrier.wait(10)
            return send_task_notices()
        finally:
            connections.close_all()

    with ThreadPoolExecutor(4) as pool:
        assert sum(pool.map(send, range(4))) == 5
    assert len(mail.outbox) == 5
