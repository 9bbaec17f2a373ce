"""The product's settings on servers of the tests' own: given by DATABASE_URL and BROKER_URL, or embedded ones.

Each test session gets a data folder of its own, so sessions side by side share nothing.
"""

import os

from tests.servers import session_folder

# Child processes of the tests (workers, commands) inherit the folder.
os.environ.setdefault("BRANCHLINE_DATA", str(session_folder()))

from orchestrator.project.settings import *  # noqa: F403

# One connection per thread, closed by the test runner; the pool has tests of its own.
DATABASES["default"]["OPTIONS"].pop("pool")  # noqa: F405
EMAIL_BACKEND = "django.core.mail.backends.locmem.EmailBackend"
PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
