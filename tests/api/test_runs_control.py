"""runs/{id}/{cancel,pause,resume}/ and the tasks' addresses."""

import uuid
from typing import Any

import pytest

from orchestrator.models import AuditEntry, HumanTask, Run, RunRecord
from tests.api.run_cast import RunCast, client_of
from tests.factories import make_member
from tests.run_factories import make_task, make_token

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def cast(valkey: str) -> RunCast:
    return RunCast()


def test_it_pauses_resumes_and_cancels(cast: RunCast) -> None:
    run = cast.run()
    make_token(run, "a")
    states = []
    for verb in ("pause", "resume", "cancel"):
        response = cast.client.post(cast.url(f"runs/{run.pk}/{verb}/"), {"reason": "a test"}, format="json")
        assert response.status_code == 200, response.content
        states.append(response.json()["state"])
    assert states == ["paused", "running", "cancelled"]
    assert set(RunRecord.objects.filter(run=run, actor=cast.operator.username).values_list("kind", flat=True)) == {
        "paused",
        "resumed",
        "cancel_requested",
    }
    assert AuditEntry.objects.filter(allowed=True, actor=cast.operator).count() == 3


def test_who_pauses_or_resumes_twice_is_told_so_and_leaves_no_trace(cast: RunCast) -> None:
    run = cast.run()
    answers = []
    for verb in ("resume", "pause", "pause", "resume", "resume"):
        response = cast.client.post(cast.url(f"runs/{run.pk}/{verb}/"))
        answers.append((response.status_code, response.json().get("code"), Run.objects.get(pk=run.pk).state))
    assert answers == [
        (409, "run_not_paused", "running"),
        (200, None, "paused"),
        (409, "run_paused", "paused"),
        (200, None, "running"),
        (409, "run_not_paused", "running"),
    ]
    told = RunRecord.objects.filter(run=run).order_by("pk").values_list("kind", flat=True)
    assert list(told) == ["started", "paused", "resumed"]
    assert AuditEntry.objects.filter(actor=cast.operator).count() == 2


@pytest.mark.parametrize("dry_run", [True, False])
def test_a_bulk_action_counts_only_what_it_changes(cast: RunCast, dry_run: bool) -> None:
    paused, running = cast.run(), cast.run()
    cast.client.post(cast.url(f"runs/{paused.pk}/pause/"))
    body = {"action": "resume", "ids": [str(paused.pk), str(running.pk)], "dry_run": dry_run}
    answer = cast.client.post(cast.url("runs/bulk/"), body, format="json").json()
    assert (answer["asked"], answer["done"], answer["refused"]) == (2, 1, 1)
    assert [one["code"] for one in answer["results"]] == ["", "run_not_paused"]


def test_who_no_longer_waits_for_a_cancellation_stands_in_the_history(cast: RunCast) -> None:
    run = cast.run()
    make_token(run, "a", state="L")
    url = cast.url(f"runs/{run.pk}/cancel/")
    assert cast.client.post(url, {"reason": "over"}, format="json").json()["state"] == "cancelling"
    answer = cast.client.post(url, {"reason": "no time", "hard": True}, format="json").json()
    assert answer["state"] == "cancelled"
    told = [(one["what"], one["actor"], one["comment"]) for one in cast.get(f"runs/{run.pk}/history/")["items"]]
    olga = cast.operator.username
    assert ("cancel_requested", olga, "over") in told
    assert ("stopped_hard", olga, "no time") in told
    assert AuditEntry.objects.get(action="run.cancelled_hard").detail == {"reason": "no time"}


@pytest.mark.parametrize("verb", ["pause", "resume", "cancel"])
def test_an_ended_run_is_a_conflict(cast: RunCast, verb: str) -> None:
    run = cast.run(state="succeeded")
    response = cast.client.post(cast.url(f"runs/{run.pk}/{verb}/"))
    assert (response.status_code, response.json()["code"]) == (409, "run_closed")


@pytest.mark.parametrize("role", ["viewer", "approver"])
@pytest.mark.parametrize("verb", ["pause", "resume", "cancel"])
def test_reading_is_not_controlling(cast: RunCast, role: str, verb: str) -> None:
    run = cast.run()
    make_task(run, "b", users=["ann"])
    client = cast.member(role, username="ann")
    response = client.post(cast.url(f"runs/{run.pk}/{verb}/"))
    assert (response.status_code, response.json()["code"]) == (403, "forbidden")
    assert Run.objects.get(pk=run.pk).state == "running"
    assert AuditEntry.objects.filter(allowed=False).exists()


