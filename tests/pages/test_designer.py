"""The designer's pages: everything works by plain forms and links."""

import json
import re
from typing import Any

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from designer.queries.workflows import find_workflow
from designer.services.drafts import save_draft
from designer.services.publishing import publish
from orchestrator.api import Workflow
from tests.designer_cast import Cast, document, transform
from tests.factories import make_member
from tests.pages.designer_pages import published, signed_in, text_of
from tests.run_factories import make_run

pytestmark = pytest.mark.django_db

POLYGLOT = "\"'><img src=x onerror=alert(1)></script>{{7*7}}"


# --- List -----------------------------------------------------------------------------------------------------------


def test_an_empty_list_offers_the_next_action(cast: Cast, browser: Client) -> None:
    page = text_of(browser.get(cast.page("workflows/")))
    assert "Draw the first workflow" in page
    assert 'href="#name"' in page


def test_the_list_shows_where_each_workflow_stands(cast: Cast, browser: Client) -> None:
    run = make_run(publish(workflow=cast.workflow(document(transform("a"), name="Live")), note="", actor=cast.actor))
    cast.workflow(name="Fresh")
    page = text_of(browser.get(cast.page("workflows/")))
    assert "Version 1" in page
    assert "No unpublished changes" in page
    assert "Never published" in page
    assert "1 problem" in page
    assert f"/w/demo/runs/{run.pk}/" in page
    assert "/w/demo/workflows/live/start/" in page


def test_the_list_takes_the_same_queries_for_one_and_for_many(cast: Cast, browser: Client) -> None:
    published(cast, document(transform("a"), name="One"))
    browser.get(cast.page("workflows/"))
    with CaptureQueriesContext(connection) as few:
        browser.get(cast.page("workflows/"))
    for number in range(20):
        published(cast, document(transform("a"), name=f"More {number}"))
    with CaptureQueriesContext(connection) as many:
        browser.get(cast.page("workflows/"))
    assert len(many) == len(few)


def test_search_is_in_the_address_and_htmx_gets_the_list_alone(cast: Cast, browser: Client) -> None:
    for name in ("Orders", "Leave"):
        cast.workflow(name=name)
    page = text_of(browser.get(cast.page("workflows/?q=ord")))
    assert "Orders" in page
    assert "Leave" not in page
    fragment = text_of(browser.get(cast.page("workflows/?q=ord"), headers={"HX-Request": "true"}))
    assert fragment.lstrip().startswith('<div id="workflow-list">')
    assert "No workflow matches" in text_of(browser.get(cast.page("workflows/?q=zzz")))


def test_the_list_pages_by_links(cast: Cast, browser: Client) -> None:
    for number in range(3):
        cast.workflow(name=f"Flow {number}")
    first = text_of(browser.get(cast.page("workflows/?limit=2")))
    link = re.search(r'href="(\?q=&amp;cursor=[^"]+)"', first)
    assert link
    second = text_of(browser.get(cast.page("workflows/") + link[1].replace("&amp;", "&")))
    assert "Flow 2" in second
    assert "Flow 0" not in second


def test_creating_leads_to_the_editor(cast: Cast, browser: Client) -> None:
    answer = browser.post(cast.page("workflows/"), {"action": "create", "name": "My flow"})
    assert (answer.status_code, answer["Location"]) == (302, "/w/demo/workflows/my-flow/")


def test_a_wrong_name_is_kept_and_explained(cast: Cast, browser: Client) -> None:
    name = "x" * 201
    answer = browser.post(cast.page("workflows/"), {"action": "create", "name": name})
    assert answer.status_code == 400
    assert name in text_of(answer)
    assert "200 characters" in text_of(answer)
    assert not Workflow.objects.exists()


def test_importing_a_file_says_what_was_taken_out(cast: Cast, browser: Client) -> None:
    drawing = document(transform("a", {"$secret": "prod"}), name="Brought in")
    file = SimpleUploadedFile("flow.json", json.dumps(drawing).encode())
    page = text_of(browser.post(cast.page("workflows/"), {"action": "import", "file": file}, follow=True))
    assert "Imported &quot;Brought in&quot;" in page
    assert "belongs elsewhere" in page


@pytest.mark.parametrize("content", [b"[" * 100_000, b"{}", b"\xff", b""])
def test_a_file_that_is_no_workflow_is_explained(cast: Cast, browser: Client, content: bytes) -> None:
    answer = browser.post(
        cast.page("workflows/"), {"action": "import", "file": SimpleUploadedFile("flow.json", content)}, follow=True
    )
    assert answer.status_code in {200, 400}
    assert 'data-level="error"' in text_of(answer)
    assert not Workflow.objects.exists()


def test_duplicating_and_archiving(cast: Cast, browser: Client) -> None:
    cast.workflow(document(transform("a"), name="Flow"))
    page = text_of(browser.post(cast.page("workflows/"), {"action": "copy", "slug": "flow"}, follow=True))
    assert "Flow (copy)" in page
    browser.post(cast.page("workflows/"), {"action": "archive", "slug": "flow"})
    assert set(Workflow.objects.filter(archived_at=None).values_list("name", flat=True)) == {"Flow (copy)"}
    assert browser.post(cast.page("workflows/"), {"action": "archive", "slug": "flow"}).status_code == 404


