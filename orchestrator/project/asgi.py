"""What uvicorn serves: Django's pages and API over HTTP, the monitor's live frames over websockets."""

import gc
import os

import django
from channels.routing import ProtocolTypeRouter

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "orchestrator.project.settings")
# Before everything that has models.
django.setup(set_prefix=False)

from monitor.sockets import application as sockets  # noqa: E402
from orchestrator.project.direct import Direct  # noqa: E402
from orchestrator.project.handler import Pages  # noqa: E402
from orchestrator.project.hot_routes import HOT_ROUTES  # noqa: E402

application = ProtocolTypeRouter({"http": Pages(Direct(HOT_ROUTES)), "websocket": sockets})

# What is loaded by now lives as long as the process: later collections, which happen inside requests, need not look.
gc.collect()
gc.freeze()
