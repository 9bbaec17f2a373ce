"""An editor's browser on the designer's pages."""

from typing import Any

from django.test import Client

from designer.services.publishing import publish
from orchestrator.api import Workflow
from tests.designer_cast import Cast


def signed_in(cast: Cast, user: Any) -> Client:
    client = Client()
    client.force_login(user)
    return client


def text_of(response: Any) -> str:
    return str(response.content.decode())


def published(cast: Cast, drawing: dict[str, Any]) -> Workflow:
    workflow = cast.workflow(drawing)
    publish(workflow=workflow, note="As drawn", actor=cast.actor)
    return workflow