def test_a_foreign_workflow_is_not_there(cast: Cast, browser: Client) -> None:
    other = Cast("other")
    published(other, document(transform("a"), name="Theirs"))
    for rest in ("", "versions/", "start/"):
        assert browser.get(cast.page(f"workflows/theirs/{rest}")).status_code == 404
        assert browser.get(other.page(f"workflows/theirs/{rest}")).status_code == 404
    assert browser.post(cast.page("workflows/"), {"action": "archive", "slug": "theirs"}).status_code == 404
    assert "Theirs" not in text_of(browser.get(cast.page("workflows/")))


def test_a_viewer_sees_but_is_told_why_not_change(cast: Cast) -> None:
    published(cast, document(transform("a"), name="Flow"))
    viewer = signed_in(cast, make_member(cast.workspace, "viewer"))
    page = text_of(viewer.get(cast.page("workflows/")))
    assert "Only editors and admins change drafts." in page
    assert "Archive" not in page
    assert viewer.post(cast.page("workflows/"), {"action": "create", "name": "x"}).status_code == 403
    assert viewer.get(cast.page("workflows/flow/start/")).status_code == 403
    assert viewer.post(cast.page("workflows/flow/versions/"), {"number": 1}).status_code == 403


def test_pages_show_names_as_text_and_carry_no_inline_code(cast: Cast, browser: Client) -> None:
    drawing = document(
        transform("a", note=POLYGLOT), name=POLYGLOT, input={"type": "object", "properties": {POLYGLOT: {}}}
    )
    workflow = cast.workflow(drawing)
    publish(workflow=workflow, note=POLYGLOT, actor=cast.actor)
    for rest in ("", f"{workflow.slug}/", f"{workflow.slug}/versions/", f"{workflow.slug}/start/"):
        page = text_of(browser.get(cast.page(f"workflows/{rest}")))
        assert "<img src=x" not in page
        assert "{{7*7}}" in page
        assert not re.findall(r"<style|\sstyle=|\son\w+=\"", page)
        assert all("src=" in tag or "application/json" in tag for tag in re.findall(r"<script[^>]*>", page))


# --- Editor ---------------------------------------------------------------------------------------------------------


def config_of(page: str) -> dict[str, Any]:
    found = re.search(r'<script id="canvas-config" type="application/json">(.*?)</script>', page)
    assert found
    config: dict[str, Any] = json.loads(found[1])
    return config


def test_the_editor_tells_the_island_what_it_needs(cast: Cast, browser: Client) -> None:
    cast.workflow(name="Flow")
    page = text_of(browser.get(cast.page("workflows/flow/")))
    assert '<div id="canvas"></div>' in page
    config = config_of(page)
    assert config["base"] == "/api/v1/w/demo/"
    assert config["socket"] == "/ws/w/demo/"
    assert (config["mode"], config["workflow"], config["name"]) == ("edit", "flow", "Flow")
    assert config["may"] == {"edit": True, "publish": True, "run": True}
    assert config["csrf"]
    assert config["pages"]["run"] == "/w/demo/runs/{id}/"


def test_a_viewers_editor_may_nothing(cast: Cast) -> None:
    cast.workflow(name="Flow")
    viewer = signed_in(cast, make_member(cast.workspace, "viewer"))
    page = text_of(viewer.get(cast.page("workflows/flow/")))
    assert config_of(page)["may"] == {"edit": False, "publish": False, "run": False}


def test_without_a_built_canvas_the_editor_says_what_to_do(
    cast: Cast, browser: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    cast.workflow(name="Flow")
    monkeypatch.setattr("orchestrator.templatetags.island.built", dict)
    assert "make canvas" in text_of(browser.get(cast.page("workflows/flow/")))


# --- Versions -------------------------------------------------------------------------------------------------------


def test_versions_tell_their_changes_in_words(cast: Cast, browser: Client) -> None:
    workflow = published(cast, document(transform("a"), name="Flow"))
    changed = document(transform("a", 2, at=(5, 5)), transform("b"), name="Flow")
    save_draft(workflow=workflow, document=changed, base_revision=1, actor=cast.actor)
    page = text_of(browser.get(cast.page("workflows/flow/versions/")))
    assert "The draft differs from the live version" in page
    publish(workflow=workflow, note="Second", actor=cast.actor)
    page = text_of(browser.get(cast.page("workflows/flow/versions/")))
    for words in ("Added 1 step: b", "A: value changed", "1 arrow drawn", "Second", "As drawn"):
        assert words in page
    assert "The draft differs" not in page


def test_making_an_older_version_live(cast: Cast, browser: Client) -> None:
    workflow = published(cast, document(transform("a"), name="Flow"))
    publish(workflow=workflow, note="", actor=cast.actor)
    page = text_of(browser.post(cast.page("workflows/flow/versions/"), {"number": "1"}, follow=True))
    assert "New runs use version 1" in page
    live = find_workflow(cast.actor, "flow").live_version
    assert live is not None
    assert live.number == 1
    assert "already" in text_of(browser.post(cast.page("workflows/flow/versions/"), {"number": "1"}, follow=True))
    for number in ("9", "x", "", "²", "9" * 40):
        assert browser.post(cast.page("workflows/flow/versions/"), {"number": number}).status_code == 404


def test_an_unpublished_workflow_says_what_versions_are_for(cast: Cast, browser: Client) -> None:
    cast.workflow(name="Flow")
    assert "Nothing is published yet" in text_of(browser.get(cast.page("workflows/flow/versions/")))
    assert "Nothing is published yet" in text_of(browser.get(cast.page("workflows/flow/start/")))
