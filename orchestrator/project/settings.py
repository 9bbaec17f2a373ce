"""Settings of every process: web, worker, command. Values come from the environment; README lists the variables."""

from pathlib import Path
from typing import Any

from orchestrator.project import environment as env
from orchestrator.project.embedded.places import Places
from orchestrator.project.logs import logging_settings
from orchestrator.project.secret_key import secret_key
from orchestrator.project.static_names import IMMUTABLE

BASE_DIR = Path(__file__).resolve().parents[2]
environment = env.process_environment()
DATA_DIR = env.data_folder(environment, BASE_DIR)
PLACES = Places(DATA_DIR)

# --- Who we are -------------------------------------------------------------------------------------------------

SECRET_KEY = secret_key(environment, DATA_DIR)
DEBUG = environment.flag("BRANCHLINE_DEBUG")
# The address people open. https here switches on secure cookies and HSTS.
SITE_URL = environment.text("BRANCHLINE_URL").rstrip("/")
HTTPS = SITE_URL.startswith("https://")
LOOPBACK = ["localhost", "127.0.0.1", "[::1]"]
ALLOWED_HOSTS = environment.words("BRANCHLINE_HOSTS") or LOOPBACK
CSRF_TRUSTED_ORIGINS = [SITE_URL] if SITE_URL else []

# --- What belongs to us -----------------------------------------------------------------------------------------

INSTALLED_APPS = [
    "orchestrator.project",
    "orchestrator",
    "designer",
    "monitor",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "whitenoise.runserver_nostatic",
    "django.contrib.staticfiles",
    "allauth",
    "allauth.account",
    "rest_framework",
    "drf_spectacular",
    "drf_spectacular_sidecar",
    "django_htmx",
    "template_partials",
    "channels",
]

MIDDLEWARE = [
    "orchestrator.web.observed.observed",
    "orchestrator.web.middleware.request_id",
    "orchestrator.web.middleware.security_headers",
    "django.middleware.security.SecurityMiddleware",
    "orchestrator.project.static.StaticFiles",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "django_htmx.middleware.HtmxMiddleware",
    "allauth.account.middleware.AccountMiddleware",
    # A plain function as the innermost makes the whole chain plain: else each of the above that can be asynchronous
    # hops between threads twice per request (measured: a fifth of the cost of a small answer).
    "orchestrator.web.middleware.clean_text",
]

ROOT_URLCONF = "orchestrator.project.urls"
ASGI_APPLICATION = "orchestrator.project.asgi.application"
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [BASE_DIR / "templates"],
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
                "orchestrator.web.context.viewer",
            ],
        },
    }
]

# --- Where data lives -------------------------------------------------------------------------------------------

# Unset: the embedded servers of the data folder, which `manage.py up` starts.
EMBEDDED_POSTGRES = not environment.given("DATABASE_URL")
DATABASE_URL = environment.text("DATABASE_URL") or PLACES.database_url
EMBEDDED_VALKEY = not environment.given("BROKER_URL")
BROKER_URL = environment.text("BROKER_URL") or PLACES.broker_url
# Live messages and the cache need Redis or Valkey also where RabbitMQ carries the wake-ups.
REDIS_URL = environment.text("REDIS_URL") or env.redis_url(BROKER_URL)

DATABASE_POOL = {
    "min_size": 0,
    "max_size": environment.number("BRANCHLINE_DATABASE_POOL", 16),
    "timeout": 10,
}
DATABASE: dict[str, Any] = env.database_from_url(DATABASE_URL)
DATABASES = {
    "default": {
        **DATABASE,
        "ENGINE": "django.db.backends.postgresql",
        "CONN_HEALTH_CHECKS": True,  # after a restart of PostgreSQL the pool drops its dead connections
        # Django's cursors prepare nothing whatever this says; those of orchestrator.engine.prepared do.
        "OPTIONS": {
            **DATABASE["OPTIONS"],
            "options": env.session_options(DATABASE["OPTIONS"]),
            "pool": DATABASE_POOL,
            "prepare_threshold": 0,
        },
    }
}

CACHES = {
    "default": {
        "BACKEND": "django.core.cache.backends.redis.RedisCache",
        "LOCATION": REDIS_URL,
        "KEY_PREFIX": "branchline",
        "OPTIONS": {"serializer": "orchestrator.project.cache.JsonSerializer"},
    }
}

# --- Time and text ----------------------------------------------------------------------------------------------

USE_TZ = True
TIME_ZONE = "UTC"
USE_I18N = False
LANGUAGE_CODE = "en"

# --- Files for browsers -----------------------------------------------------------------------------------------

STATIC_URL = "static/"
STATIC_ROOT = DATA_DIR / "static"
STATICFILES_DIRS = [BASE_DIR / "static"]
STORAGES = {
    "default": {"BACKEND": "django.core.files.storage.FileSystemStorage"},
    "staticfiles": {"BACKEND": "orchestrator.project.static.StaticStorage"},
}
# Without a collected folder WhiteNoise serves straight from the sources: nothing to build at start.
WHITENOISE_USE_FINDERS = True
WHITENOISE_IMMUTABLE_FILE_TEST = IMMUTABLE

# --- Sign-in and browsers' walls --------------------------------------------------------------------------------

