"""The view of a day holds what was known on it and nothing else, and an append is whole or nothing."""

import os
import subprocess
import sys
from dataclasses import replace
from datetime import date

import pandas as pd
import pytest

from forecast import files
from forecast.checks import check_study
from forecast.data import READING_KEY, append_rows, load_data
from forecast.errors import DataError, UsageError
from forecast.files import write_atomically
from forecast.schema import EventRow, IndicatorRow
from forecast.tables import validate_row

READING = {
    "country": "XNL",
    "indicator": "elite_division",
    "observed_on": "2019-01-01",
    "value": "0.3",
    "low": "0.2",
    "high": "0.4",
    "coder": "A",
    "basis": "judgement",
    "known_on": "2019-02-01",
    "sources": "survey_2015",
    "note": "",
}


@pytest.fixture
def tiny(tiny_tables):
    return load_data(tiny_tables.data)


@pytest.fixture(scope="module")
def real(repository):
    return load_data(repository / "data")


def reading(**changes):
    row, problems = validate_row("indicators.csv", None, {**READING, **changes})
    assert problems == []
    return row


def spell(data, spell_id):
    return data.leaders.set_index("spell_id").loc[spell_id]


def event(data, event_id):
    return data.events.set_index("event_id").loc[event_id]


def value_of(data, country, indicator, observed_on, coder="A"):
    return data.indicators.set_index(READING_KEY)["value"].loc[country, indicator, pd.Timestamp(observed_on), coder]


# what a day knows


def test_the_whole_study_is_seen_from_its_last_coded_day(tiny):
    assert tiny.known_to == date(2020, 12, 31)
    assert [len(tiny.countries), len(tiny.leaders), len(tiny.events)] == [3, 5, 3]
    assert tiny.as_of("2020-12-31").digest == tiny.digest


def test_a_correction_replaces_the_row_it_corrects(tiny):
    assert len(tiny.indicators) == 19  # twenty rows, one of them a correction
    assert value_of(tiny, "XSL", "war_balance", "2014-01-01") == 0.5
    assert value_of(tiny.as_of("2014-08-31"), "XSL", "war_balance", "2014-01-01") == 0.3
    assert value_of(tiny.as_of("2014-09-01"), "XSL", "war_balance", "2014-01-01") == 0.5


def test_two_coders_stand_side_by_side(tiny):
    assert value_of(tiny, "XNL", "elite_division", "2006-01-01", "A") == 0.8
    assert value_of(tiny, "XNL", "elite_division", "2006-01-01", "B") == 0.7


@pytest.mark.parametrize(("day", "rows"), [("2005-03-14", 0), ("2005-03-15", 1)])
def test_a_reading_exists_from_the_day_it_is_known(tiny, day, rows):
    own = tiny.as_of(day).indicators
    assert len(own[own["observed_on"] == "2005-03-01"]) == rows


@pytest.mark.parametrize(("day", "rows"), [("2006-04-01", 0), ("2006-04-02", 1)])
def test_an_event_exists_from_the_day_it_is_known(tiny, day, rows):
    own = tiny.as_of(day).events
    assert len(own[own["event_id"] == "XNL-2006-spring"]) == rows


def test_an_event_goes_on_until_the_day_it_ends(tiny):
    before, after = (event(tiny.as_of(day), "XNL-2006-spring") for day in ("2006-05-09", "2006-05-10"))
    assert before["result"] == "ongoing"
    assert pd.isna(before["end"])
    assert (after["result"], after["end"]) == ("removed", pd.Timestamp("2006-05-10"))


def test_an_exit_is_hidden_until_it_happens(tiny):
    before, after = (spell(tiny.as_of(day), "XNL-2000-adams") for day in ("2006-05-09", "2006-05-10"))
    assert before["exit"] == "in_office"
    assert pd.isna(before["end"])
    assert (after["exit"], after["end"]) == ("revolution", pd.Timestamp("2006-05-10"))


def test_a_successor_exists_from_the_day_of_the_exit(tiny):
    assert tiny.as_of("2006-05-09").in_office("XNL")["leader"] == "Adèle Adams"
    assert tiny.as_of("2006-05-10").in_office("XNL")["leader"] == "Bo Brown"


def test_a_period_of_a_state_is_hidden_until_it_begins(tiny):
    view = tiny.as_of("2009-12-31")
    assert list(view.countries["name"]) == ["Northland", "Southland"]
    assert view.countries["end"].isna().all()