@pytest.mark.parametrize("body", [{"why": "x"}, {"reason": 5 * ["x"]}, {"reason": "x" * 501}, [], "x", {"state": "x"}])
def test_it_refuses_bodies_it_does_not_know(cast: RunCast, body: Any) -> None:
    run = cast.run()
    response = cast.client.post(cast.url(f"runs/{run.pk}/cancel/"), body, format="json")
    assert response.status_code == 400
    assert Run.objects.get(pk=run.pk).state == "running"


class TestTasks:
    """The way of one task through the API; who may decide what is tested with the service."""

    @pytest.fixture
    def ann(self, cast: RunCast) -> Any:
        return client_of(make_member(cast.workspace, "approver", username="ann"))

    @pytest.fixture
    def task(self, cast: RunCast) -> HumanTask:
        return make_task(cast.run(), "b", users=["ann"], fields=[{"key": "n", "kind": "number", "label": "How many"}])

    def test_it_lists_and_shows(self, cast: RunCast, ann: Any, task: HumanTask) -> None:
        (card,) = cast.get("tasks/", ann)["items"]
        assert (card["id"], card["title"], card["own"]) == (str(task.pk), "Approve the order", True)
        assert cast.get("tasks/", ann, tab="done")["items"] == []
        shown = cast.get(f"tasks/{task.pk}/", ann)
        assert shown["fields"] == task.fields
        assert len(shown["digest"]) == 64

    def test_it_claims_releases_and_decides(self, cast: RunCast, ann: Any, task: HumanTask) -> None:
        HumanTask.objects.filter(pk=task.pk).update(users=["ann", "bob"])
        make_member(cast.workspace, "approver", username="bob")
        url = cast.url(f"tasks/{task.pk}/")
        assert ann.post(f"{url}claim/").json()["state"] == "claimed"
        assert ann.post(f"{url}release/").json()["state"] == "open"
        digest = ann.get(url).json()["digest"]
        answer = {"outcome": "approved", "values": {"n": 3}, "digest": digest}
        stale = ann.post(f"{url}decide/", {**answer, "digest": "0" * 64}, format="json")
        assert (stale.status_code, stale.json()["code"]) == (412, "content_changed")
        wrong = ann.post(f"{url}decide/", {**answer, "values": {"n": "many"}}, format="json")
        assert wrong.status_code == 400
        assert "n" in wrong.json()["details"]["fields"]
        done = ann.post(f"{url}decide/", answer, format="json")
        assert (done.status_code, done.json()["closed"]) == (200, True)
        again = ann.post(f"{url}decide/", answer, format="json")
        assert again.status_code == 409

    def test_an_admin_gives_it_to_somebody_else(self, cast: RunCast, ann: Any, task: HumanTask) -> None:
        make_member(cast.workspace, "approver", username="bob")
        admin = cast.member("admin")
        response = admin.post(cast.url(f"tasks/{task.pk}/reassign/"), {"users": ["bob"]}, format="json")
        assert response.status_code == 204, response.content
        assert ann.get(cast.url(f"tasks/{task.pk}/")).status_code == 404

    @pytest.mark.parametrize("verb", ["", "claim/", "release/", "reassign/", "decide/"])
    def test_foreign_absent_and_malformed_ids_are_answered_alike(self, cast: RunCast, verb: str) -> None:
        foreign = make_task(RunCast("other").run(), "b")
        client = cast.member("approver", "admin")
        body = {"reassign/": {"users": ["x"]}, "decide/": {"outcome": "approved", "digest": "0"}}.get(verb)
        answers = set()
        for name in (str(foreign.pk), str(uuid.uuid4()), "nonsense"):
            url = cast.url(f"tasks/{name}/{verb}")
            response = client.post(url, body, format="json") if verb else client.get(url)
            answers.add((response.status_code, response.content))
        assert {status for status, _ in answers} == {404}
        assert len(answers) == 1

    @pytest.mark.parametrize("parameters", [{"tab": "theirs"}, {"order": "x"}, {"limit": "no"}])
    def test_it_refuses_parameters_it_does_not_know(self, cast: RunCast, parameters: dict[str, str]) -> None:
        assert cast.client.get(cast.url("tasks/"), parameters).status_code == 400
