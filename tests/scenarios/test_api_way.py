"""From an empty draft to a finished run through the API: a real token, the real web process, real workers."""

import subprocess
import sys
import time

import httpx

from orchestrator.core.states import FINAL_RUN
from orchestrator.models.workspace import Role
from tests.engine.drawings import document, step
from tests.engine.house import House
from tests.scenarios.conftest import person
from tests.scenarios.driver import web, workers

FORM = {
    "title": "Let them in?",
    "fields": [{"key": "desk", "kind": "text", "label": "Desk", "required": True}],
    "outcomes": [{"key": "approved", "label": "Approve"}, {"key": "rejected", "label": "Reject"}],
    "assignees": {"users": ["ada"]},
}


def client_of(house: House, address: str, environment: dict[str, str], name: str, *roles: str) -> httpx.Client:
    """A client with a token from the command line."""
    command = [
        sys.executable,
        "manage.py",
        "token",
        "--workspace",
        house.workspace.slug,
        "--user",
        name,
        "--roles",
        *roles,
    ]
    token = subprocess.run(
        command, env=environment, capture_output=True, text=True, check=True, timeout=60
    ).stdout.strip()
    base = f"{address}/api/v1/w/{house.workspace.slug}/"
    return httpx.Client(base_url=base, headers={"Authorization": f"Bearer {token}"}, trust_env=False, timeout=40)


def drawing() -> dict[str, object]:
    steps = [
        step("loud", config={"value": {"$": "input.who.upper()"}}),
        step("long", config={"value": {"$": "len(steps.loud)"}}),
        step("kind", "script", config={"code": "f'Welcome, {steps.loud}'"}),
        step("both", "merge"),
        step("ask", "human_task", config=FORM),
    ]
    output = {"text": {"$": "steps.kind"}, "desk": {"$": "steps.ask['values'].desk"}}
    schema = {"type": "object", "properties": {"who": {"type": "string"}}, "required": ["who"]}
    return document(steps, "loud > long > both", "loud > kind > both", "both > ask", input=schema, output=output)


def test_the_whole_way_through_the_api(samples: House, process_environment: dict[str, str]) -> None:
    with web(process_environment) as address, workers(process_environment):
        whole_way(samples, address, process_environment)


def whole_way(samples: House, address: str, environment: dict[str, str]) -> None:
    person(samples, "ada", Role.APPROVER)
    with (
        client_of(samples, address, environment, "eve", "editor", "operator") as designer,
        client_of(samples, address, environment, "ada", "approver") as approver,
    ):
        draw_run_and_approve(designer, approver)


def draw_run_and_approve(designer: httpx.Client, approver: httpx.Client) -> None:
    made = designer.post("workflows/", json={"name": "Welcome"})
    assert made.status_code == 201, made.text
    draft = designer.get("workflows/welcome/draft/")
    saved = designer.put("workflows/welcome/draft/", json=drawing(), headers={"If-Match": draft.headers["ETag"]})
    assert (saved.status_code, saved.json()["problems"]) == (200, [])
    stale = designer.put("workflows/welcome/draft/", json=drawing(), headers={"If-Match": draft.headers["ETag"]})
    assert (stale.status_code, stale.json()["code"]) == (412, "stale_revision")
    assert designer.post("workflows/welcome/publish/", json={"note": "first"}).status_code == 201
    assert designer.post("workflows/welcome/runs/", json={"input": {}}).json()["code"] == "input_invalid"
    key = {"Idempotency-Key": "once"}
    started = designer.post("workflows/welcome/runs/", json={"input": {"who": "bo"}}, headers=key)
    again = designer.post("workflows/welcome/runs/", json={"input": {"who": "bo"}}, headers=key)
    assert (started.status_code, again.status_code) == (201, 200)
    run = started.json()["id"]
    assert again.json()["id"] == run
    task = first_task(approver)
    detail = approver.get(f"tasks/{task}/").json()
    body = {"outcome": "approved", "values": {"desk": "7"}, "digest": detail["digest"]}
    empty = approver.post(f"tasks/{task}/decide/", json={**body, "values": {}})
    assert empty.status_code == 400
    assert approver.post(f"tasks/{task}/decide/", json=body).status_code == 200
    ended = ended_run(designer, run)
    assert (ended["state"], ended["output"]) == ("succeeded", {"text": "Welcome, BO", "desk": "7"})
    steps = {one["key"]: one["state"] for one in designer.get(f"runs/{run}/steps/").json()["steps"]}
    assert set(steps.values()) == {"succeeded"}


def first_task(client: httpx.Client) -> str:
    """The approver's task, once it is open."""
    end = time.monotonic() + 20
    while time.monotonic() < end:
        rows = client.get("tasks/").json()["items"]
        if rows:
            return str(rows[0]["id"])
    raise AssertionError("no task opened")


def ended_run(client: httpx.Client, run: str) -> dict[str, object]:
    end = time.monotonic() + 20
    while time.monotonic() < end:
        found: dict[str, object] = client.get(f"runs/{run}/").json()
        if found["state"] in FINAL_RUN:
            return found
    raise AssertionError("the run does not end")
