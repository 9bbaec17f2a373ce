"""Why Branchline could not start, in one line for the person at the terminal."""


class CannotStart(Exception):
    """Something outside Branchline is in the way; the message names it and the way out."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message


def disk_full(place: object) -> CannotStart:
    return CannotStart(
        "disk_full", f"The disk that holds {place} is full. Free some space there, or choose another DATA=."
    )
