"""Workflows come, are renamed, copied and put away."""

from itertools import chain, count

from django.db import IntegrityError, transaction
from django.db.models import F
from django.db.models.functions import Now
from django.utils.text import slugify

from designer.errors import NameInvalid
from designer.models import Draft
from designer.problems import find, refuse_doubles
from designer.queries.drafts import load_draft
from designer.rows import take_apart
from designer.services.drafts import write_rows
from orchestrator.api import FORMAT, Actor, Json, NotFound, Workflow, document_as_json, parse_document, record

LONGEST_NAME = 200
LONGEST_SLUG = 63
#: Words that stand for something else in the place of a slug (`workflows/import/`).
TAKEN = frozenset({"import", "new"})
#: Two people may ask for the same free slug at once; the loser looks again.
TRIES = 20


def empty_document(name: str) -> dict[str, Json]:
    """A drawing without a step."""
    return {"format": FORMAT, "name": name, "input": {"type": "object", "properties": {}}, "steps": [], "edges": []}


def create_workflow(*, name: str, actor: Actor, document: Json = None, slug: str = "") -> Workflow:
    """Add a workflow whose draft is `document`, or empty. Its slug is made of `slug` or the name, and made unique.

    Raises NameInvalid, DocumentInvalid.
    """
    parsed = parse_document(empty_document(checked_name(name)) if document is None else document)
    refuse_doubles(parsed)
    findings = find(parsed, actor.workspace_id)
    parts = take_apart(document_as_json(parsed) | {"name": checked_name(name)})
    with transaction.atomic():
        workflow = _with_free_slug(checked_name(name), slug or name, actor)
        Draft.objects.create(
            workflow=workflow,
            **parts.draft,
            errors=findings.errors,
            warnings=findings.warnings,
            saved_by_id=actor.user_id,
        )
        write_rows(workflow.pk, parts)
        record(actor, "workflow.create", target=f"workflow {workflow.slug}", detail={"name": workflow.name})
    return workflow


def rename_workflow(*, workflow: Workflow, name: str, actor: Actor) -> None:
    """Give it another name; its slug, and so every address, stays. The draft's revision rises: it holds the name."""
    name = checked_name(name)
    if name == workflow.name:
        return
    with transaction.atomic():
        Draft.objects.filter(pk=workflow.pk).update(
            revision=F("revision") + 1, saved_at=Now(), saved_by_id=actor.user_id
        )
        Workflow.objects.filter(pk=workflow.pk).update(name=name)
        detail: dict[str, Json] = {"from": workflow.name, "to": name}
        record(actor, "workflow.rename", target=f"workflow {workflow.slug}", detail=detail)
    workflow.name = name


def archive_workflow(*, workflow: Workflow, actor: Actor) -> None:
    """Put it away: it is listed no more and starts no run. Open runs go on to their end. Raises NotFound."""
    with transaction.atomic():
        if not Workflow.objects.filter(pk=workflow.pk, archived_at=None).update(archived_at=Now()):
            raise NotFound("There is no such workflow in this workspace.")
        record(actor, "workflow.archive", target=f"workflow {workflow.slug}")


def duplicate_workflow(*, workflow: Workflow, actor: Actor) -> Workflow:
    """Add a copy of the draft under a name of its own. Versions and runs are not copied."""
    name = f"{workflow.name[: LONGEST_NAME - 7]} (copy)"
    return create_workflow(name=name, actor=actor, document=load_draft(workflow).document)


def checked_name(name: str) -> str:
    """The name without blanks around it. Raises NameInvalid."""
    name = name.strip()
    if name and len(name) <= LONGEST_NAME and name.isprintable():
        return name
    raise NameInvalid(f"A workflow's name is one line of 1 to {LONGEST_NAME} characters. Choose another one.")


def _with_free_slug(name: str, wish: str, actor: Actor) -> Workflow:
    stem = slugify(wish)[: LONGEST_SLUG - 4].strip("-_") or "workflow"
    for _ in range(TRIES):
        try:
            with transaction.atomic():
                return Workflow.objects.create(
                    workspace_id=actor.workspace_id, slug=_free_slug(stem, actor.workspace_id), name=name
                )
        except IntegrityError:
            continue
    raise NameInvalid(f'No free address was found for "{name}". Choose another name.')


def _free_slug(stem: str, workspace_id: int) -> str:
    # Archived workflows keep theirs: old links and records must not point at something else.
    taken = set(
        Workflow.objects.filter(workspace_id=workspace_id, slug__startswith=stem).values_list("slug", flat=True)
    )
    candidates = chain([stem], (f"{stem}-{number}" for number in count(2)))
    return next(slug for slug in candidates if slug not in taken | TAKEN)
