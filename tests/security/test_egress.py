"""S3: a step reaches only what the egress gate allows, checked on the address actually connected."""

import asyncio
import re
from collections.abc import AsyncIterator, Iterable
from ipaddress import IPv4Address, IPv6Address

import psutil
import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.core.errors import BranchlineError
from orchestrator.core.http_errors import HttpError
from orchestrator.core.kinds import HttpAnswer
from orchestrator.engine.egress import Egress, EgressClient
from orchestrator.engine.egress.addresses import is_public, is_web_port
from tests.security.hostile_server import Server, hostile_server

PUBLIC = "93.184.215.14"
HANGS = 60.0  # seconds: whoever is not back by then never comes


class FakeDns:
    """Answers from a table; each answer of a list is given once, the last one for ever."""

    def __init__(self, **table: list[list[str]]) -> None:
        self.table = {name.replace("_", "."): answers for name, answers in table.items()}
        self.asked: list[str] = []

    async def __call__(self, host: str, port: int) -> Iterable[str]:
        self.asked.append(host)
        if host not in self.table:
            raise OSError("not found")
        answers = self.table[host]
        return answers.pop(0) if len(answers) > 1 else answers[0]


@pytest.fixture
async def sink() -> AsyncIterator[Server]:
    async with hostile_server() as server:
        yield server


async def get(client: EgressClient, url: str, *, timeout: float = 2.0, **headers: str) -> HttpAnswer:
    return await client.request("GET", url, headers=headers, content=None, timeout=timeout)


async def code_of(client: EgressClient, url: str, *, timeout: float = 2.0) -> str:
    """The code of the refusal; "answered" when there was none."""
    try:
        await get(client, url, timeout=timeout)
    except BranchlineError as error:
        return error.error_code
    return "answered"


# B1-B3: addresses, and other spellings of them. PORT is the sink's.
INTERNAL = [
    "http://169.254.169.254/latest/meta-data/",
    "http://127.0.0.1:PORT/",
    "http://127.0.0.53:PORT/",
    "http://[::1]:PORT/",
    "http://0.0.0.0:PORT/",
    "http://10.0.0.1/",
    "http://172.16.0.1/",
    "http://172.31.255.255/",
    "http://192.168.1.1/",
    "http://100.64.0.1/",
    "http://100.100.100.200/",
    "http://192.0.0.192/",
    "http://168.63.129.16/",
    "http://198.18.0.1/",
    "http://224.0.0.1/",
    "http://255.255.255.255/",
    "http://[fd00:ec2::254]/",
    "http://[fc00::1]/",
    "http://[fe80::1]/",
    "http://[fec0::1]/",
    "http://[ff02::1]/",
    "http://[::]:PORT/",
    "http://[::ffff:127.0.0.1]:PORT/",
    "http://[::ffff:7f00:1]:PORT/",
    "http://[::127.0.0.1]:PORT/",
    "http://[64:ff9b::7f00:1]/",
    "http://[64:ff9b:1::1]/",
    "http://[2002:7f00:1::]/",
    "http://[2001:0:7f00:1::]/",
    "http://[2001:db8::1]/",
    "http://localhost:PORT/",
    "http://LOCALHOST:PORT/",
    "http://localhost.:PORT/",
    "http://2130706433:PORT/",
    "http://0x7f000001:PORT/",
    "http://0x7f.1:PORT/",
    "http://0177.0.0.1:PORT/",
    "http://127.1:PORT/",
    "http://127.0.1:PORT/",
    "http://0:PORT/",
    "http://127.0.0.1.:PORT/",
    "http://①②⑦.0.0.1:PORT/",
    "http://127。0。0。1:PORT/",
    "http://user@127.0.0.1:PORT/",
    "http://user:password@127.0.0.1:PORT/",
    "http://example.org@127.0.0.1:PORT/",
    "http://127.0.0.1:PORT@example.org/",
    "http://[fe80::1%25lo]:PORT/",
    "http://[::1%25lo]:PORT/",
    "http:\\\\127.0.0.1:PORT\\",
    "http://127.0.0.1:PORT\\@example.org/",
    "http:///127.0.0.1:PORT/",
    "http://127.0.0.1\t:PORT/",
    "http://127.0.0.1\r\n:PORT/",
    "http://127.0.0.1\x00.example.org:PORT/",
]


