"""Addresses of the monitor's pages, below /w/{workspace}/."""

from django.urls import path

from monitor.pages import bulk, control, front, inbox, reassign, repeat, run, runs, task, undo, values

urlpatterns = [
    path("", front.front, name="front"),
    path("runs/", runs.runs, name="runs"),
    path("runs/bulk/", bulk.bulk, name="runs-bulk"),
    path("runs/<uuid:run_id>/", run.run, name="run"),
    path("runs/<uuid:run_id>/cancel/", control.run_cancel, name="run-cancel"),
    path("runs/<uuid:run_id>/pause/", control.run_control, {"what": "pause"}, name="run-pause"),
    path("runs/<uuid:run_id>/resume/", control.run_control, {"what": "resume"}, name="run-resume"),
    path("runs/<uuid:run_id>/retry/", repeat.run_retry, name="run-retry"),
    path("runs/<uuid:run_id>/steps/<slug:key>/retry/", repeat.step_retry, name="step-retry"),
    path("runs/<uuid:run_id>/steps/<slug:key>/rerun/", repeat.step_rerun, name="step-rerun"),
    path("runs/<uuid:run_id>/steps/<slug:key>/skip/", repeat.step_skip, name="step-skip"),
    path("runs/<uuid:run_id>/undo/", undo.run_undo, name="run-undo"),
    path("runs/<uuid:run_id>/undo/<int:entry>/", undo.run_undo_settle, name="run-undo-settle"),
    path("runs/<uuid:run_id>/values/<slug:name>/", values.run_value, name="run-value"),
    path("runs/<uuid:run_id>/steps/<slug:key>/", run.run_step, name="run-step"),
    path("runs/<uuid:run_id>/steps/<slug:key>/values/<slug:name>/", values.step_value, name="step-value"),
    path("inbox/", inbox.inbox_page, name="inbox"),
    path("inbox/<uuid:task_id>/", task.task, name="task"),
    path("inbox/<uuid:task_id>/claim/", task.task_claim, name="task-claim"),
    path("inbox/<uuid:task_id>/release/", task.task_release, name="task-release"),
    path("inbox/<uuid:task_id>/reassign/", reassign.task_reassign, name="task-reassign"),
]
