"""Pages and answers as a person's browser asks for them."""

import re
import time
from typing import Any

import httpx

from orchestrator.models import User
from orchestrator.project.bench.place import Place
from orchestrator.services.signin import create_signin_link

PAGE = 0.150  # seconds that a page may take
ROUNDS = 5
CSRF = re.compile(r'name="csrfmiddlewaretoken" value="([^"]+)"')


def browser(place: Place) -> httpx.Client:
    """A client with a session, signed in as a person is."""
    user = User.objects.get(username=place.actor.username)
    client = httpx.Client(base_url=place.address, trust_env=False, follow_redirects=True, timeout=60)
    address = create_signin_link(user)
    found = CSRF.search(client.get(address).text)
    assert found is not None, "the page of the link holds its form"
    answer = client.post(address, data={"csrfmiddlewaretoken": found[1]}, headers={"Referer": place.address})
    assert answer.is_success, answer.text[:300]
    return client


def times(client: httpx.Client, address: str) -> list[float]:
    """Seconds of one request after another, the body included; the first one is not counted."""
    measured = []
    for _ in range(ROUNDS + 1):
        began = time.perf_counter()
        answer: Any = client.get(address)
        measured.append(time.perf_counter() - began)
        assert answer.is_success, f"{address}: {answer.status_code}"
    return measured[1:]