@pytest.mark.parametrize("url", INTERNAL)
async def test_internal_addresses_are_blocked_however_they_are_spelled(sink: Server, url: str) -> None:
    with pytest.raises(HttpError) as caught:
        await get(EgressClient(), url.replace("PORT", str(sink.port)))
    assert caught.value.error_code in {"egress_blocked", "url_invalid", "name_not_found"}
    assert (sink.seen, sink.connections) == ([], 0)


@pytest.mark.parametrize("address", ["10.1.2.3", "::ffff:127.0.0.1", "fe80::1%lo", "169.254.169.254", "garbage", ""])
async def test_the_message_hides_what_a_name_leads_to(address: str) -> None:
    client = EgressClient(resolver=FakeDns(evil_example=[[address]]))
    with pytest.raises(HttpError) as caught:
        await get(client, "http://evil.example/")
    assert caught.value.error_code == "egress_blocked"
    assert not address or address not in caught.value.message


# B4: rebinding and mixed answers.
@pytest.mark.parametrize("answer", [[PUBLIC, "127.0.0.1"], ["127.0.0.1", PUBLIC], [PUBLIC, "::1"], [PUBLIC, "fd00::1"]])
async def test_one_bad_answer_refuses_all(sink: Server, answer: list[str]) -> None:
    client = EgressClient(resolver=FakeDns(mixed_example=[answer]))
    assert await code_of(client, f"http://mixed.example:{sink.port}/ok") == "egress_blocked"
    assert sink.connections == 0


async def test_a_name_is_looked_up_once_for_a_connection(sink: Server) -> None:
    """The tested answer is used: a second lookup could get another one."""
    dns = FakeDns(internal_example=[["127.0.0.1"], ["10.0.0.1"]])
    client = EgressClient(frozenset({"internal.example"}), resolver=dns)
    answer = await get(client, f"http://internal.example:{sink.port}/ok")
    assert (answer.body, dns.asked) == (b"ok", ["internal.example"])
    assert f"Host: internal.example:{sink.port}".encode() in sink.seen[0]
    await client.close()


async def test_a_name_that_turns_internal_later_is_blocked_then(sink: Server) -> None:
    # The public answer cannot be reached from here, or is slow; what counts is that it never becomes the sink.
    client = EgressClient(resolver=FakeDns(rebind_example=[["192.0.2.1"], ["127.0.0.1"]]))
    assert await code_of(client, f"http://rebind.example:{sink.port}/") == "egress_blocked"
    assert await code_of(client, f"http://rebind.example:{sink.port}/") == "egress_blocked"
    assert sink.connections == 0


# B5: redirects.
async def test_redirects_are_answers_and_not_followed(sink: Server) -> None:
    client = EgressClient(frozenset({"127.0.0.1"}))
    answer = await get(client, sink.url("/redirect"))
    assert (answer.status, answer.headers["location"]) == (302, "http://127.0.0.1:1/inner")
    assert len(sink.seen) == 1
    await client.close()


# B6: schemes, ports, proxies.
@pytest.mark.parametrize(
    ("url", "code"),
    [
        ("file:///etc/passwd", "url_scheme"),
        ("gopher://127.0.0.1:6379/_FLUSHALL", "url_scheme"),
        ("ftp://example.org/", "url_scheme"),
        ("data:text/plain,hello", "url_scheme"),
        ("http+unix://%2Fvar%2Frun%2Fdocker.sock/info", "url_scheme"),
        ("ws://example.org/", "url_scheme"),
        ("javascript:alert(1)", "url_scheme"),
        ("//example.org/", "url_scheme"),
        ("example.org", "url_scheme"),
        ("", "url_scheme"),
        ("http://", "url_invalid"),
        ("http:///path", "url_invalid"),
        ("http://" + "a" * 300 + ".org/", "url_invalid"),
        ("http://example.org/" + "a" * 20_000, "url_invalid"),
        ("http://exa mple.org/", "url_invalid"),
        ("http://example.org:99999/", "url_port"),
        *((f"http://{PUBLIC}:{port}/", "url_port") for port in (1, 22, 23, 25, 53, 110, 143, 445, 465, 587, 993)),
        *((f"http://{PUBLIC}:{port}/", "url_port") for port in (2375, 3306, 5432, 5672, 6379, 9200, 11211, 27017)),
    ],
)
async def test_schemes_and_ports_are_refused(url: str, code: str) -> None:
    assert await code_of(EgressClient(), url) == code


