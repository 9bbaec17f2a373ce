"""The environment is read strictly: what cannot be used stops the start with one line."""

import os
import stat
from pathlib import Path

import pytest
from django.core.exceptions import ImproperlyConfigured

from orchestrator.project.environment import Environment, database_from_url, email_from_url, redis_url, session_options
from orchestrator.project.secret_key import secret_key
from tests.project.up_process import manage

STRONG = "k3Jd8s0qLmZ1xYvB7nR4tWc9pAe2uHg6oIf5yTzXbVdQrEsNjM"


@pytest.mark.parametrize(
    "weak",
    [
        "",  # set, but empty
        "changeme",  # short
        "a" * 64,  # long, but one character
        "django-insecure-" + STRONG,  # made by a tutorial
    ],
)
def test_it_refuses_a_weak_key(weak: str, folder: Path) -> None:
    with pytest.raises(ImproperlyConfigured, match="easy to guess"):
        secret_key(Environment({"SECRET_KEY": weak}), folder)
    done = manage(folder, "check", SECRET_KEY=weak)
    assert done.returncode == 1
    assert done.stderr.startswith("Cannot start: SECRET_KEY is empty or easy to guess")
    assert done.stderr.count("\n") == 1


def test_it_takes_a_strong_key(folder: Path) -> None:
    assert secret_key(Environment({"SECRET_KEY": STRONG}), folder) == STRONG
    assert not folder.exists()


def test_it_makes_one_key_per_folder_for_its_owner_only(folder: Path) -> None:
    first, second = secret_key(Environment({}), folder), secret_key(Environment({}), folder)
    assert first == second
    assert secret_key(Environment({}), folder.with_name("other")) != first
    path = folder / "secret_key"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert [entry.name for entry in folder.iterdir()] == ["secret_key"]


def test_it_refuses_a_key_file_that_was_emptied(folder: Path) -> None:
    secret_key(Environment({}), folder)
    (folder / "secret_key").write_text("")
    with pytest.raises(ImproperlyConfigured, match="secret_key is empty"):
        secret_key(Environment({}), folder)


@pytest.mark.parametrize("value", ["maybe", "2", "-1"])
def test_it_refuses_an_unclear_switch(value: str) -> None:
    with pytest.raises(ImproperlyConfigured, match="Write 1 or 0"):
        Environment({"BRANCHLINE_DEBUG": value}).flag("BRANCHLINE_DEBUG")


def test_it_reads_a_database_url() -> None:
    assert database_from_url("postgresql://al%40ice:p%2Fw@db.example:6543/flows?sslmode=require") == {
        "NAME": "flows",
        "USER": "al@ice",
        "PASSWORD": "p/w",
        "HOST": "db.example",
        "PORT": "6543",
        "OPTIONS": {"sslmode": "require"},
    }
    assert database_from_url("postgres://me@/flows?host=/run/pg")["HOST"] == "/run/pg"


def test_what_the_address_says_of_a_session_wins() -> None:
    mine = "-c idle_in_transaction_session_timeout=5s"
    assert session_options({}) == "-c idle_in_transaction_session_timeout=60s"
    assert session_options({"options": mine}).endswith(f" {mine}")


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("sqlite:///db", "keeps its data in PostgreSQL"),
        ("postgresql://me@host", "names no database"),
    ],
)
def test_it_refuses_another_database(url: str, said: str) -> None:
    with pytest.raises(ImproperlyConfigured, match=said):
        database_from_url(url)


def test_it_reads_a_broker_socket_for_cache_and_live_messages() -> None:
    assert redis_url("redis+socket:///run/v.sock?virtual_host=3") == "unix:///run/v.sock?db=3"
    assert redis_url("rediss://:pw@host:6380/1") == "rediss://:pw@host:6380/1"


def test_it_reads_a_mail_url() -> None:
    mail = email_from_url("smtp+tls://me:p%40ss@mail.example")
    assert (mail["EMAIL_HOST"], mail["EMAIL_PORT"], mail["EMAIL_HOST_PASSWORD"]) == ("mail.example", 587, "p@ss")
    assert mail["EMAIL_USE_TLS"]
    assert not mail["EMAIL_USE_SSL"]
    with pytest.raises(ImproperlyConfigured, match="Write console:"):
        email_from_url("http://mail.example")


@pytest.mark.parametrize("name", ["BRANCHLINE_DEBUG", "BRANCHLINE_HOSTS"])
def test_it_is_closed_by_default(name: str) -> None:
    assert name not in os.environ, "this test session itself was started with the switch"


def test_production_settings_pass_the_deployment_checks(folder: Path) -> None:
    done = manage(
        folder,
        *("check", "--deploy", "--tag", "security", "--fail-level", "WARNING"),
        BRANCHLINE_URL="https://branchline.example",
        BRANCHLINE_HOSTS="branchline.example",
        BRANCHLINE_REDIRECT_TO_HTTPS="1",
    )
    assert done.returncode == 0, done.stderr
