"""Which addresses and ports a step may reach.

An explicit list, because `ipaddress.is_global` calls 64:ff9b::/96, fec0::/10, ::127.0.0.1, multicast and the Azure
host address global. Source: IANA special-purpose address registries (RFC 6890 and successors), 2025-10.
"""

from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address

Address = IPv4Address | IPv6Address

_REFUSED_4 = tuple(
    IPv4Network(text)
    for text in (
        "0.0.0.0/8",  # this network; Linux connects it to itself
        "10.0.0.0/8",
        "100.64.0.0/10",  # carrier NAT; Alibaba's metadata lives there
        "127.0.0.0/8",
        "168.63.129.16/32",  # Azure's host
        "169.254.0.0/16",  # link-local; most metadata services
        "172.16.0.0/12",
        "192.0.0.0/24",  # protocol assignments; Oracle's metadata
        "192.0.2.0/24",  # documentation
        "192.88.99.0/24",  # 6to4 relays
        "192.168.0.0/16",
        "198.18.0.0/15",  # benchmarks
        "198.51.100.0/24",  # documentation
        "203.0.113.0/24",  # documentation
        "224.0.0.0/4",  # multicast
        "240.0.0.0/4",  # reserved, broadcast
    )
)
#: The only part of IPv6 that is handed out for the public; everything that wraps an IPv4 address lies outside it or
#: in one of the refused blocks.
_PUBLIC_6 = IPv6Network("2000::/3")
_REFUSED_6 = tuple(
    IPv6Network(text)
    for text in (
        "2001::/23",  # protocol assignments: Teredo, ORCHID, benchmarks
        "2001:db8::/32",  # documentation
        "2002::/16",  # 6to4: wraps IPv4
        "3fff::/20",  # documentation
    )
)
#: Never reachable, not even for a host on the allow-list, unless the list names this very address.
_METADATA = (IPv4Network("169.254.0.0/16"), IPv4Network("168.63.129.16/32"), IPv6Network("fd00:ec2::/32"))

_WEB_PORTS = frozenset({80, 443})
#: Services above 1023 that speak other protocols, yet can be made to obey lines inside an HTTP request.
_OTHER_SERVICES = frozenset(
    {1433, 1521, 2049, 2375, 2376, 2379, 2380, 3306, 3389, 4369, 5060, 5061, 5432, 5433, 5671, 5672, 5900, 5984, 6000}
    | {6379, 6380, 6432, 6443, 6665, 6666, 6667, 6668, 6669, 6697, 7000, 7001, 8086, 9042, 9092, 9100, 9200, 9300}
    | {10080, 10250, 10255, 11211, 25672, 27017, 27018, 27019, 28017}
)


def parse_address(text: str) -> Address | None:
    """The address that a text spells in the canonical way; None for names, other spellings and scoped addresses."""
    if "%" in text:
        return None
    try:
        return ip_address(text)
    except ValueError:
        return None


def is_public(address: Address) -> bool:
    """True when anybody on the internet could be meant by this address."""
    if isinstance(address, IPv4Address):
        return not any(address in network for network in _REFUSED_4)
    return address in _PUBLIC_6 and not any(address in network for network in _REFUSED_6)


def is_metadata(address: Address) -> bool:
    """True for the addresses where clouds hand out credentials."""
    plain = address.ipv4_mapped or address if isinstance(address, IPv6Address) else address
    return any(plain in network for network in _METADATA)


def is_web_port(port: int) -> bool:
    """True for 80, 443, and ports above 1023 where no well-known other service listens."""
    return port in _WEB_PORTS or (1023 < port < 65_536 and port not in _OTHER_SERVICES)
