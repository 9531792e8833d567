"""Resolution by the written rules, scores by hand, and files that a hub would take."""

from datetime import date

import numpy as np
import pandas as pd
import pytest

from forecast.data import load_data
from forecast.errors import DataError, UsageError
from forecast.plots import plot_track_record
from forecast.resolution import climatology, list_cases, resolve
from forecast.schema import OUTCOMES
from forecast.track_record import HUB_COLUMNS, list_answers, read_hub, score_record, write_hub


@pytest.fixture
def data(tiny_tables):
    codebook = tiny_tables.data / "codebook.toml"
    return load_data(codebook.parent)


@pytest.mark.parametrize(
    ("country", "leader", "as_of", "end", "outcome"),
    [
        ("XNL", "Adèle Adams", "2005-12-31", "2006-12-31", "revolution"),
        ("XNL", "Adèle Adams", "2006-04-15", "2006-05-10", "revolution"),
        ("XNL", "Adèle Adams", "2005-12-31", "2006-04-30", "survives_challenged"),
        ("XNL", "Adèle Adams", "2003-12-31", "2005-12-31", "survives_unchallenged"),
        ("XSL", "Cleo Clark", "2003-12-31", "2004-12-31", "coup"),
        ("XSL", "Dan Davis", "2011-12-31", "2012-12-31", "other_exit"),
        ("XSL", "Eve Evans", "2012-03-31", "2012-12-31", "survives_challenged"),  # it began against her predecessor and goes on
        ("XSL", "Eve Evans", "2012-06-30", "2014-12-31", "survives_unchallenged"),
    ],
)  # fmt: skip
def test_questions_are_resolved_by_the_rules(data, country, leader, as_of, end, outcome):
    found = resolve(data, country, leader, date.fromisoformat(as_of), date.fromisoformat(end))
    assert (found.outcome, found.due) == (outcome, True)


def test_what_is_not_over_or_not_clear_is_kept_apart(data):
    soon = resolve(data, "XNL", "Bo Brown", date(2020, 6, 30), date(2021, 6, 30))
    assert (soon.outcome, soon.due) == (None, False)
    assert "coded to 2020-12-31" in soon.reason
    other = resolve(data, "XNL", "Somebody", date(2010, 6, 30), date(2012, 6, 30))
    assert (other.outcome, other.due) == (None, True)
    assert "Bo Brown is coded in office" in other.reason


def test_climatology_is_counted_before_the_forecast(data):
    cases = list_cases(data.as_of("2006-12-31"), 12)
    assert cases.value_counts().to_dict() == {"survives_unchallenged": 10, "revolution": 1, "coup": 1}
    shares = climatology(data.as_of("2006-12-31"), "XNL", 12)
    assert shares["revolution"] == pytest.approx(1.5 / 14.5)
    assert sum(shares.values()) == pytest.approx(1)


def ledger_rows(country, leader, as_of, end, probabilities, spec="default"):
    fixed = {
        "country": country, "leader": leader, "as_of": as_of, "horizon_end": end, "horizon_months": "12", "spec": spec, "issued_on": "2025-01-01",
        "data_digest": "d", "spec_digest": spec, "version": "0",
    }  # fmt: skip
    return [{**fixed, "outcome": name, "probability": f"{p}"} for name, p in zip(OUTCOMES, probabilities, strict=True)]


@pytest.fixture
def ledger():
    return [
        *ledger_rows("XNL", "Adèle Adams", "2005-12-31", "2006-12-31", [0.1, 0.2, 0.1, 0.2, 0.4]),
        *ledger_rows("XNL", "Adèle Adams", "2005-12-31", "2006-12-31", [0.05, 0.05, 0.2, 0.1, 0.6], "baseline"),
        *ledger_rows("XSL", "Eve Evans", "2020-06-30", "2021-06-30", [0.1, 0.1, 0.1, 0.1, 0.6]),
        *ledger_rows("XSL", "Nobody", "2010-12-31", "2011-12-31", [0.2, 0.2, 0.2, 0.2, 0.2]),
    ]


def test_scores_are_those_worked_out_by_hand(ledger, data):
    found = score_record(ledger, data)
    ours = found["scored"].set_index("model").loc["default"]
    assert ours["log_score"] == pytest.approx(-np.log(0.2))
    assert ours["brier_score"] == pytest.approx(0.01 + 0.64 + 0.01 + 0.04 + 0.16)
    assert ours["ranked_probability_score"] == pytest.approx(0.01 + 0.7**2 + 0.6**2 + 0.4**2)
    assert set(found["scored"]["model"]) == {"default", "baseline", "climatology"}
    assert found["answers"]["due"].sum() == 3
    assert list(found["apart"]["leader"]) == ["Nobody"]
    assert found["summary"].loc["climatology", "log_score_skill"] == pytest.approx(0)
    assert plot_track_record(found["scored"]).startswith("<svg")


def test_a_hub_takes_our_files_and_gives_others_back(ledger, data, tmp_path):
    found = score_record(ledger, data)
    files = write_hub(found["answers"], tmp_path)
    assert {str(path.relative_to(tmp_path)) for path in files} == {
        "model-output/regime_forecast-default/2005-12-31-regime_forecast-default.csv",
        "model-output/regime_forecast-default/2010-12-31-regime_forecast-default.csv",
        "model-output/regime_forecast-default/2020-06-30-regime_forecast-default.csv",
        "model-output/regime_forecast-baseline/2005-12-31-regime_forecast-baseline.csv",
        "target-data/oracle-output.csv",
    }
    own = pd.read_csv(files[0])
    assert tuple(own.columns) == HUB_COLUMNS
    assert own["value"].sum() == pytest.approx(1)
    oracle = pd.read_csv(files[-1])
    assert oracle.loc[oracle["oracle_value"] == 1, "output_type_id"].tolist() == ["revolution"]
    assert len(read_hub(tmp_path)) == 0
    theirs = tmp_path / "model-output" / "other-guess" / "2005-12-31-other-guess.csv"
    theirs.parent.mkdir()
    own.assign(value=[1.0 if name == "revolution" else 0.0 for name in own["output_type_id"]]).to_csv(
        theirs, index=False
    )
    scored = score_record(ledger, data, read_hub(tmp_path))["scored"].set_index("model")
    assert scored.loc["other-guess", "brier_score"] == 0
    assert scored.loc["other-guess", "log_score"] == pytest.approx(0, abs=2e-4)


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda t: t.drop(columns="value"), "the column is missing"),
        (lambda t: t.assign(output_type_id="landslide"), "is no outcome"),
        (lambda t: t.assign(value=0.5), "add to 1"),
        (lambda t: t.assign(value=["x", *t["value"][1:]]), "is no probability"),
    ],
)
def test_others_files_that_are_damaged_are_named(ledger, data, tmp_path, damage, message):
    files = write_hub(score_record(ledger, data)["answers"], tmp_path)
    theirs = tmp_path / "model-output" / "other-guess" / "a.csv"
    theirs.parent.mkdir()
    damage(pd.read_csv(files[0]).astype(object)).to_csv(theirs, index=False)
    with pytest.raises(DataError, match=message):
        read_hub(tmp_path)


def test_a_folder_that_is_no_hub_is_refused(tmp_path):
    with pytest.raises(UsageError, match="no model-output"):
        read_hub(tmp_path)


def test_an_empty_record_has_no_scores(data):
    found = score_record([], data)
    assert len(list_answers([])) == len(found["scored"]) == len(found["apart"]) == 0