@pytest.mark.parametrize("day", ["2000-01-01", "2004-08-31", "2006-05-10", "2014-08-31", "2020-12-30"])
def test_no_date_of_a_view_is_after_its_day(tiny, day):
    view = tiny.as_of(day)
    for table in (view.countries, view.leaders, view.events, view.indicators):
        for column in table.columns.intersection(["start", "end", "entered", "observed_on", "known_on"]):
            assert not (table[column] > day).any(), column


def test_a_view_of_a_view_is_the_view(tiny):
    assert tiny.as_of("2014-01-01").as_of("2006-05-01").digest == tiny.as_of(date(2006, 5, 1)).digest


def test_a_later_view_is_another_view(tiny):
    assert tiny.as_of("2006-05-09").digest != tiny.as_of("2006-05-10").digest


def test_a_changed_reading_changes_the_digest(tiny_tables, tiny):
    append_rows(tiny_tables.data, "indicators.csv", [reading()])
    assert load_data(tiny_tables.data).digest != tiny.digest


@pytest.mark.parametrize("day", ["1894-11-01", "1904-12-31", "1917-03-08", "1953-03-05", "1991-08-20", "2022-03-31"])
def test_what_came_after_a_day_does_not_touch_the_view_of_that_day(real, day):
    stamp = pd.Timestamp(day)
    past = replace(
        real,
        countries=real.countries[real.countries["start"] <= stamp],
        leaders=real.leaders[real.leaders["start"] <= stamp],
        events=real.events[real.events["known_on"] <= stamp],
        indicators=real.indicators[real.indicators["known_on"] <= stamp],
    )
    assert len(past.indicators) < len(real.indicators)
    assert past.as_of(day).digest == real.as_of(day).digest


@pytest.mark.parametrize("day", ["1904-12-31", "2022-03-31"])
def test_another_future_gives_the_same_past(real, day):
    stamp = pd.Timestamp(day)
    later = real.leaders["end"] > stamp
    running = (real.events["known_on"] <= stamp) & (real.events["end"] > stamp)
    moved = replace(
        real,
        leaders=real.leaders.assign(
            end=real.leaders["end"].mask(later, pd.Timestamp("2024-12-31")),
            exit=real.leaders["exit"].mask(later, "coup"),
        ),
        events=real.events.assign(result=real.events["result"].mask(running, "removed")),
        indicators=real.indicators.assign(
            value=real.indicators["value"].where(real.indicators["known_on"] <= stamp, 0)
        ),
    )
    assert moved.digest != real.digest
    assert moved.as_of(day).digest == real.as_of(day).digest


@pytest.mark.parametrize("day", ["2005-03-14", "2006-05-10", "2014-08-31", "2014-09-01"])
def test_deleting_later_readings_from_the_file_leaves_the_view(tiny_tables, tiny, day):
    path = tiny_tables.data / "indicators.csv"
    header, *lines = path.read_text(encoding="utf-8").splitlines(keepends=True)
    kept = [line for line in lines if line.split(",")[8] <= day]
    assert 0 < len(kept) < len(lines)
    path.write_text("".join([header, *kept]), encoding="utf-8")
    assert load_data(tiny_tables.data).as_of(day).digest == tiny.as_of(day).digest


def test_the_order_of_readings_in_the_file_does_not_matter(tiny_tables, tiny):
    path = tiny_tables.data / "indicators.csv"
    header, *lines = path.read_text(encoding="utf-8").splitlines(keepends=True)
    path.write_text("".join([header, *reversed(lines)]), encoding="utf-8")
    assert load_data(tiny_tables.data).digest == tiny.digest


def test_a_reading_taken_out_takes_its_earlier_versions_with_it(tiny):
    key = (tiny.indicators["country"] == "XSL") & (tiny.indicators["observed_on"] == "2014-01-01")
    without = replace(tiny, indicators=tiny.indicators[~key])
    assert not (without.as_of("2014-08-31").indicators["observed_on"] == "2014-01-01").any()


@pytest.mark.parametrize(
    ("day", "message"),
    [
        ("2021-01-01", "the data end on 2020-12-31"),
        ("1999-12-31", "the data begin on 2000-01-01"),
        ("2006-02-30", "is not a date"),
        ("30.2.2006", "is not a date"),
        ("", "is not a date"),
    ],
)
def test_a_day_without_data_is_refused(tiny, day, message):
    with pytest.raises(UsageError, match=message):
        tiny.as_of(day)


