"""Pokes reach one listener, live shortly, and cost nothing where Valkey is away."""

import threading

import pytest
import redis

from orchestrator.engine.pokes import LIVES, MOST, PREFIX, Listener, Sender


@pytest.fixture
def queue(valkey: str) -> str:
    redis.Redis.from_url(valkey).delete(f"{PREFIX}poked")
    return "poked"


def test_a_poke_reaches_one_of_the_listeners(valkey: str, queue: str) -> None:
    heard: list[int] = []
    something = threading.Semaphore(0)

    def hear(number: int) -> None:
        heard.append(number)
        something.release()

    listeners = [Listener([queue], lambda number=number: hear(number), valkey) for number in range(2)]  # type: ignore[misc]
    for listener in listeners:
        listener.start()
    sender = Sender(valkey)
    for count in range(1, 4):
        assert sender.send(queue)
        assert something.acquire(timeout=10)
        assert len(heard) == count
    for listener in listeners:
        listener.stop()
    sender.send(queue, 2)  # ends their present reads


def test_pokes_that_nobody_takes_are_few_and_die_soon(valkey: str, queue: str) -> None:
    sender = Sender(valkey)
    for _ in range(MOST):
        assert sender.send(queue, 4)
    client = redis.Redis.from_url(valkey)
    assert client.llen(PREFIX + queue) == MOST
    assert 0 < client.pttl(PREFIX + queue) <= LIVES


def test_a_connection_that_valkey_closed_meanwhile_costs_no_poke(valkey: str, queue: str) -> None:
    sender = Sender(valkey)
    assert sender.send(queue)
    client = redis.Redis.from_url(valkey)
    client.client_kill_filter(_type="normal", skipme=True)
    assert sender.send(queue)
    assert client.llen(PREFIX + queue) == 2


def test_without_valkey_a_sender_says_so_and_asks_no_more(unused_tcp_port: int) -> None:
    sender = Sender(f"redis://127.0.0.1:{unused_tcp_port}/0")
    assert not sender.send("poked")
    sender._wire._connection = None  # whoever used it now would fail
    assert not sender.send("poked")


def test_a_sender_waits_only_once_for_a_valkey_that_does_not_answer(
    valkey: str, queue: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    sender = Sender(valkey)
    assert sender.send(queue)
    said: list[int] = []
    say = sender._wire._say

    def count(words: bytes, answers: int) -> None:
        said.append(answers)
        say(words, answers)

    monkeypatch.setattr(sender._wire, "_say", count)
    client = redis.Redis.from_url(valkey)
    client.client_pause(60_000, all=False)
    try:
        assert not sender.send(queue)
    finally:
        client.client_unpause()
    assert len(said) == 1
    monkeypatch.setattr(sender._wire, "_quiet_until", 0.0)
    assert sender.send(queue), "it speaks again"
