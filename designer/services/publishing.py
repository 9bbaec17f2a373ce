"""The draft becomes an immutable version; the live pointer moves."""

from dataclasses import dataclass

from django.db import transaction

from designer.errors import AlreadyLive, DraftHasProblems
from designer.models import Draft
from designer.problems import Findings, find
from designer.queries.drafts import load_draft
from designer.services.drafts import stale
from orchestrator.api import Actor, Json, Version, Workflow, parse_document, publish_version, record


@dataclass(frozen=True, slots=True)
class Published:
    """A new version, and what was found in it: warnings at most."""

    version: Version
    findings: Findings


def publish(*, workflow: Workflow, note: str, actor: Actor, base_revision: int | None = None) -> Version:
    """As `publish_draft`, for who has seen the warnings."""
    return publish_draft(workflow=workflow, note=note, actor=actor, base_revision=base_revision).version


def publish_draft(*, workflow: Workflow, note: str, actor: Actor, base_revision: int | None = None) -> Published:
    """Freeze the draft as the next version and make it live. Open runs stay on theirs.

    Raises DraftHasProblems with every problem; StaleRevision when `base_revision` is given and the draft went on.
    """
    with transaction.atomic():
        # Locked, so that what was checked is what is published.
        draft = Draft.objects.select_for_update().get(pk=workflow.pk)
        if base_revision is not None and draft.revision != base_revision:
            raise stale(workflow, base_revision)
        loaded = load_draft(workflow)
        document = parse_document(loaded.document)
        findings = find(document, workflow.workspace_id, workflow.slug)
        if findings.errors:
            raise refusal(workflow, findings.errors, findings.as_json())
        version = publish_version(workflow=workflow, document=document, raw=loaded.document, note=note, actor=actor)
        Draft.objects.filter(pk=workflow.pk).update(published_revision=loaded.revision)
    return Published(version, findings)


def refusal(workflow: Workflow, errors: int, problems: list[Json]) -> DraftHasProblems:
    """Why a drawing is not published."""
    count = "one problem" if errors == 1 else f"{errors} problems"
    message = f'The draft of "{workflow.name}" has {count} that must be solved before it can be published.'
    return DraftHasProblems(message, details={"problems": problems})


def set_live(*, workflow: Workflow, version: Version, actor: Actor) -> None:
    """Let new runs use this version from now on, an older one as well: roll back. The draft stays as it is.

    Raises AlreadyLive.
    """
    with transaction.atomic():
        current = Workflow.objects.select_for_update(of=("self",)).select_related("live_version").get(pk=workflow.pk)
        if current.live_version_id == version.pk:
            raise AlreadyLive(f"Version {version.number} is the live one already.")
        Workflow.objects.filter(pk=workflow.pk).update(live_version=version)
        before = current.live_version.number if current.live_version else None
        record(actor, "version.live", target=f"workflow {workflow.slug}", detail={"from": before, "to": version.number})
    workflow.live_version = version
