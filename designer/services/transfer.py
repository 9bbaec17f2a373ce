"""Documents come in from files and go out to files."""

from collections.abc import Sequence
from dataclasses import dataclass

from designer.services.workflows import create_workflow
from designer.unlink import unlink
from orchestrator.api import Actor, Json, Workflow, document_as_json, parse_document

#: A file may be larger than what is kept of it (1 MB): blanks and spelling are its own.
MOST_BYTES = 5_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Imported:
    """The new workflow, and what was taken out of the document on its way in."""

    workflow: Workflow
    changes: Sequence[dict[str, Json]]


def import_document(*, document: Json, actor: Actor, slug: str = "") -> Imported:
    """Add a workflow with this document as its draft. Nothing is executed, published, fetched or mailed.

    Names of secrets, users and groups are taken out and reported. Raises DocumentInvalid.
    """
    unlinked = unlink(document_as_json(parse_document(document)))
    name = str(unlinked.document["name"])
    workflow = create_workflow(name=name, actor=actor, document=unlinked.document, slug=slug)
    return Imported(workflow=workflow, changes=unlinked.changes)
