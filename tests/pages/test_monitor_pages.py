"""The monitor's pages by a plain client: what each shows, and that looking changes nothing."""

import json
import re
import uuid

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from orchestrator.engine import item_outputs
from orchestrator.models import Decision, HumanTask, Run
from tests.factories import make_member, make_workspace
from tests.pages.monitor_cast import Day, working_day
from tests.run_factories import (
    drawn,
    make_log,
    make_outputs,
    make_run,
    make_scope,
    make_version,
    make_workflow,
)

pytestmark = pytest.mark.django_db


@pytest.fixture
def day() -> Day:
    return working_day()


def client_of(user) -> Client:
    client = Client()
    client.force_login(user)
    return client


def page(user, address: str, status: int = 200) -> str:
    answer = client_of(user).get(address)
    assert answer.status_code == status, answer.content[:2000]
    return answer.content.decode()


def main_of(text: str) -> str:
    """What the page itself says, without the bar (which repeats the address)."""
    return text.split("<main", 1)[1].split("</main>", 1)[0]


def test_it_shows_what_runs_waits_and_failed_on_the_front_page(day):
    text = page(day.alice, "/w/demo/")
    assert "Recent runs" in text
    assert "ORDER-7781" in text
    assert "The bank declined the card" in text
    assert "Approve 4 days of leave" in text  # waits longest


def test_it_shows_an_approver_their_work_first(day):
    text = page(day.bob, "/w/demo/")
    assert "Needs you" in text
    assert "Approve 4 days of leave for Ada Lovelace" in text
    assert "ORDER-7781" not in text  # no run of theirs


@pytest.mark.parametrize(
    ("query", "shown", "hidden"),
    [
        ("", ["ORDER-7781", "LEAVE-2026-118"], []),
        ("?state=failed", ["ORDER-7781"], ["LEAVE-2026-118"]),
        ("?state=failed&state=succeeded", ["ORDER-7781", "LEAVE-2026-117"], ["LEAVE-2026-118"]),
        ("?workflow=leave-request", ["LEAVE-2026-118"], ["ORDER-7781"]),
        ("?key=ORDER-7781", ["ORDER-7781"], ["LEAVE-2026-118"]),
        ("?error=card_declined", ["ORDER-7781"], ["LEAVE-2026-118"]),
        ("?error=insufficient", ["ORDER-7781"], ["LEAVE-2026-118"]),
        ("?since=2000-01-01&until=2000-01-02", ["No run fits"], ["ORDER-7781"]),
        ("?since=yesterday", ["is no day", "ORDER-7781"], []),
        ("?since=9999-12-31&until=0001-01-01", ["is no day"], []),
        ("?state=nonsense", ["ORDER-7781"], []),
        ("?key=%F0%9F%98%80", ["No run fits"], []),
    ],
)
def test_the_filter_of_runs_lives_in_the_address(day, query, shown, hidden):
    text = page(day.alice, f"/w/demo/runs/{query}")
    for part in shown:
        assert part in text
    for part in hidden:
        assert part not in text


def test_a_run_is_found_by_correlation_id_and_by_its_own_id(day):
    run = day.runs["failed"]
    for key in (run.correlation_id, str(run.pk)):
        text = page(day.alice, f"/w/demo/runs/?key={key}")
        assert "ORDER-7781" in text
        assert "LEAVE-2026-118" not in text


def test_runs_page_by_cursor(day):
    for number in range(60):
        make_run(day.order, state="succeeded", business_key=f"K-{number:03}")
    first = page(day.alice, "/w/demo/runs/?state=succeeded")
    assert "K-059" in first
    assert "K-005" not in first
    address = first.split('<a class="button" href="', 1)[1].split('"', 1)[0].replace("&amp;", "&")
    second = page(day.alice, f"/w/demo/runs/{address}")
    assert "K-005" in second
    assert "K-059" not in second
    assert "Newest" in second


def test_a_foreign_cursor_is_refused_politely(day):
    assert "cursor" in page(day.alice, "/w/demo/runs/?cursor=AAAA", 400)


