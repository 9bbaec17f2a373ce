"""What uvicorn serves: Django's pages and API over HTTP, live frames over sockets."""

import os

from channels.routing import ProtocolTypeRouter
from django.core.asgi import get_asgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "orchestrator.project.settings")
http = get_asgi_application()

from monitor.sockets import application as sockets  # noqa: E402 - needs the apps, which the line above loads

application = ProtocolTypeRouter({"http": http, "websocket": sockets})