async def test_proxies_of_the_environment_are_ignored(sink: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    async with hostile_server() as proxy:
        for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy", "HTTPS_PROXY"):
            monkeypatch.setenv(name, proxy.url(""))
        client = EgressClient(frozenset({"127.0.0.1"}))
        assert (await get(client, sink.url("/ok"))).body == b"ok"
        await client.close()
        assert proxy.seen == []


# B8: bombs and drips.
@pytest.mark.parametrize(
    ("path", "code"),
    [
        ("/bomb", "response_too_large"),
        ("/endless", "response_too_large"),
        ("/1000-headers", "response_too_large"),
        ("/100000-headers", "response_too_large"),
        ("/long-header", "response_too_large"),
        ("/drip", "deadline"),
        ("/silence", "deadline"),
        ("/brotli", "http_encoding"),
        ("/twice", "http_encoding"),
        ("/cut", "http_encoding"),
        ("/liar", "http_encoding"),
        ("/junk", "http_protocol"),
        ("/short", "http_protocol"),
    ],
)
async def test_hostile_answers_end_in_time_and_memory(sink: Server, path: str, code: str) -> None:
    client = EgressClient(frozenset({"127.0.0.1"}))
    before = psutil.Process().memory_info().rss
    async with asyncio.timeout(HANGS):
        assert await code_of(client, sink.url(path), timeout=1.0) == code
    assert psutil.Process().memory_info().rss - before < 100_000_000
    assert (await get(client, sink.url("/ok"))).body == b"ok"  # the next one is unharmed
    await client.close()


@pytest.mark.parametrize("path", ["/gzip", "/deflate", "/raw-deflate"])
async def test_compressed_answers_are_read(sink: Server, path: str) -> None:
    client = EgressClient(frozenset({"127.0.0.1"}))
    assert (await get(client, sink.url(path))).body == b"hello"
    await client.close()


async def test_a_limit_is_exact(sink: Server) -> None:
    client = EgressClient(frozenset({"127.0.0.1"}))
    answer = await client.request("GET", sink.url("/gzip"), headers={}, content=None, timeout=2.0, limit=5)
    assert answer.body == b"hello"
    with pytest.raises(HttpError, match="more than 4 bytes"):
        await client.request("GET", sink.url("/gzip"), headers={}, content=None, timeout=2.0, limit=4)
    await client.close()


async def test_the_head_of_a_request_is_ours(sink: Server) -> None:
    client = EgressClient(frozenset({"127.0.0.1"}))
    headers = {
        "host": "evil",
        "Content-Length": "999",
        "Transfer-Encoding": "chunked",
        "Accept-Encoding": "br",
        "X-A": "1",
    }
    await client.request("POST", sink.url("/ok?a=1"), headers=headers, content=b"", timeout=2.0)
    head = sink.seen[0].lower()
    assert head.startswith(b"post /ok?a=1 http/1.1\r\n")
    assert re.findall(rb"\r\n(host|content-length|transfer-encoding|accept-encoding|x-a): ([^\r]*)", head) == [
        (b"host", f"127.0.0.1:{sink.port}".encode()),
        (b"accept-encoding", b"gzip, deflate"),
        (b"content-length", b"0"),
        (b"x-a", b"1"),
    ]
    await client.close()


async def test_a_header_with_a_line_break_never_leaves(sink: Server) -> None:
    client = EgressClient(frozenset({"127.0.0.1"}))
    with pytest.raises(HttpError):
        await client.request("GET", sink.url("/ok"), headers={"X": "1\r\nY: 2"}, content=None, timeout=2.0)
    assert not any(b"Y: 2" in head for head in sink.seen)
    await client.close()


# Allow-lists are per workspace.
async def test_an_internal_host_is_reached_by_its_owner_only(sink: Server) -> None:
    egress = Egress()
    ours = egress.client("ours", frozenset({f"127.0.0.1:{sink.port}"}))
    theirs = egress.client("theirs")
    assert (await get(ours, sink.url("/ok"))).body == b"ok"
    assert await code_of(theirs, sink.url("/ok")) == "egress_blocked"  # although an open connection to it is idle
    assert await code_of(ours, f"http://127.0.0.1:{sink.port + 1}/") == "egress_blocked"
    assert len(sink.seen) == 1
    await egress.close()


async def test_a_changed_list_counts_at_once(sink: Server) -> None:
    egress = Egress()
    before = egress.client("ours", frozenset({"127.0.0.1"}))
    assert (await get(before, sink.url("/ok"))).body == b"ok"
    assert await code_of(egress.client("ours"), sink.url("/ok")) == "egress_blocked"
    await before.close()
    await egress.close()


async def test_metadata_is_not_reached_by_an_allowed_name() -> None:
    client = EgressClient(frozenset({"intern.example"}), resolver=FakeDns(intern_example=[["169.254.169.254"]]))
    assert await code_of(client, "http://intern.example/") == "egress_blocked"


async def test_connections_are_used_again(sink: Server) -> None:
    client = EgressClient(frozenset({"127.0.0.1"}))
    for _ in range(5):
        await get(client, sink.url("/ok"))
    assert (sink.connections, len(sink.seen)) == (1, 5)
    await client.close()


async def test_many_requests_wait_together(sink: Server) -> None:
    client = EgressClient(frozenset({"127.0.0.1"}))
    sink.company = asyncio.Barrier(300)  # nobody is answered before all have asked
    answers = await asyncio.gather(*(get(client, sink.url("/together"), timeout=HANGS) for _ in range(300)))
    assert {answer.status for answer in answers} == {200}
    await client.close()


async def test_a_cancelled_request_gives_its_place_back(sink: Server) -> None:
    client = EgressClient(frozenset({"127.0.0.1"}))
    waiting = asyncio.ensure_future(get(client, sink.url("/silence"), timeout=20))
    while not sink.seen:
        await asyncio.sleep(0)
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    assert (await get(client, sink.url("/ok"))).body == b"ok"
    await client.close()


async def test_what_cannot_be_reached_may_be_tried_again() -> None:
    client = EgressClient(frozenset({"127.0.0.1"}), resolver=FakeDns())
    assert await code_of(client, "http://127.0.0.1:1024/") == "connection_failed"
    assert await code_of(client, "http://nowhere.example/") == "name_not_found"


async def test_repeated_headers_are_joined(sink: Server) -> None:
    client = EgressClient(frozenset({"127.0.0.1"}))
    assert (await get(client, sink.url("/repeated"))).headers["set-cookie"] == "a=1, b=2"
    await client.close()


# An oracle that shares nothing with the code: bits of the number, by hand from the registries.
REFUSED_BITS_4 = (
    *("00000000", "00001010", "01111111", "1110", "1111"),  # 0/8 10/8 127/8 224/4 240/4
    *("0110010001", "1010100111111110", "101011000001", "1100000010101000"),  # 100.64 169.254 172.16 192.168
    *("110001100001001", "110000000000000000000000", "110000000000000000000010"),  # 198.18 192.0.0 192.0.2
    *(
        "110000000101100001100011",
        "110001100011001101100100",
        "110010110000000001110001",
    ),  # 192.88.99 198.51.100 203.0.113
    "10101000001111111000000100010000",  # 168.63.129.16
)


@given(st.ip_addresses(v=4))
def test_ipv4_agrees_with_an_independent_oracle(address: IPv4Address) -> None:
    bits = f"{int(address):032b}"
    assert is_public(address) is not bits.startswith(REFUSED_BITS_4)


@given(st.ip_addresses(v=6))
def test_ipv6_agrees_with_an_independent_oracle(address: IPv6Address) -> None:
    bits = f"{int(address):0128b}"
    ietf = bits.startswith("0010000000000001" + "0000000")  # 2001::/23
    documentation = bits.startswith(("00100000000000010000110110111000", "00111111111111110000"))
    wrapped = bits.startswith("0010000000000010")  # 2002::/16
    assert is_public(address) is (bits.startswith("001") and not (ietf or documentation or wrapped))


@given(st.ip_addresses(v=4))
def test_no_ipv6_form_of_an_internal_ipv4_address_is_public(address: IPv4Address) -> None:
    number = int(address)
    for form in (number, 0xFFFF << 32 | number, 0x64FF9B << 96 | number, 0x2002 << 112 | number << 80):
        assert not is_public(IPv6Address(form))


@pytest.mark.parametrize("address", ["1.1.1.1", "8.8.8.8", PUBLIC, "172.32.0.1", "100.128.0.1", "192.0.1.1"])
def test_public_ipv4_addresses_are_public(address: str) -> None:
    assert is_public(IPv4Address(address))


@pytest.mark.parametrize("address", ["2606:4700::1111", "2a00:1450:4001::200e", "2001:4860:4860::8888"])
def test_public_ipv6_addresses_are_public(address: str) -> None:
    assert is_public(IPv6Address(address))


@pytest.mark.parametrize(
    ("port", "web"), [(80, True), (443, True), (8080, True), (8443, True), (3000, True), (0, False), (70_000, False)]
)
def test_web_ports(port: int, *, web: bool) -> None:
    assert is_web_port(port) is web