@pytest.mark.parametrize(
    ("tab", "parts"),
    [
        ("graph", ["The drawing needs JavaScript"]),
        ("timeline", ["Charge the card", "<rect", "Attempt 3: failed"]),
        ("steps", ["Reserve stock", "3 of 3", "insufficient funds"]),
        ("history", ["Run started", "attempt 2", "it is tried again", "Run failed"]),
        ("data", ["&quot;quantity&quot;: 1", "This run gave no output"]),
        ("nonsense", ["The drawing needs JavaScript"]),
    ],
)
def test_a_run_says_why_it_failed_on_every_tab(day, tab, parts):
    text = page(day.alice, f"/w/demo/runs/{day.runs['failed'].pk}/?tab={tab}")
    assert "The bank declined the card ending in 4242" in text  # the cause, in one line
    assert "card_declined" in text
    assert "ORDER-7781" in text
    for part in parts:
        assert part in text


def test_a_waiting_run_says_for_whom(day):
    text = page(day.alice, f"/w/demo/runs/{day.runs['waiting'].pk}/?tab=steps")
    assert "Waiting for the group finance" in text
    assert "Open the form" in text
    assert "Cancel…" in text


def test_steps_name_the_way_out_where_there_were_several(day):
    text = page(day.alice, f"/w/demo/runs/{day.runs['done'].pk}/?tab=steps")
    said = re.findall(r'<td data-label="Why" class="why">(.*?)</td>', text)
    assert [cell for cell in said if cell] == ['<span class="muted">approved</span>']


def test_a_retrying_run_says_which_try_comes_next(day):
    text = page(day.alice, f"/w/demo/runs/{day.runs['retrying'].pk}/?tab=steps")
    assert "Retry 2 of 3 at" in text


def test_a_step_opens_as_a_page_and_as_a_fragment(day):
    address = f"/w/demo/runs/{day.runs['failed'].pk}/steps/charge/?tab=steps"
    whole = page(day.alice, address)
    assert "<html" in whole
    fragment = client_of(day.alice).get(address, headers={"HX-Request": "true"}).content.decode()
    assert "<html" not in fragment
    for text in (whole, fragment):
        assert "try 3 at the bank" in text  # the log
        assert "129900" in text  # the input
        assert "card_declined" in text
        assert "Definition" in text
        assert "<code>charge</code> · Function" in text
        assert "It gave none." in text


def test_a_step_names_its_region(day):
    base = f"/w/demo/runs/{day.runs['failed'].pk}/"
    assert "in Payment (sequence)" in page(day.alice, f"{base}steps/charge/")
    assert "step-region" not in page(day.alice, f"{base}steps/ship/")
    assert page(day.alice, f"{base}?tab=steps").count("in Payment (sequence)") == 2


def test_a_step_that_waits_leads_to_its_form(day):
    text = page(day.bob, f"/w/demo/runs/{day.runs['waiting'].pk}/steps/approve/")
    assert f"/w/demo/inbox/{day.tasks['leave'].pk}/" in text


def test_the_live_part_comes_alone(day):
    for address in ("/w/demo/", "/w/demo/runs/", "/w/demo/inbox/", f"/w/demo/runs/{day.runs['waiting'].pk}/?tab=steps"):
        text = client_of(day.carol).get(address, headers={"HX-Request": "true"}).content.decode()
        assert "<html" not in text
        assert len(text) > 100


def test_long_values_are_cut_and_downloaded_as_a_file(day):
    run = day.runs["done"]
    Run.objects.filter(pk=run.pk).update(output={"rows": ["<script>alert(1)</script>" * 40] * 40})
    text = page(day.alice, f"/w/demo/runs/{run.pk}/?tab=data")
    assert "Only the beginning is shown" in text
    assert "<script>alert" not in text
    assert "&lt;script&gt;" in text
    answer = client_of(day.alice).get(f"/w/demo/runs/{run.pk}/values/output/")
    assert answer.json() == {"rows": ["<script>alert(1)</script>" * 40] * 40}
    assert answer["Content-Disposition"].startswith("attachment")
    assert answer["X-Content-Type-Options"] == "nosniff"
    assert "sandbox" in answer["Content-Security-Policy"]
    assert page(day.alice, f"/w/demo/runs/{run.pk}/values/secret/", 404)


@pytest.fixture
def large(day):
    """A run whose output, and that of its for-each, is too large to be one value."""
    document = drawn("each", "call", steps={"each": {"kind": "for_each"}, "call": {"parent": "each"}})
    run = make_run(make_version(make_workflow(day.workspace), document), state="succeeded")
    kept = make_outputs(run, "each", "call", ["first", {"name": "Zoë"}, None, [1, 2]])
    make_log(run, "each", output_ref=kept.pk)
    Run.objects.filter(pk=run.pk).update(output=None, output_ref=kept.pk)
    return run


