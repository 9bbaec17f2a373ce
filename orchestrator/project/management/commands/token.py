"""`manage.py token`: one new API token, for the administrator of this machine."""

from argparse import ArgumentParser
from dataclasses import replace
from typing import Any

from django.core.management.base import CommandError
from django.db import transaction

from orchestrator.core.errors import BranchlineError
from orchestrator.models.workspace import Role
from orchestrator.project import samples
from orchestrator.project.people import member_with, workspace_named
from orchestrator.project.running.served import ServedCommand
from orchestrator.services.tokens import create_token


class Command(ServedCommand):
    """Print one new API token and nothing else; make user and membership where they are missing."""

    help = "Print one new API token. Makes the user and the membership where they are missing."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--workspace", required=True, help="its slug, such as demo")
        parser.add_argument("--user", required=True)
        parser.add_argument("--roles", nargs="+", required=True, choices=[str(role) for role in Role])
        parser.add_argument("--name", default="command line", help="how the list of tokens shows it")

    def handle(self, *args: Any, **options: Any) -> None:
        samples.load_when_wanted()
        try:
            self.stdout.write(self.made(**options))
        except BranchlineError as error:
            raise CommandError(str(error)) from error

    @transaction.atomic
    def made(self, *, workspace: str, user: str, roles: list[str], name: str, **_rest: Any) -> str:
        actor = member_with(workspace_named(workspace), user, roles)
        _made, plain = create_token(actor=replace(actor, via="command"), name=name, roles=roles)
        return plain
