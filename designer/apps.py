from django.apps import AppConfig


class DesignerConfig(AppConfig):
    """Draw and publish: drafts, their pages and their API."""

    name = "designer"
    label = "designer"
    verbose_name = "Designer"