def test_a_country_without_data_is_refused_with_those_that_have(tiny):
    with pytest.raises(UsageError, match="'XWL' is not in the data as of 2020-12-31; known are XNL, XSL"):
        tiny.in_office("XWL")


def test_a_country_that_does_not_exist_yet_is_refused(real):
    with pytest.raises(UsageError, match="'UKR' is not in the data as of 1904-12-31; known are .*RUS"):
        real.as_of("1904-12-31").in_office("UKR")


def test_a_country_without_a_leader_is_refused(tiny):
    ended = replace(tiny, leaders=tiny.leaders[tiny.leaders["spell_id"] != "XSL-2012-evans"])
    with pytest.raises(UsageError, match="no leader of XSL is in the data on 2020-12-31"):
        ended.in_office("XSL")


def test_a_damaged_study_is_not_loaded(tiny_tables):
    (tiny_tables.data / "events.csv").unlink()
    with pytest.raises(DataError, match=r"events\.csv: the file is missing"):
        load_data(tiny_tables.data)


def test_a_study_without_events_and_readings_is_loaded(tiny_tables):
    peaceful = (tiny_tables.data / "leaders.csv").read_text(encoding="utf-8")
    peaceful = peaceful.replace("revolution", "regular").replace("coup", "regular")
    (tiny_tables.data / "leaders.csv").write_text(peaceful, encoding="utf-8")
    for file in ("events.csv", "indicators.csv"):
        header = (tiny_tables.data / file).read_text(encoding="utf-8").split("\n")[0]
        (tiny_tables.data / file).write_text(header + "\n", encoding="utf-8")
    view = load_data(tiny_tables.data).as_of("2006-05-09")
    assert view.events.empty
    assert view.indicators.empty
    assert len(view.leaders) == 3


# appends


def test_an_appended_row_is_read_back_as_it_was_written(tiny_tables):
    row = reading(value="0.123456789", low="0.1", high="0.30000000000000004", note='says "so", and more')
    before = (tiny_tables.data / "indicators.csv").read_text(encoding="utf-8")
    append_rows(tiny_tables.data, "indicators.csv", [row])
    after = (tiny_tables.data / "indicators.csv").read_text(encoding="utf-8")
    assert after.startswith(before)
    assert after.count("\n") == before.count("\n") + 1
    own = load_data(tiny_tables.data).indicators
    (read,) = own[own["observed_on"] == "2019-01-01"].itertuples()
    assert (read.value, read.high, read.note) == (row.value, row.high, row.note)
    assert check_study(tiny_tables.data) == []


def test_an_append_is_all_or_nothing(tiny_tables):
    before = (tiny_tables.data / "indicators.csv").read_bytes()
    rows = [reading(), reading(observed_on="2019-06-01", known_on="2019-06-02", sources="nobody_2019")]
    with pytest.raises(DataError) as caught:
        append_rows(tiny_tables.data, "indicators.csv", rows)
    (problem,) = caught.value.problems
    assert (problem.file, problem.row, problem.column) == ("new row 2 for indicators.csv", None, "sources")
    assert (tiny_tables.data / "indicators.csv").read_bytes() == before


def test_a_dry_run_writes_nothing_and_still_refuses(tiny_tables):
    before = (tiny_tables.data / "indicators.csv").read_bytes()
    append_rows(tiny_tables.data, "indicators.csv", [reading()], dry_run=True)
    with pytest.raises(DataError, match=r"is not in countries\.csv"):
        append_rows(tiny_tables.data, "indicators.csv", [reading(country="XWL")], dry_run=True)
    assert (tiny_tables.data / "indicators.csv").read_bytes() == before


def test_the_same_row_is_not_appended_twice(tiny_tables):
    append_rows(tiny_tables.data, "indicators.csv", [reading()])
    before = (tiny_tables.data / "indicators.csv").read_bytes()
    assert append_rows(tiny_tables.data, "indicators.csv", [reading()])[0] == 0
    assert (tiny_tables.data / "indicators.csv").read_bytes() == before
    with pytest.raises(DataError, match="repeats the key"):
        append_rows(tiny_tables.data, "indicators.csv", [reading(note="another")])


