"""What uvicorn serves: Django's pages and API over HTTP."""

import os

from django.core.asgi import get_asgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "orchestrator.project.settings")

application = get_asgi_application()
