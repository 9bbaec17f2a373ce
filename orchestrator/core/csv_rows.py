"""A CSV file as a run's input: `{"rows": [{column: text}]}`. Cells stay text: the workflow knows what they mean."""

import csv
import io

from orchestrator.core.errors import BranchlineError
from orchestrator.core.json_types import Json

MAX_BYTES = 8_000_000
MAX_COLUMNS = 500
DELIMITERS = (",", ";", "\t")


class CsvInvalid(BranchlineError):
    """A file is no CSV that we accept."""

    code = "csv_invalid"


def csv_input(data: bytes) -> dict[str, Json]:
    """The rows of a CSV file with a header line; comma, semicolon or tab, whichever the header has most of.

    Raises CsvInvalid, naming the line. Empty lines are left out.
    """
    reader = csv.reader(io.StringIO(_text(data), newline=""), delimiter=_delimiter(data), strict=True)
    try:
        header = _header(next(reader, []))
        rows: list[Json] = [_row(header, cells, reader.line_num) for cells in reader if cells]
    except csv.Error as error:
        raise CsvInvalid(f"Line {reader.line_num} of the CSV file cannot be read: {error}.") from error
    return {"rows": rows}


def _text(data: bytes) -> str:
    if len(data) > MAX_BYTES:
        raise CsvInvalid(f"The CSV file has {len(data):,} bytes; at most {MAX_BYTES:,} are accepted. Split it.")
    if b"\x00" in data:
        raise CsvInvalid("The CSV file holds the NUL character. Save it as UTF-8 text.")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise CsvInvalid(f"Byte {error.start} of the CSV file is not UTF-8. Save it as UTF-8 text.") from error


def _delimiter(data: bytes) -> str:
    first_line = data.partition(b"\n")[0]
    return max(DELIMITERS, key=lambda delimiter: first_line.count(delimiter.encode()))


def _header(cells: list[str]) -> list[str]:
    names = [cell.strip() for cell in cells]
    if not any(names):
        raise CsvInvalid("The first line of the CSV file must name the columns, but it is empty.")
    if len(names) > MAX_COLUMNS:
        raise CsvInvalid(f"The CSV file has {len(names)} columns; at most {MAX_COLUMNS} are accepted.")
    for number, name in enumerate(names, start=1):
        if not name:
            raise CsvInvalid(f"Column {number} of the CSV file has no name. Name it in the first line.")
        if names.index(name) != number - 1:
            raise CsvInvalid(f'Two columns of the CSV file are called "{name[:80]}". Rename one.')
    return names


def _row(header: list[str], cells: list[str], line: int) -> Json:
    if len(cells) != len(header):
        raise CsvInvalid(f"Line {line} of the CSV file has {len(cells)} cells, but the first line names {len(header)}.")
    return dict(zip(header, cells, strict=True))