def test_a_correction_is_appended_and_seen_from_the_day_it_is_known(tiny_tables):
    append_rows(tiny_tables.data, "indicators.csv", [reading()])
    append_rows(tiny_tables.data, "indicators.csv", [reading(value="0.35", known_on="2020-01-01")])
    data = load_data(tiny_tables.data)
    assert value_of(data.as_of("2019-12-31"), "XNL", "elite_division", "2019-01-01") == 0.3
    assert value_of(data, "XNL", "elite_division", "2019-01-01") == 0.35


def test_an_event_is_corrected_by_a_later_row(tiny_tables):
    cells = {
        "event_id": "XNL-2018-march",
        "country": "XNL",
        "kind": "uprising",
        "armed": "0",
        "start": "2018-03-01",
        "end": "",
        "result": "ongoing",
        "inherited": "0",
        "name": "March",
        "known_on": "2018-03-01",
        "sources": "survey_2015",
        "note": "",
    }
    for changes in ({}, {"end": "2018-04-01", "result": "concession", "known_on": "2018-04-01"}):
        row, problems = validate_row("events.csv", None, {**cells, **changes})
        assert problems == []
        assert isinstance(row, EventRow)
        append_rows(tiny_tables.data, "events.csv", [row])
    data = load_data(tiny_tables.data)
    assert event(data.as_of("2018-03-31"), "XNL-2018-march")["result"] == "ongoing"
    assert event(data, "XNL-2018-march")["result"] == "concession"
    assert len(data.events) == 4


def test_nothing_is_appended_to_a_damaged_study(tiny_tables):
    path = tiny_tables.data / "indicators.csv"
    path.write_bytes(path.read_bytes()[:-1])
    before = path.read_bytes()
    with pytest.raises(DataError, match="the last line has no end"):
        append_rows(tiny_tables.data, "indicators.csv", [reading()])
    assert path.read_bytes() == before


APPEND = """
import sys
from pathlib import Path
from forecast.data import append_rows
from forecast.tables import validate_row
folder, coder, header, line = sys.argv[1:]
for month in range(1, 11):
    cells = dict(zip(header.split(","), line.split(",")))
    cells |= {"coder": coder, "observed_on": f"2019-{month:02}-01", "known_on": f"2019-{month:02}-02"}
    row, problems = validate_row("indicators.csv", None, cells)
    append_rows(Path(folder), "indicators.csv", [row])
"""


def test_two_processes_that_append_at_once_lose_nothing(tiny_tables):
    before = len(load_data(tiny_tables.data).indicators)
    words = [",".join(READING), ",".join(READING.values())]
    running = [
        subprocess.Popen([sys.executable, "-c", APPEND, str(tiny_tables.data), coder, *words]) for coder in ("P", "Q")
    ]
    assert [process.wait(timeout=60) for process in running] == [0, 0]
    assert check_study(tiny_tables.data) == []
    after = load_data(tiny_tables.data).indicators
    assert len(after) == before + 20
    assert after["coder"].value_counts()[["P", "Q"]].tolist() == [10, 10]


def test_a_lock_that_is_not_let_go_is_said_in_words(tiny_tables, monkeypatch):
    from filelock import FileLock

    monkeypatch.setattr(files, "LOCK_SECONDS", 0.05)
    with (
        FileLock(tiny_tables.data / ".lock"),
        pytest.raises(UsageError, match="another process is writing"),
    ):
        append_rows(tiny_tables.data, "indicators.csv", [reading()])


@pytest.mark.parametrize("step", ["fsync", "replace"])
def test_a_failure_in_the_middle_of_writing_leaves_the_old_file(tiny_tables, monkeypatch, step):
    path = tiny_tables.data / "indicators.csv"
    before, names = path.read_bytes(), sorted(tiny_tables.data.iterdir())

    def fail(*_):
        raise OSError("no space left on device")

    monkeypatch.setattr(*((os, "fsync") if step == "fsync" else (type(path), "replace")), fail)
    with pytest.raises(OSError, match="no space left"):
        write_atomically(path, "half a line")
    assert path.read_bytes() == before
    assert sorted(tiny_tables.data.iterdir()) == names


def test_writing_keeps_the_mode_of_the_file(tmp_path):
    path = tmp_path / "table.csv"
    write_atomically(path, "one\n")
    path.chmod(0o600)
    write_atomically(path, "two\n")
    assert path.read_text(encoding="utf-8") == "two\n"
    assert path.stat().st_mode & 0o777 == 0o600


def test_typed_rows_are_frozen():
    with pytest.raises(ValueError, match="frozen"):
        reading().value = 0.9
    assert isinstance(reading(), IndicatorRow)
