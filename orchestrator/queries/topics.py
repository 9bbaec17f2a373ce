"""What the topic of a wait says: whose event it is, of which type, with which key."""


def type_of(topic: str) -> str:
    """The type in a topic: "7/order.paid#order-1" -> "order.paid". No type holds a "#"; the workspace is a number."""
    return topic.partition("/")[2].partition("#")[0]


def key_of(topic: str) -> str | None:
    """The key in a topic; None when any will do."""
    return topic.partition("#")[2] if "#" in topic else None
