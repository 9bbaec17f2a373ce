"""What is written once stays as it was written: the database itself refuses, whoever asks."""

from collections.abc import Callable

import pytest
from django.db import IntegrityError, models, transaction

from orchestrator.models import AuditEntry, StepLog, Version
from tests.factories import make_workspace
from tests.run_factories import make_log, make_run, make_version, make_workflow

pytestmark = pytest.mark.django_db


def make_version_row() -> models.Model:
    return make_version(make_workflow(make_workspace()))


def make_log_row() -> models.Model:
    return make_log(make_run(make_version(make_workflow(make_workspace()))), "a")


def make_audit_row() -> models.Model:
    return AuditEntry.objects.create(workspace=make_workspace(), action="run.start", actor_name="ann")


WRITTEN_ONCE = [(make_version_row, Version), (make_log_row, StepLog), (make_audit_row, AuditEntry)]
#: Of any kind: a guard looks at no value.
CHANGES = [
    (make_version_row, Version, {"note": "another"}),
    (make_version_row, Version, {"plan": {}}),
    (make_version_row, Version, {"number": 99}),
    (make_log_row, StepLog, {"outcome": "F"}),
    (make_log_row, StepLog, {"finished_at": None}),
    (make_log_row, StepLog, {"attempt": 99}),
    (make_audit_row, AuditEntry, {"allowed": False}),
    (make_audit_row, AuditEntry, {"actor_name": "bob"}),
    (make_audit_row, AuditEntry, {"action": "run.start"}),  # not even to the same
]


@pytest.mark.parametrize(("make", "model", "change"), CHANGES)
def test_what_is_written_once_cannot_be_changed(
    make: Callable[[], models.Model], model: type[models.Model], change: dict[str, object]
) -> None:
    row = make()
    manager = model._default_manager
    before = manager.filter(pk=row.pk).values().get()
    with pytest.raises(IntegrityError, match="rows are never changed: this table only grows"), transaction.atomic():
        manager.filter(pk=row.pk).update(**change)
    assert manager.filter(pk=row.pk).values().get() == before


def test_nothing_is_taken_out_of_the_audit_trail() -> None:
    row = make_audit_row()
    with pytest.raises(IntegrityError, match="this table only grows"), transaction.atomic():
        AuditEntry.objects.filter(pk=row.pk).delete()
    assert AuditEntry.objects.filter(pk=row.pk).exists()


@pytest.mark.parametrize(("make", "model"), WRITTEN_ONCE)
def test_it_grows(make: Callable[[], models.Model], model: type[models.Model]) -> None:
    before = model._default_manager.count()
    make()
    assert model._default_manager.count() == before + 1