def test_outputs_too_large_to_be_one_value_lead_to_the_items(day, large):
    text = page(day.alice, f"/w/demo/runs/{large.pk}/?tab=data")
    assert "4 results, 9.0 MB together" in text
    assert f'href="/w/demo/runs/{large.pk}/steps/each/"' in text
    assert f'href="/w/demo/runs/{large.pk}/values/output/" download' in text


@pytest.mark.parametrize("which", ["", "steps/each/"])
def test_they_are_downloaded_whole_though_nobody_holds_them(day, large, which, monkeypatch):
    """Read two at a time here: what is sent is one list all the same."""
    monkeypatch.setattr(item_outputs, "LONGEST", 2)
    answer = client_of(day.alice).get(f"/w/demo/runs/{large.pk}/{which}values/output/")
    assert answer.streaming
    assert answer["Content-Disposition"].startswith("attachment")
    assert "sandbox" in answer["Content-Security-Policy"]
    text = answer.getvalue().decode()
    assert json.loads(text) == ["first", {"name": "Zoë"}, None, [1, 2]]
    assert text.count("\n") == 5, "a line for each item"


def test_a_step_value_is_a_file_too(day):
    base = f"/w/demo/runs/{day.runs['failed'].pk}/steps/charge/values"
    assert client_of(day.alice).get(f"{base}/input/").json() == {"amount": 129900, "currency": "EUR"}


def test_a_viewer_sees_runs_but_no_data(day):
    viewer = make_member(day.workspace, "viewer")
    run = day.runs["failed"].pk
    assert "not open to you" in page(viewer, f"/w/demo/runs/{run}/?tab=data")
    assert "129900" not in page(viewer, f"/w/demo/runs/{run}/steps/charge/")
    page(viewer, f"/w/demo/runs/{run}/values/input/", 403)
    page(viewer, f"/w/demo/runs/{run}/steps/charge/values/input/", 403)
    text = page(viewer, f"/w/demo/runs/{day.runs['waiting'].pk}/")
    assert "Only operators, editors and admins pause" in text  # why the button is disabled


def test_an_approver_sees_the_runs_of_their_tasks_only(day):
    page(day.bob, f"/w/demo/runs/{day.runs['waiting'].pk}/?tab=data")
    page(day.bob, f"/w/demo/runs/{day.runs['failed'].pk}/", 404)
    page(day.bob, f"/w/demo/runs/{day.runs['failed'].pk}/values/input/", 404)


def test_another_workspace_sees_nothing(day):
    other = make_workspace("other")
    stranger = make_member(other, "admin", "approver", "operator", "editor", "viewer")
    run, task = day.runs["waiting"].pk, day.tasks["leave"].pk
    for path in (
        f"runs/{run}/",
        f"runs/{run}/cancel/",
        f"runs/{run}/steps/check/",
        f"runs/{run}/values/input/",
        f"inbox/{task}/",
        f"inbox/{task}/reassign/",
    ):
        absent = main_of(page(stranger, f"/w/other/{path}", 404))  # a token in the head may hold any letters
        assert page(stranger, f"/w/demo/{path}", 404)
        assert "Ada" not in absent
    absent = main_of(page(stranger, f"/w/other/runs/{uuid.uuid4()}/", 404))
    assert absent == main_of(page(stranger, f"/w/other/runs/{run}/", 404))


def test_looking_changes_nothing(day):
    before = list(HumanTask.objects.order_by("pk").values()), list(Run.objects.order_by("pk").values())
    run, task = day.runs["waiting"].pk, day.tasks["leave"].pk
    for path in (
        "",
        "runs/",
        f"runs/{run}/",
        f"runs/{run}/cancel/",
        "inbox/",
        f"inbox/{task}/",
        f"inbox/{task}/reassign/",
    ):
        page(day.carol, f"/w/demo/{path}") if "cancel" not in path else page(day.alice, f"/w/demo/{path}")
    for verb in ("claim", "release"):
        assert client_of(day.carol).get(f"/w/demo/inbox/{task}/{verb}/").status_code == 405
    for verb in ("pause", "resume"):
        assert client_of(day.alice).get(f"/w/demo/runs/{run}/{verb}/").status_code == 405
    assert (list(HumanTask.objects.order_by("pk").values()), list(Run.objects.order_by("pk").values())) == before
    assert Decision.objects.count() == 1


def queries(user, address: str) -> int:
    client = client_of(user)
    client.get(address)  # names of steps are kept in memory after the first look
    with CaptureQueriesContext(connection) as found:
        assert client.get(address).status_code == 200
    return len(found)


