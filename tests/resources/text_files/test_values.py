"""One text is read as one value, and what may mean two things as none."""

from __future__ import annotations

import datetime as dt

import pytest

from resources.text_files.values import date_of, date_order, decimal_mark, moment_of, number_of


@pytest.mark.parametrize(
    ("text", "value", "assumed"),
    [
        ("1", 1.0, ""),
        (" 1.50 ", 1.5, ""),
        ("+5", 5.0, ""),
        (".5", 0.5, ""),
        ("1e3", 1000.0, ""),
        ("-0.25", -0.25, ""),
        ("\u22121.5", -1.5, ""),
        ("1,234", 1234.0, "a thousands separator"),
        ("-12,345,678.9", -12345678.9, "a thousands separator"),
        ("1\u00a0234", 1234.0, "a thousands separator"),
        ('"15,000"', 15000.0, "a thousands separator"),
        ("$585.75", 585.75, "a currency sign"),
        ("$1,234.50", 1234.5, "a currency sign"),
        ("75.99M", 75.99e6, "a unit (K, M, B), as multiplied"),
        ("3k", 3000.0, "a unit (K, M, B), as multiplied"),
    ],
)
def test_a_number_is_read_as_people_show_it(text: str, value: float, assumed: str) -> None:
    found = number_of(text)
    assert (found.value, found.assumed, found.problem) == (pytest.approx(value), assumed, "")


@pytest.mark.parametrize("text", ["--", "-", "N/A", "n/a", "#N/A", "NaN", "null", "None", ".", "\u2014"])
def test_a_mark_for_nothing_is_missing_and_said_to_be_assumed(text: str) -> None:
    for read in (number_of, date_of, moment_of):
        found = read(text)
        assert (found.value, found.assumed, found.problem) == (None, "missing", "")


def test_an_empty_text_is_missing_without_an_assumption() -> None:
    for read in (number_of, date_of, moment_of):
        assert read(" ") == read("")
        assert (read("").value, read("").assumed, read("").problem) == (None, "", "")


@pytest.mark.parametrize(
    "text",
    ["inf", "-inf", "1e400", "0x10", "1_000", "1 234", "1,23", "12,34,567", "1.2.3", "(5)", "abc", "16%",
     "\u0661\u0662", "1,234.5,6", "$", "%", "--5", "1e", "K"],
)  # fmt: skip
def test_what_is_no_number_is_said_to_be_none(text: str) -> None:
    found = number_of(text)
    assert found.value is None
    assert found.problem


def test_a_percentage_is_a_fraction_only_where_one_is_asked_for() -> None:
    assert number_of("16.85%", is_fraction=True).value == pytest.approx(0.1685)
    assert "percentage" in number_of("16.85%").problem


def test_a_decimal_comma_turns_the_meaning_of_points_and_commas() -> None:
    assert number_of("1.234,5", mark=",").value == 1234.5
    assert number_of("467,92", mark=",").value == 467.92
    assert number_of("1.234", mark=",").value == 1234.0
    assert number_of("37.59", mark=",").problem


def test_a_number_that_begins_with_zero_has_no_thousands() -> None:
    """Deltas and rates of three decimals, such as 0.125, are no hundred and twenty-five."""
    for is_semicolon in (False, True):
        assert decimal_mark(["0.125", "-0.250"], is_semicolon=is_semicolon) == "."
    assert decimal_mark(["0,125"], is_semicolon=True) == ","
    assert number_of("0.125", mark=None).value == 0.125
    assert number_of("0,125", mark=",").value == 0.125
    assert number_of("0,125").problem
    assert number_of("0.125", mark=",").problem


def test_a_number_that_may_be_two_is_none_until_other_values_of_the_file_say_which() -> None:
    assert "decimals or thousands" in number_of("1,234", mark=None).problem
    assert "decimals or thousands" in number_of("1.234", mark=None).problem
    assert number_of("37.59", mark=None).value == 37.59
    assert decimal_mark(["1,234", "467,92"], is_semicolon=True) == ","
    assert decimal_mark(["1,234", "467.92"], is_semicolon=True) == "."
    assert decimal_mark(["1,234", "15"], is_semicolon=True) is None
    assert decimal_mark(["1,234", "15"], is_semicolon=False) == "."
    assert decimal_mark(["467,92", "37.59"], is_semicolon=False) == "."
    with pytest.raises(ValueError, match=r"37\.59 here and 467,92 there"):
        decimal_mark(["37.59", "467,92"], is_semicolon=True)


@pytest.mark.parametrize(
    "text",
    ["2024-01-19", "20240119", "2024/1/19", "19.01.2024", "19-Jan-2024", "Jan 19, 2024", "January 19, 2024",
     "19 January 2024", "2024-01-19T00:00:00", "2024-01-19 00:00:00-05:00", "2024-01-19 00:00:00.000Z"],
)  # fmt: skip
def test_a_day_is_read_in_any_writing_that_says_one(text: str) -> None:
    assert date_of(text).value == dt.date(2024, 1, 19)


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("01/05/2024", "month/day or day/month"),
        ("2024-01-19 16:00", "time of day"),
        ("2024-02-30", "no day"),
        ("2024-13-01", "no day"),
        ("0000-01-01", "no day"),
        ("Foo 5, 2024", "no day"),
        ("1/5/24", "no date"),
        ("45310", "no date"),
        ("2024-01-19x", "no date"),
        ("202401199", "no date"),
    ],
)
def test_what_is_no_day_is_said_to_be_none(text: str, problem: str) -> None:
    found = date_of(text)
    assert found.value is None
    assert problem in found.problem


def test_the_order_of_day_and_month_is_what_the_values_of_the_file_prove() -> None:
    assert date_order(["01/05/2024", "01/19/2024"]) == ("month_first", "01/05/2024")
    assert date_order(["05/01/2024", "19/01/2024"]) == ("day_first", "05/01/2024")
    assert date_order(["01/05/2024"]) == (None, "01/05/2024")
    assert date_order(["2024-01-05"]) == (None, "")
    with pytest.raises(ValueError, match=r"01/19/2024 begins with the month and 19/01/2024 with the day"):
        date_order(["01/19/2024", "19/01/2024"])
    assert date_of("01/05/2024", order="month_first").value == dt.date(2024, 1, 5)
    assert date_of("01/05/2024", order="day_first").value == dt.date(2024, 5, 1)
    assert "no day" in date_of("19/01/2024", order="month_first").problem


def test_a_moment_without_a_zone_is_none_unless_a_zone_is_given() -> None:
    assert moment_of("2024-01-05T16:00:00-05:00").value == dt.datetime(2024, 1, 5, 21, tzinfo=dt.UTC)
    assert moment_of("2024-01-05 21:00Z").value == dt.datetime(2024, 1, 5, 21, tzinfo=dt.UTC)
    assert moment_of("2024-01-05 16:00").problem == "says no time zone"
    new_york = moment_of("2024-07-05 16:00", zone="America/New_York")
    assert new_york.value == dt.datetime(2024, 7, 5, 20, tzinfo=dt.UTC)
    assert "America/New_York" in new_york.assumed
    # On 2024-11-03 the clocks went back from 02:00 to 01:00, on 2024-03-10 forward from 02:00 to 03:00.
    assert "twice or never" in moment_of("2024-11-03 01:30", zone="America/New_York").problem
    assert "twice or never" in moment_of("2024-03-10 02:30", zone="America/New_York").problem
