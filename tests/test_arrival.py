"""New rows arrive: recognised when they come twice, opened by a day, complete when two come at once."""

import subprocess
import sys
from datetime import date

import pandas as pd
import pytest
from typer.testing import CliRunner

from forecast.checks import check_tables
from forecast.cli import app
from forecast.data import TABLE_NAMES, append_rows, load_data, move_coded_to, pack, unpack
from forecast.errors import DataError, UsageError
from forecast.tables import parse_table

HEADER = "country,indicator,observed_on,value,low,high,coder,basis,known_on,sources,note\n"
ROW = "XNL,elite_division,2020-06-01,0.5,0.4,0.6,A,judgement,2020-06-05,survey_2015,\n"


def rows_of(text):
    numbered, problems = parse_table("indicators.csv", (HEADER + text).encode())
    assert not problems
    return [row for _, row in numbered]


def test_a_row_that_comes_twice_is_added_once(tiny_tables):
    path = tiny_tables.data / "indicators.csv"
    assert append_rows(tiny_tables.data, "indicators.csv", rows_of(ROW + ROW))[0] == 1
    once = path.read_bytes()
    assert append_rows(tiny_tables.data, "indicators.csv", rows_of(ROW))[0] == 0
    assert path.read_bytes() == once
    with pytest.raises(DataError):  # another value for the same reading, known on the same day, is no duplicate
        append_rows(tiny_tables.data, "indicators.csv", rows_of(ROW.replace("0.5", "0.55")))


def test_the_command_says_that_it_is_there_already(tiny_tables, tmp_path):
    new = tmp_path / "new.csv"
    new.write_text(HEADER + ROW, encoding="utf-8")
    arguments = ["add", "indicator", "--from", str(new), "--study", str(tiny_tables.source)]
    dry = CliRunner().invoke(app, [*arguments, "--dry-run"])
    assert dry.exit_code == 0
    assert "1 row would be added" in dry.stderr
    assert "no fit is kept yet" in dry.stderr
    assert CliRunner().invoke(app, arguments).exit_code == 0
    again = CliRunner().invoke(app, arguments)
    assert again.exit_code == 0
    assert "1 row is there already" in again.stderr


def test_a_file_and_columns_at_once_are_refused(tiny_tables, tmp_path):
    new = tmp_path / "new.csv"
    new.write_text(HEADER + ROW, encoding="utf-8")
    before = (tiny_tables.data / "indicators.csv").read_bytes()
    arguments = ["--from", str(new), "--known-on", "2020-06-09", "--study", str(tiny_tables.source)]
    result = CliRunner().invoke(app, ["add", "indicator", *arguments])
    assert result.exit_code == UsageError.exit_code
    assert "--known-on" in result.stderr
    assert (tiny_tables.data / "indicators.csv").read_bytes() == before


def test_a_day_opens_a_month(tiny_tables):
    later = ROW.replace("2020-06-01", "2021-01-15").replace("2020-06-05", "2021-01-20")
    with pytest.raises(DataError, match="after the last coded day"):
        append_rows(tiny_tables.data, "indicators.csv", rows_of(later))
    before = (tiny_tables.data / "codebook.toml").read_text(encoding="utf-8")
    move_coded_to(tiny_tables.data, date(2021, 1, 31))
    after = (tiny_tables.data / "codebook.toml").read_text(encoding="utf-8")
    assert after == before.replace("2020-12-31", "2021-01-31")
    assert append_rows(tiny_tables.data, "indicators.csv", rows_of(later))[0] == 1
    assert load_data(tiny_tables.data).known_to == date(2021, 1, 31)


@pytest.mark.parametrize(("day", "message"), [(date(2020, 12, 31), "later day"), (date(2999, 1, 1), "future")])
def test_a_day_only_moves_forward_and_not_past_today(tiny_tables, day, message):
    with pytest.raises(UsageError, match=message):
        move_coded_to(tiny_tables.data, day)


def test_what_died_while_writing_is_swept_up(tiny_tables):
    torn = tiny_tables.data / ".indicators.csv.abc123"
    torn.write_text("half", encoding="utf-8")
    append_rows(tiny_tables.data, "indicators.csv", rows_of(ROW))
    assert not torn.exists()


def test_two_that_add_at_once_lose_nothing(tiny_tables):
    code = (
        "import sys; from pathlib import Path; from forecast.data import append_rows; from forecast.tables import validate_row\n"
        "folder, coder = Path(sys.argv[1]), sys.argv[2]\n"
        "for month in range(1, 13):\n"
        "    cells = dict(country='XSL', indicator='elite_division', observed_on=f'2019-{month:02d}-01', value='0.4', low='0.3', high='0.5',\n"
        "                 coder=coder, basis='judgement', known_on=f'2019-{month:02d}-02', sources='survey_2015', note='')\n"
        "    append_rows(folder, 'indicators.csv', [validate_row('indicators.csv', None, cells)[0]])\n"
    )
    each = [subprocess.Popen([sys.executable, "-c", code, str(tiny_tables.data), coder]) for coder in ("P", "Q")]
    assert [process.wait() for process in each] == [0, 0]
    readings = load_data(tiny_tables.data).indicators
    assert (readings["coder"].value_counts()[["P", "Q"]] == 12).all()


def test_what_is_remembered_of_tables_with_new_rows_is_what_they_are(tiny_tables, tmp_path):
    append_rows(tiny_tables.data, "indicators.csv", rows_of(ROW), kept=tmp_path)
    remembered = (tmp_path / "sound").read_text(encoding="utf-8").split()[1]
    assert load_data(tiny_tables.data, tmp_path).digest == remembered == load_data(tiny_tables.data).digest


def test_a_file_that_a_hand_changed_meanwhile_is_not_remembered_as_sound(tiny_tables, tmp_path, monkeypatch):
    def check_and_change(tables):
        bibliography = tiny_tables.data / "sources.bib"
        bibliography.write_text(bibliography.read_text(encoding="utf-8") + "\n", encoding="utf-8")
        return check_tables(tables)

    monkeypatch.setattr("forecast.data.check_tables", check_and_change)
    assert append_rows(tiny_tables.data, "indicators.csv", rows_of(ROW), kept=tmp_path)[0] == 1
    assert not (tmp_path / "sound").exists()


def test_sound_files_are_read_as_they_were_checked(study_copy, tmp_path):
    kept = tmp_path / "build"
    checked = load_data(study_copy.data, kept)
    assert (kept / "sound").is_file()
    quick = load_data(study_copy.data, kept)
    for name in TABLE_NAMES:
        pd.testing.assert_frame_equal(getattr(quick, name), getattr(checked, name))
    assert quick.digest == checked.digest == unpack(pack(checked), checked.codebook, checked.known_to).digest
    assert quick.as_of("2003-01-01").digest == checked.as_of("2003-01-01").digest != checked.digest
    path = study_copy.data / "leaders.csv"
    path.write_text(path.read_text(encoding="utf-8").replace("in_office", "in_offise", 1), encoding="utf-8")
    with pytest.raises(DataError):
        load_data(study_copy.data, kept)
