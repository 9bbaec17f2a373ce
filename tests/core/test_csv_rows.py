"""CSV files as inputs."""

import csv
import io

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.core.csv_rows import CsvInvalid, csv_input


@pytest.mark.parametrize(
    ("data", "rows"),
    [
        (b"a,b\n1,2\n", [{"a": "1", "b": "2"}]),
        (b"a;b\r\n1,5;2\r\n", [{"a": "1,5", "b": "2"}]),  # a decimal comma is no delimiter here
        (b"a\tb\n1\t2\n\n", [{"a": "1", "b": "2"}]),  # an empty line at the end
        (b"\xef\xbb\xbfa,b\n1,2\n", [{"a": "1", "b": "2"}]),  # as spreadsheets write it
        (b'a,b\n"x\ny","q""q"\n', [{"a": "x\ny", "b": 'q"q'}]),
        (b"a\n=1+1\n", [{"a": "=1+1"}]),  # data, not a formula
        (b"a,b\n", []),
    ],
)
def test_it_reads_rows_as_text(data: bytes, rows: list[dict[str, str]]) -> None:
    assert csv_input(data) == {"rows": rows}


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"", "first line"),
        (b"\n1,2\n", "first line"),
        (b"a,,c\n", "Column 2"),
        (b"a,a\n", 'called "a"'),
        (b"a,b\n1,2\n1,2,3\n", "Line 3"),
        (b"a\n\xff\n", "UTF-8"),
        (b"a\n\x00\n", "NUL"),
        (b'a\n"open', "Line"),
        (b"a\n" + b"x" * 8_000_000, "bytes"),
        (b"a\n" + b"x" * 200_000, "Line 2"),
    ],
)
def test_it_names_what_is_wrong(data: bytes, words: str) -> None:
    with pytest.raises(CsvInvalid, match=words):
        csv_input(data)


cells = st.text(alphabet=st.characters(blacklist_categories=["Cs"], blacklist_characters="\x00"), max_size=12)


@given(st.lists(st.tuples(cells, cells), max_size=20))
def test_it_gives_back_what_was_written(pairs: list[tuple[str, str]]) -> None:
    file = io.StringIO()
    writer = csv.writer(file, quoting=csv.QUOTE_ALL)
    writer.writerows([("left", "right"), *pairs])
    assert csv_input(file.getvalue().encode()) == {"rows": [{"left": a, "right": b} for a, b in pairs]}