@pytest.mark.parametrize("path", ["", "runs/", "inbox/?tab=groups", "inbox/?tab=all"])
def test_lists_ask_as_often_for_many_rows_as_for_few(day, path):
    more_work(day, 1)
    few = queries(day.carol, f"/w/demo/{path}")
    more_work(day, 25)
    assert queries(day.carol, f"/w/demo/{path}") == few
    assert few <= 22


def test_the_steps_tab_shows_a_page_at_a_time(day, monkeypatch):
    monkeypatch.setattr("monitor.pages.run_tabs.PAGE_OF_STEPS", 2)
    steps = {"again": {"kind": "repeat"}, "check": {"parent": "again"}}
    run = make_run(make_version(make_workflow(day.workspace), drawn("again", "check", steps=steps)), state="failed")
    make_log(run, "again")
    block = make_scope(run, "again").pk
    for turn in range(1, 4):
        make_log(run, "check", scope_id=block + turn)
    address = f"/w/demo/runs/{run.pk}/?tab=steps"
    first = main_of(page(day.alice, address))
    assert ("turn 1<" in first, "turn 2<" in first) == (True, False)
    (following,) = re.findall(r'href="\?tab=steps&amp;cursor=([0-9.]+)"', first)
    second = main_of(page(day.alice, f"{address}&cursor={following}"))
    assert ("turn 1<" in second, "turn 2<" in second, "turn 3<" in second) == (False, True, True)
    assert "made by this list" in page(day.alice, f"{address}&cursor=x", 400)


def test_the_steps_tab_asks_as_often_for_many_items_as_for_few(day):
    run = make_run(day.leave, state="failed")
    make_log(run, "check", scope_id=1)
    address = f"/w/demo/runs/{run.pk}/?tab=steps"
    few = queries(day.alice, address)
    for scope in range(2, 30):
        make_log(run, "check", scope_id=scope)
    assert queries(day.alice, address) == few


def more_work(day: Day, count: int) -> None:
    """Runs that wait for any approver, and runs that failed."""
    for _ in range(count):
        run = make_run(day.leave, input={"n": count})
        make_log(run, "check")
        HumanTask.objects.create(
            workspace=day.workspace,
            run=run,
            token_id=HumanTask.objects.count() + 10_000,
            epoch=1,
            step_key="approve",
            title="One more",
            outcomes=day.tasks["leave"].outcomes,
            requester=day.alice,
        )
        make_run(day.order, state="failed", error={"code": "x", "message": "y", "node": 1})


@pytest.mark.parametrize("tab", ["graph", "timeline", "steps", "history", "data"])
def test_a_run_asks_as_often_for_many_steps_as_for_few(day, tab):
    version = make_version(make_workflow(day.workspace, slug=f"line-{tab}"))
    short, long = make_run(version, state="succeeded"), make_run(version, state="succeeded")
    make_log(short, "a")
    for attempt in range(1, 40):
        make_log(long, "b", outcome="F", attempt=attempt, final=False)
    assert queries(day.alice, f"/w/demo/runs/{long.pk}/?tab={tab}") == queries(
        day.alice, f"/w/demo/runs/{short.pk}/?tab={tab}"
    )


def test_hostile_names_stay_text(day):
    evil = "<img src=x onerror=alert(1)>{{7*7}}{% load x %}"
    HumanTask.objects.filter(pk=day.tasks["leave"].pk).update(
        title=evil,
        text=evil,
        outcomes=[{"key": "a", "label": evil}],
        fields=[{"key": "f", "kind": "text", "label": evil}],
    )
    Run.objects.filter(pk=day.runs["failed"].pk).update(error={"code": evil, "message": evil}, business_key=evil)
    for path in ("", "runs/", f"runs/{day.runs['failed'].pk}/", "inbox/?tab=all", f"inbox/{day.tasks['leave'].pk}/"):
        text = page(day.carol, f"/w/demo/{path}")
        assert "<img" not in text
        assert "{{7*7}}" in text


def test_pages_hold_no_inline_style_or_script(day):
    run, task = day.runs["failed"].pk, day.tasks["leave"].pk
    for path in (
        "",
        "runs/",
        *(f"runs/{run}/?tab={tab}" for tab in ("graph", "timeline", "steps", "history", "data")),
        f"runs/{run}/steps/charge/",
        "inbox/",
        f"inbox/{task}/",
    ):
        text = page(day.carol, f"/w/demo/{path}")
        assert " style=" not in text
        assert " onclick=" not in text
        assert "javascript:" not in text
