"""A re-run rests on what its operator was shown: what others have let go on since is not repeated unseen."""

from threading import Barrier, Thread
from typing import Any

import pytest
from django.db import connections
from django.test import Client

from orchestrator.models import Run, RunRecord, Token
from tests.api.run_cast import RunCast
from tests.run_factories import make_gate, make_log

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def cast(valkey: str) -> RunCast:
    return RunCast()


@pytest.fixture
def failed(cast: RunCast) -> Run:
    run = cast.run(state="failed", error={"code": "broken", "message": "as told", "node": 1})
    make_log(run, "a")
    make_log(run, "b", outcome="F", error={"code": "broken", "message": "as told"})
    make_log(run, "c")
    make_gate(run, "d", size=2, ok=1, fail=1, verdict="X", decided=1)
    return run


def rerun(cast: RunCast, run: Run, **body: Any) -> tuple[int, Any]:
    response = cast.client.post(cast.url(f"runs/{run.pk}/steps/b/rerun/"), body, format="json")
    return response.status_code, response.json()


def test_what_another_operator_has_retried_is_not_run_again_unseen(cast: RunCast, failed: Run) -> None:
    seen = cast.get(f"runs/{failed.pk}/steps/b/rerun/")["as_of"]
    assert cast.client.post(cast.url(f"runs/{failed.pk}/retry/")).status_code == 200
    status, refused = rerun(cast, failed, as_of=seen)
    assert (status, refused["code"]) == (409, "run_changed")
    assert f"retried by {cast.operator.username}" in refused["message"]
    token = Token.objects.get(run=failed)
    assert (token.generation, token.state, Run.objects.get(pk=failed.pk).generation) == (0, "R", 0)
    now = cast.get(f"runs/{failed.pk}/steps/b/rerun/")["as_of"]
    assert now == refused["details"]["as_of"]
    assert rerun(cast, failed, as_of=now)[0] == 200
    assert Run.objects.get(pk=failed.pk).generation == 1


def test_of_two_who_re_run_at_once_one_is_told_so(cast: RunCast, failed: Run) -> None:
    seen = cast.get(f"runs/{failed.pk}/steps/b/rerun/")["as_of"]
    together, answers = Barrier(2), []

    def ask() -> None:
        together.wait(10)
        status, body = rerun(cast, failed, as_of=seen)
        answers.append((status, body.get("code")))
        connections.close_all()

    threads = [Thread(target=ask) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    assert sorted(answers, key=str) == [(200, None), (409, "run_changed")]
    assert RunRecord.objects.filter(run=failed, kind="rerun").count() == 1


def test_who_does_not_say_what_he_looked_at_is_not_asked(cast: RunCast, failed: Run) -> None:
    assert [rerun(cast, failed)[0] for _ in range(2)] == [200, 200]
    assert rerun(cast, failed, as_of=-1)[0] == 400
    assert rerun(cast, failed, as_of="last")[0] == 400


def test_the_page_says_what_it_has_shown(cast: RunCast, failed: Run) -> None:
    browser = Client()
    browser.force_login(cast.operator)
    address = f"/w/{cast.workspace.slug}/runs/{failed.pk}/steps/b/rerun/"
    shown = browser.get(address).content.decode()
    assert 'name="as_of" value="0"' in shown
    assert browser.post(address, {"as_of": "0"}).status_code == 302
    again = browser.post(address, {"as_of": "0"})
    assert again.status_code == 409
    assert "since you looked" in again.content.decode()
    assert Run.objects.get(pk=failed.pk).generation == 1
