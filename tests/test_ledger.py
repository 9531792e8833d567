"""The forecast ledger: appended to, verified as a whole, never rewritten."""

import csv
import os
from dataclasses import replace
from datetime import date

import numpy as np
import pytest
from typer.testing import CliRunner

from forecast.cli import app
from forecast.errors import LedgerError, UsageError
from forecast.ledger import COLUMNS, START, append_rows, read_ledger, record, rows_of
from forecast.prediction import predict
from forecast.schema import OUTCOMES

DAY = date(2025, 1, 2)


@pytest.fixture
def ledger(tiny_fit, tiny_forecast, tmp_path):
    path = tmp_path / "reports" / "ledger.csv"
    assert record([tiny_forecast], tiny_fit, path, DAY) == len(OUTCOMES)
    return path


def lines_of(path):
    return path.read_text(encoding="utf-8").splitlines()


def rewrite(path, lines):
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")


def test_a_forecast_is_one_row_for_each_outcome(ledger, tiny_fit, tiny_forecast):
    rows = read_ledger(ledger)
    assert [row["outcome"] for row in rows] == list(OUTCOMES)
    assert tuple(rows[0]) == COLUMNS
    end = tiny_forecast.probability.isel(month=-1)
    for row in rows:
        draws = end.sel(outcome=row["outcome"]).to_numpy().ravel()
        assert float(row["probability"]) == pytest.approx(draws.mean(), abs=1e-6)
        assert float(row["p05"]) == pytest.approx(np.quantile(draws, 0.05), abs=1e-6)
        assert float(row["p95"]) == pytest.approx(np.quantile(draws, 0.95), abs=1e-6)
        assert (row["issued_on"], row["as_of"]) == ("2025-01-02", "2024-12-31")
        assert (row["horizon_months"], row["horizon_end"]) == ("6", "2025-06-30")
        assert (row["country"], row["leader"]) == ("KGZ", "Sadyr Japarov")
        assert row["data_digest"] == tiny_fit.provenance["data_digest"]
        assert row["spec_digest"] == tiny_fit.spec.digest
    assert sum(float(row["probability"]) for row in rows) == pytest.approx(1.0, abs=5e-6)


def test_each_row_names_the_one_before(ledger):
    rows = read_ledger(ledger)
    assert [row["previous"] for row in rows] == [START, *(row["digest"] for row in rows[:-1])]
    assert len({row["digest"] for row in rows}) == len(rows)


def test_the_same_question_is_answered_once(ledger, tiny_fit, tiny_forecast):
    before = ledger.read_bytes()
    assert record([tiny_forecast], tiny_fit, ledger, date(2026, 7, 8)) == 0
    assert ledger.read_bytes() == before


def test_another_question_is_appended_and_the_old_rows_stay(ledger, tiny_fit, tiny_data):
    before = ledger.read_text(encoding="utf-8")
    other = predict(tiny_fit, tiny_data, "EST", 6)
    assert record([other], tiny_fit, ledger, DAY) == len(OUTCOMES)
    assert ledger.read_text(encoding="utf-8").startswith(before)
    rows = read_ledger(ledger)
    assert rows[5]["previous"] == rows[4]["digest"]
    assert [row["country"] for row in rows] == ["KGZ"] * 5 + ["EST"] * 5


def test_a_question_asked_twice_in_one_call_is_recorded_once(tiny_fit, tiny_forecast, tmp_path):
    path = tmp_path / "ledger.csv"
    assert record([tiny_forecast, tiny_forecast], tiny_fit, path, DAY) == len(OUTCOMES)
    assert len(read_ledger(path)) == len(OUTCOMES)


def test_a_scenario_is_not_recorded_as_a_forecast(tiny_fit, tiny_data, tmp_path):
    scenario = predict(tiny_fit, tiny_data, "KGZ", 6, {"sanctions": 0.9})
    with pytest.raises(UsageError, match="sanctions"):
        record([scenario], tiny_fit, tmp_path / "ledger.csv", DAY)
    assert not (tmp_path / "ledger.csv").exists()


def test_a_name_with_commas_quotes_and_a_line_end_survives(tiny_fit, tiny_forecast, tmp_path):
    odd = 'Ö, "the\nGreat" | <b>'
    named = replace(tiny_forecast, question=replace(tiny_forecast.question, leader=odd))
    path = tmp_path / "ledger.csv"
    record([named], tiny_fit, path, DAY)
    assert {row["leader"] for row in read_ledger(path)} == {odd}
    assert record([named], tiny_fit, path, DAY) == 0


def test_no_ledger_is_an_empty_ledger(tmp_path):
    assert read_ledger(tmp_path / "ledger.csv") == []


@pytest.mark.parametrize("column", COLUMNS)
@pytest.mark.parametrize("number", [0, 2, 4])
def test_a_changed_cell_is_found(ledger, column, number):
    with ledger.open(encoding="utf-8", newline="") as file:
        header, *rows = list(csv.reader(file))
    place = COLUMNS.index(column)
    rows[number][place] = rows[number][place][:-1] + ("1" if rows[number][place][-1:] != "1" else "2")
    rewrite(ledger, [",".join(header), *(",".join(row) for row in rows)])
    with pytest.raises(LedgerError, match=f"row {number + 2}") as caught:
        read_ledger(ledger)
    assert caught.value.exit_code == 13


