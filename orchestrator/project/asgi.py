"""What uvicorn serves: Django's pages and API over HTTP, the monitor's live frames over websockets."""

import gc
import os

from channels.routing import ProtocolTypeRouter

from orchestrator.project.handler import pages

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "orchestrator.project.settings")
# Sets Django up, so it comes before everything that has models.
http = pages()

from monitor.sockets import application as sockets  # noqa: E402

application = ProtocolTypeRouter({"http": http, "websocket": sockets})

# What is loaded by now lives as long as the process: later collections, which happen inside requests, need not look.
gc.collect()
gc.freeze()