AUTH_USER_MODEL = "orchestrator.User"
AUTHENTICATION_BACKENDS = ["allauth.account.auth_backends.AuthenticationBackend"]
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": "django.contrib.auth.password_validation.UserAttributeSimilarityValidator"},
    {"NAME": "django.contrib.auth.password_validation.MinimumLengthValidator", "OPTIONS": {"min_length": 12}},
    {"NAME": "django.contrib.auth.password_validation.CommonPasswordValidator"},
]
# allauth is the machinery (rate limits, equal timing, later second factors); its own pages are not routed.
ACCOUNT_ADAPTER = "orchestrator.web.adapter.AccountAdapter"
ACCOUNT_LOGIN_METHODS = {"username"}
ACCOUNT_SIGNUP_FIELDS = ["username*", "password1*"]
ACCOUNT_EMAIL_VERIFICATION = "none"
# Per address, and per user name from wherever: nobody is locked out longer than five minutes after the last try.
ACCOUNT_RATE_LIMITS = {"login_failed": "20/m/ip,5/5m/key", "change_password": "5/m/user"}
LOGIN_URL = "/signin/"
LOGIN_REDIRECT_URL = "/"
LOGOUT_REDIRECT_URL = "/signin/"

# In the database, not cached: a session that is deleted there is over everywhere at once.
SESSION_ENGINE = "django.contrib.sessions.backends.db"
SESSION_COOKIE_AGE = 14 * 24 * 3600
SESSION_COOKIE_NAME = "__Host-session" if HTTPS else "session"
SESSION_COOKIE_HTTPONLY = True
SESSION_COOKIE_SAMESITE = "Lax"
SESSION_COOKIE_SECURE = HTTPS
CSRF_COOKIE_NAME = "__Host-csrftoken" if HTTPS else "csrftoken"
CSRF_COOKIE_HTTPONLY = True  # pages hand the token to the island and to htmx themselves
CSRF_COOKIE_SAMESITE = "Lax"
CSRF_COOKIE_SECURE = HTTPS
CSRF_FAILURE_VIEW = "orchestrator.web.errors.csrf_failure"

SECURE_CONTENT_TYPE_NOSNIFF = True
SECURE_CROSS_ORIGIN_OPENER_POLICY = "same-origin"
SECURE_REFERRER_POLICY = "same-origin"
SECURE_HSTS_SECONDS = 31_536_000 if HTTPS else 0
# Whether subdomains and browsers' preload lists follow is the domain owner's decision, not ours.
SILENCED_SYSTEM_CHECKS = ["security.W005", "security.W021"]
SECURE_SSL_REDIRECT = environment.flag("BRANCHLINE_REDIRECT_TO_HTTPS")
X_FRAME_OPTIONS = "DENY"
if environment.flag("BRANCHLINE_BEHIND_PROXY"):
    # Only on request: without a proxy that sets it, a client could claim https.
    SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https")

DATA_UPLOAD_MAX_MEMORY_SIZE = 1_000_000
DATA_UPLOAD_MAX_NUMBER_FIELDS = 2_000

# --- API --------------------------------------------------------------------------------------------------------

REST_FRAMEWORK = {
    "DEFAULT_SCHEMA_CLASS": "orchestrator.rest.schema.Schema",
    "DEFAULT_RENDERER_CLASSES": ["rest_framework.renderers.JSONRenderer"],
    # What authenticates is said by orchestrator.rest.views.ApiView; only the schema itself asks for nothing.
    "DEFAULT_AUTHENTICATION_CLASSES": [],
    "EXCEPTION_HANDLER": "orchestrator.rest.errors.handle",
}
SPECTACULAR_SETTINGS = {
    "TITLE": "Branchline",
    "DESCRIPTION": "Draw step graphs, run them, watch every branch, answer their forms.",
    "VERSION": "1",
    "SERVE_INCLUDE_SCHEMA": False,
    "SWAGGER_UI_DIST": "SIDECAR",
    "SWAGGER_UI_FAVICON_HREF": "SIDECAR",
    "REDOC_DIST": "SIDECAR",
    # What follows it names the tag: workflows, runs, tasks, ...
    "SCHEMA_PATH_PREFIX": r"/api/v1/w/\{workspace\}",
    "ENUM_NAME_OVERRIDES": {
        "RunState": "monitor.shapes.common.RUN_STATES",
        "StepRunState": "monitor.shapes.common.STEP_RUN_STATES",
        "WorkflowState": ["unpublished", "changed", "published"],
    },
    "POSTPROCESSING_HOOKS": [
        "drf_spectacular.hooks.postprocess_schema_enums",
        "orchestrator.rest.schema.add_errors",
    ],
}

# --- Mail, logs, steps ------------------------------------------------------------------------------------------

EMAIL = env.email_from_url(environment.text("EMAIL_URL", "console:"))
globals().update(EMAIL)
DEFAULT_FROM_EMAIL = environment.text("BRANCHLINE_MAIL_FROM", "Branchline <branchline@localhost>")

LOGGING = logging_settings(
    json_lines=environment.flag("BRANCHLINE_JSON_LOGS"), level=environment.text("BRANCHLINE_LOG_LEVEL", "INFO").upper()
)
LOGGING_CONFIG = "orchestrator.project.logs.configure"

# Modules whose @step functions drawings may call, beside the entry points of `branchline.steps`.
BRANCHLINE_STEP_MODULES = environment.words("BRANCHLINE_STEP_MODULES", "designer.samples.functions")

# What one pool process of a worker node takes, and how many steps it holds at once.
BRANCHLINE_QUEUES = environment.words("BRANCHLINE_QUEUES", "default")
BRANCHLINE_SLOTS = environment.number("BRANCHLINE_SLOTS", 12)
# Where a worker node shows its metrics ("127.0.0.1:9464"); empty: nowhere.
BRANCHLINE_METRICS_ADDRESS = environment.text("BRANCHLINE_METRICS_ADDRESS")
# Seconds without a beat after which a worker process counts as dead and its steps go to others.
BRANCHLINE_LEASE_TTL = environment.number("BRANCHLINE_LEASE_TTL", 15)
