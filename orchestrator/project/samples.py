"""What a first start finds: the workspace `demo`, three published workflows, and one administrator to sign in."""

from django.db import connection, transaction

from designer.samples import load as designer_samples
from orchestrator.models import Membership, User, Workspace
from orchestrator.models.workspace import Role
from orchestrator.project.people import account
from orchestrator.services.members import create_workspace, machine_actor, set_member

WORKSPACE = "demo"
ADMINISTRATOR = "admin"
# Any number, the same in every process: of two commands that come first together, one loads and the other waits for it.
LOCK = 0x64656D6F


def wanted() -> bool:
    """Only a database without any workspace gets the samples: who deletes them has deleted them."""
    return not Workspace.objects.exists()


def load_when_wanted() -> None:
    """Make the sample workspace in a database without any workspace. Waits for another process that is doing so."""
    if wanted():
        with transaction.atomic():
            with connection.cursor() as cursor:
                cursor.execute("SELECT pg_advisory_xact_lock(%s)", [LOCK])
            if wanted():
                load()


@transaction.atomic
def load() -> None:
    """Make the sample workspace. Its administrator has no password: `manage.py signin` makes a link."""
    user = account(ADMINISTRATOR)
    workspace = create_workspace(slug=WORKSPACE, name="Demo", admin=user)
    actor = machine_actor(workspace)
    set_member(actor=actor, username=user.username, roles=[str(role) for role in Role])
    designer_samples.load(workspace, actor)


def administrator() -> User | None:
    """Whom the start's sign-in link is for: the oldest active administrator of any workspace."""
    membership = Membership.objects.with_role(Role.ADMIN).select_related("user").order_by("pk").first()
    return membership.user if membership else None
