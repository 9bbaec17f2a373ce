import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.core.durations import LONGEST, DurationInvalid, format_duration, parse_duration


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("PT0S", 0.0),
        ("PT30S", 30.0),
        ("PT1M30S", 90.0),
        ("PT2H", 7_200.0),
        ("P1D", 86_400.0),
        ("P2W", 1_209_600.0),  # a week is seven days
        ("P1DT12H", 129_600.0),
        ("PT0.25S", 0.25),
        ("PT0,25S", 0.25),  # ISO 8601 prefers the comma
        ("PT1.5H", 5_400.0),  # the last part may have a fraction
    ],
)
def test_it_reads_iso_8601(text: str, seconds: float) -> None:
    assert parse_duration(text) == seconds


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("", "duration_invalid"),
        ("P", "duration_invalid"),
        ("PT", "duration_invalid"),
        ("P1DT", "duration_invalid"),  # a T without a time
        ("30", "duration_invalid"),
        ("pt30s", "duration_invalid"),
        ("PT1.5H30M", "duration_invalid"),  # a fraction before the last part
        ("PT1S ", "duration_invalid"),
        ("PT1S\n", "duration_invalid"),
        ("PT١S", "duration_invalid"),  # an Arabic digit is no ASCII digit
        ("PT1e3S", "duration_invalid"),
        ("PT" + "9" * 100 + "S", "duration_invalid"),
        ("-PT1S", "duration_negative"),
        ("P1Y", "duration_calendar"),
        ("P1M", "duration_calendar"),
        ("P1Y2M3D", "duration_calendar"),
        ("P3661D", "duration_too_long"),
        ("PT99999999999999999999S", "duration_too_long"),
    ],
)
def test_it_refuses_with_a_code(text: str, code: str) -> None:
    with pytest.raises(DurationInvalid) as caught:
        parse_duration(text)
    assert caught.value.error_code == code
    assert len(caught.value.message) < 200


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0, "PT0S"), (90, "PT1M30S"), (86_400, "P1D"), (86_400.5, "P1DT0.5S"), (100_000, "P1DT3H46M40S"), (0.1, "PT0.1S")],
)
def test_it_writes_the_shortest_form(seconds: float, text: str) -> None:
    assert format_duration(seconds) == text


@given(st.integers(0, LONGEST * 1_000).map(lambda milliseconds: milliseconds / 1_000))
def test_it_reads_back_what_it_writes(seconds: float) -> None:
    assert parse_duration(format_duration(seconds)) == seconds


@pytest.mark.parametrize("seconds", [-1.0, float("nan"), float("inf"), LONGEST + 1.0])
def test_it_does_not_write_nonsense(seconds: float) -> None:
    with pytest.raises(DurationInvalid):
        format_duration(seconds)
