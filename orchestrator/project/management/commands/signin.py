"""`manage.py signin`: a one-time sign-in link, for the administrator of this machine."""

from argparse import ArgumentParser
from typing import Any

from django.db import transaction

from orchestrator.project import samples
from orchestrator.project.people import account
from orchestrator.project.running.served import ServedCommand
from orchestrator.project.running.site import site_address
from orchestrator.services.signin import create_signin_link


class Command(ServedCommand):
    """Print a link that signs the person in once."""

    help = "Print a link that signs the person in once. Makes the account where it is missing."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--user", required=True)

    @transaction.atomic
    def handle(self, *args: Any, **options: Any) -> None:
        samples.load_when_wanted()
        self.stdout.write(site_address() + create_signin_link(account(options["user"])))
