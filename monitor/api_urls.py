"""The monitor's addresses below /api/v1/w/{workspace}/. Ids are plain text: the views answer for malformed ones too."""

from django.urls import path

from monitor import api_control, api_events, api_repeat, api_runs, api_tasks, api_undo

urlpatterns = [
    path("runs/", api_runs.RunsView.as_view(), name="api-runs"),
    path("runs/bulk/", api_repeat.BulkView.as_view(), name="api-runs-bulk"),
    path("runs/<str:run>/", api_runs.RunDetailView.as_view(), name="api-run"),
    path("runs/<str:run>/steps/", api_runs.RunStepsView.as_view(), name="api-run-steps"),
    path("runs/<str:run>/steps/<str:key>/", api_runs.RunStepView.as_view(), name="api-run-step"),
    path("runs/<str:run>/steps/<str:key>/items/", api_runs.RunItemsView.as_view(), name="api-run-items"),
    path("runs/<str:run>/history/", api_runs.RunHistoryView.as_view(), name="api-run-history"),
    path("runs/<str:run>/cancel/", api_control.CancelView.as_view(), name="api-run-cancel"),
    path("runs/<str:run>/pause/", api_control.PauseView.as_view(), name="api-run-pause"),
    path("runs/<str:run>/resume/", api_control.ResumeView.as_view(), name="api-run-resume"),
    path("runs/<str:run>/retry/", api_repeat.RetryView.as_view(), name="api-run-retry"),
    path("runs/<str:run>/steps/<str:key>/retry/", api_repeat.StepRetryView.as_view(), name="api-step-retry"),
    path("runs/<str:run>/steps/<str:key>/rerun/", api_repeat.StepRerunView.as_view(), name="api-step-rerun"),
    path("runs/<str:run>/steps/<str:key>/skip/", api_repeat.StepSkipView.as_view(), name="api-step-skip"),
    path("runs/<str:run>/undo/", api_undo.UndoView.as_view(), name="api-run-undo"),
    path("runs/<str:run>/undo/preview/", api_undo.UndoPreviewView.as_view(), name="api-run-undo-preview"),
    path("runs/<str:run>/undo/<int:entry>/retry/", api_undo.UndoRetryView.as_view(), name="api-run-undo-retry"),
    path("runs/<str:run>/undo/<int:entry>/skip/", api_undo.UndoSkipView.as_view(), name="api-run-undo-skip"),
    path("runs/<str:run>/undo/<int:entry>/by-hand/", api_undo.UndoByHandView.as_view(), name="api-run-undo-by-hand"),
    path("tasks/", api_tasks.TasksView.as_view(), name="api-tasks"),
    path("tasks/<str:task>/", api_tasks.TaskView.as_view(), name="api-task"),
    path("tasks/<str:task>/claim/", api_tasks.TaskClaimView.as_view(), name="api-task-claim"),
    path("tasks/<str:task>/release/", api_tasks.TaskReleaseView.as_view(), name="api-task-release"),
    path("tasks/<str:task>/reassign/", api_tasks.TaskReassignView.as_view(), name="api-task-reassign"),
    path("tasks/<str:task>/decide/", api_tasks.TaskDecideView.as_view(), name="api-task-decide"),
    path("events/", api_events.EventsView.as_view(), name="api-events"),
    path("events/<int:event>/", api_events.EventView.as_view(), name="api-event"),
    path("dead-letters/", api_events.DeadLettersView.as_view(), name="api-dead-letters"),
    path("dead-letters/<int:delivery>/replay/", api_events.ReplayView.as_view(), name="api-dead-letter-replay"),
    path("dead-letters/<int:delivery>/discard/", api_events.DiscardView.as_view(), name="api-dead-letter-discard"),
]
