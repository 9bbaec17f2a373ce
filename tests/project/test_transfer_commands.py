"""`manage.py import` and `export`."""

import io
import json
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command

from designer.queries.drafts import as_text, load_draft
from designer.samples.load import sample
from orchestrator.api import Run, Workflow
from orchestrator.project import samples

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def _given_servers(settings: Any) -> None:
    """The tests' servers run already: the commands need not look for any."""
    settings.EMBEDDED_POSTGRES = False


def said(*arguments: str) -> tuple[str, str]:
    out, err = io.StringIO(), io.StringIO()
    call_command(*arguments, stdout=out, stderr=err)
    return out.getvalue(), err.getvalue()


def test_a_file_goes_in_as_a_draft_and_comes_out_the_same(tmp_path: Path) -> None:
    file = tmp_path / "flow.json"
    file.write_text(as_text(sample("order-payment")), encoding="utf-8")
    slug, complaints = said("import", str(file), "--slug", "mine")
    assert (slug, complaints) == ("mine\n", "")
    assert Workflow.objects.get(slug="mine").live_version is None
    assert not Run.objects.exists()
    text, _ = said("export", "mine")
    assert text == file.read_text(encoding="utf-8")
    said("export", "mine", "--output", str(tmp_path / "out.json"))
    assert (tmp_path / "out.json").read_bytes() == file.read_bytes()


def test_export_gives_a_version_too() -> None:
    samples.load()
    text, _ = said("export", "leave-request", "--number", "1")
    assert json.loads(text) == load_draft(Workflow.objects.get(slug="leave-request")).document
    with pytest.raises(CommandError, match="no version 7"):
        said("export", "leave-request", "--number", "7")


def test_import_says_what_it_took_out(tmp_path: Path) -> None:
    document = sample("leave-request")
    document["steps"][1]["config"]["assignees"] = {"users": ["mallory"]}
    file = tmp_path / "flow.json"
    file.write_text(json.dumps(document), encoding="utf-8")
    _, complaints = said("import", str(file))
    assert "approve: config.assignees.users" in complaints


@pytest.mark.parametrize(
    ("content", "words"), [(b"{", "not JSON"), (b"[]", "object"), (b"[" * 100_000, "deeper"), (None, "cannot be read")]
)
def test_import_names_what_is_wrong_with_a_file(tmp_path: Path, content: bytes | None, words: str) -> None:
    file = tmp_path / "flow.json"
    if content is not None:
        file.write_bytes(content)
    samples.load()
    before = Workflow.objects.count()
    with pytest.raises(CommandError, match=words):
        said("import", str(file))
    assert Workflow.objects.count() == before


def test_an_unknown_workspace_or_workflow_is_named() -> None:
    with pytest.raises(CommandError, match="nowhere"):
        said("export", "x", "--workspace", "nowhere")
    with pytest.raises(CommandError, match="no such workflow"):
        said("export", "no-such-flow")