def swap(lines):
    lines[2], lines[3] = lines[3], lines[2]


def delete_first(lines):
    del lines[1]


def delete_middle(lines):
    del lines[3]


def double(lines):
    lines.insert(3, lines[2])


def lengthen(lines):
    lines[2] += ",surplus"


def shorten(lines):
    lines[5] = lines[5].rsplit(",", 1)[0]


def drop_header(lines):
    del lines[0]


def rename_column(lines):
    lines[0] = lines[0].replace("probability", "chance")


@pytest.mark.parametrize(
    "damage", [swap, delete_first, delete_middle, double, lengthen, shorten, drop_header, rename_column]
)
def test_damage_is_found_and_stops_further_records(ledger, damage, tiny_fit, tiny_data):
    lines = lines_of(ledger)
    damage(lines)
    rewrite(ledger, lines)
    damaged = ledger.read_bytes()
    with pytest.raises(LedgerError):
        read_ledger(ledger)
    with pytest.raises(LedgerError):
        record([predict(tiny_fit, tiny_data, "EST", 6)], tiny_fit, ledger, DAY)
    assert ledger.read_bytes() == damaged


@pytest.mark.parametrize("kept", [0, 1, 40, 1500, -1, -20])
def test_a_torn_file_is_found(ledger, kept):
    whole = ledger.read_bytes()
    ledger.write_bytes(whole[:kept])
    with pytest.raises(LedgerError):
        read_ledger(ledger)


def test_bytes_that_are_no_text_are_found(ledger):
    ledger.write_bytes(ledger.read_bytes().replace(b"KGZ", b"\xff\xfe\xfd", 1))
    with pytest.raises(LedgerError):
        read_ledger(ledger)


def test_the_command_line_verifies_and_exits_with_13(ledger, monkeypatch):
    from forecast import study

    place = study.find_study(study.REPOSITORY)
    monkeypatch.setattr(study, "find_study", lambda folder=None: replace(place, output=ledger.parent.parent))
    sound = CliRunner().invoke(app, ["record", "--verify"])
    assert sound.exit_code == 0
    assert "5 rows" in sound.stderr
    lines = lines_of(ledger)
    swap(lines)
    rewrite(ledger, lines)
    broken = CliRunner().invoke(app, ["record", "--verify"])
    assert broken.exit_code == 13
    assert "chain of digests" in broken.stderr


def test_a_write_that_fails_leaves_the_old_ledger(ledger, tiny_fit, tiny_data, monkeypatch):
    before = ledger.read_bytes()

    def fail(*args):
        raise OSError("disk full")

    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(OSError, match="disk full"):
        record([predict(tiny_fit, tiny_data, "EST", 6)], tiny_fit, ledger, DAY)
    assert ledger.read_bytes() == before
    assert sorted(file.name for file in ledger.parent.iterdir()) in ([".lock", "ledger.csv"], ["ledger.csv"])


def test_rows_are_appended_in_order(tiny_fit, tiny_forecast, tmp_path):
    rows = rows_of(tiny_forecast, tiny_fit, DAY)
    path = tmp_path / "ledger.csv"
    assert append_rows(rows[:2], path) == 2
    assert append_rows(rows, path) == 3
    assert [row["outcome"] for row in read_ledger(path)] == list(OUTCOMES)


def test_a_ledger_begun_before_fits_had_digests_goes_on(tiny_fit, tiny_forecast, tiny_data, tmp_path):
    """Rows of the earlier header keep their digests; new rows name their fit."""
    path = tmp_path / "ledger.csv"
    bare = replace(tiny_fit, provenance={k: v for k, v in tiny_fit.provenance.items() if k != "fit_digest"})
    record([tiny_forecast], bare, path, DAY)
    earlier = "\n".join(line.rsplit(",", 1)[0] for line in lines_of(path)) + "\n"
    path.write_text(earlier, encoding="utf-8")
    old = read_ledger(path)
    assert len(old) == len(OUTCOMES)
    assert record([predict(tiny_fit, tiny_data, "EST", 6)], tiny_fit, path, DAY) == len(OUTCOMES)
    rows = read_ledger(path)
    assert [row["digest"] for row in rows[:5]] == [row["digest"] for row in old]
    assert {row["fit_digest"] for row in rows[:5]} == {""}
    assert {row["fit_digest"] for row in rows[5:]} == {tiny_fit.provenance["fit_digest"]}
    changed = path.read_text(encoding="utf-8").replace(tiny_fit.provenance["fit_digest"], "", 1)
    path.write_text(changed, encoding="utf-8")
    with pytest.raises(LedgerError, match="row 7"):
        read_ledger(path)


def test_the_committed_ledger_verifies(repository):
    assert len(read_ledger(repository / "reports" / "ledger.csv")) > 0
