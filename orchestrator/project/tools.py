"""What the composition root hands to the engine: kinds, sandbox, mail, HTTP."""

from django.core.mail import EmailMultiAlternatives
from django.core.mail.message import make_msgid

from orchestrator.engine.perform import Tools
from orchestrator.engine.sandbox import Sandbox
from orchestrator.project.allowed_hosts import http_for_workspaces
from orchestrator.steps import KINDS


class DjangoMailer:
    """Sends by Django's configured backend."""

    def send(self, *, to: tuple[str, ...], subject: str, text: str, html: str | None) -> str:
        """Send one message and return its Message-ID. Raises `ValueError` for a header with a line break."""
        identity = make_msgid(domain="branchline")
        message = EmailMultiAlternatives(subject, text, to=list(to), headers={"Message-ID": identity})
        if html is not None:
            message.attach_alternative(html, "text/html")
        message.send()
        return identity


def make_tools() -> Tools:
    """Called once in each worker process, after its fork."""
    return Tools(kinds=KINDS, sandbox=Sandbox(), mail=DjangoMailer(), http_for=http_for_workspaces())
