"""Score tables on common rows, outside tables, and a page whose numbers are the tables'."""

import re
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from forecast import scores
from forecast.backtest import COUNTRY_OUTCOMES, ROW, Backtest
from forecast.errors import DataError, UsageError
from forecast.evaluation import evaluate, read_outside, summarise, write_evaluation

COUNTRIES = [f"{a}{b}X" for a in "ABCDE" for b in "ABCDEF"]
FACTS = {
    "title": "Invented <study>", "spec": "panel", "origins": ["1999-12-31"], "failures": [], "command": "forecast backtest",
    "provenance": {"data": "abc"}, "fits": {"1999-12-31": {"rhat": (1.002, "x"), "ess_bulk": (900.0, "x"), "ess_tail": (800.0, "x"), "divergences": 0, "chains": 4, "draws": 1000}},
}  # fmt: skip


def forecasts(seed, noise=0.0, years=(2000, 2001, 2002)):
    """Return a table of forecasts around true probabilities, and what happened; the world is the same for every seed."""
    world, rng, rows = np.random.default_rng(0), np.random.default_rng(seed), []
    for country in COUNTRIES:
        risk = world.beta(1, 6)
        for year in years:
            attempt, success, rising = world.random(3) < (risk, 0.5, risk / 2)
            o = (attempt, attempt and success, attempt and not success, rising, rising)
            for outcome, happened, p in zip(
                COUNTRY_OUTCOMES, o, (risk, risk / 2, risk / 2, risk / 2, risk / 2), strict=True
            ):
                shifted = 1 / (1 + np.exp(-np.log(p / (1 - p)) - noise * rng.normal()))
                rows.append({"country": country, "gw_code": "1", "name": country, "origin": f"{year - 1}-12-31", "target_year": year,
                             "outcome": outcome, "probability": shifted, "observed": int(happened)})  # fmt: skip
    return pd.DataFrame(rows).astype({"observed": "Int64"})


@pytest.fixture
def result():
    counts = [
        {"target_year": year, "outcome": name, "p05": 1.0, "p95": 9.0}
        for year in (2000, 2001, 2002)
        for name in COUNTRY_OUTCOMES
    ]
    return Backtest(forecasts(1), pd.DataFrame(counts), {}, [])


@pytest.fixture
def others():
    noisy, flat = forecasts(2, 1.5), forecasts(3).assign(probability=0.1)
    return pd.concat([noisy.assign(model="noisy"), flat.assign(model="flat")])


def line(evaluation, **where):
    table = evaluation.scores
    for name, value in where.items():
        table = table[table[name] == value]
    assert len(table) == 1
    return table.iloc[0]


def test_scores_are_those_of_the_functions(result, others):
    evaluation = evaluate("panel", result, others, {})
    own = result.table[result.table["outcome"] == "coup_attempt"]
    p, o = own["probability"].to_numpy(), own["observed"].to_numpy(dtype=float)
    at = {"rows": "all", "outcome": "coup_attempt", "model": "panel"}
    assert line(evaluation, score="log_score", **at)["value"] == pytest.approx(scores.log_score(p, o).mean())
    assert line(evaluation, score="brier", **at)["value"] == pytest.approx(scores.brier_score(p, o).mean())
    assert line(evaluation, score="auc", **at)["value"] == pytest.approx(scores.area_under_curve(p, o))
    assert line(evaluation, score="expected", **at)["value"] == pytest.approx(p.sum())
    assert line(evaluation, score="log_score", **at)[["forecasts", "countries", "events"]].tolist() == [90, 30, o.sum()]


def test_gains_are_paired_and_positive_where_ours_is_better(result, others):
    evaluation = evaluate("panel", result, others, {})
    at = {"rows": "all", "outcome": "coup_attempt"}
    ours, theirs = (line(evaluation, score="log_score", model=model, **at) for model in ("panel", "noisy"))
    assert theirs["gain"] == pytest.approx(theirs["value"] - ours["value"])
    assert theirs["gain_low"] < theirs["gain"] < theirs["gain_high"]
    # paired: the interval of the difference is shorter than the difference of the intervals
    assert theirs["gain_high"] - theirs["gain_low"] < theirs["high"] - ours["low"]
    assert theirs["skill"] == pytest.approx(1 - ours["value"] / theirs["value"])
    assert line(evaluation, score="auc", model="flat", **at)["value"] == 0.5
    assert line(evaluation, score="auc", model="flat", **at)["gain"] > 0
    assert np.isnan(ours["gain"])


def test_ranked_probability_of_the_years_result(result, others):
    evaluation = evaluate("panel", result, others, {})
    wide = result.table.pivot(index=["country", "target_year"], columns="outcome", values="probability")
    seen = result.table.pivot(index=["country", "target_year"], columns="outcome", values="observed").astype(int)
    a, s = wide["coup_attempt"], wide["coup_success"]
    by_hand = (1 - a - (seen["coup_attempt"] == 0)) ** 2 + (1 - s - (seen["coup_success"] == 0)) ** 2
    found = line(evaluation, rows="all", outcome="coup_result", model="panel", score="ranked_probability")
    assert found["value"] == pytest.approx(by_hand.mean())
    assert found["events"] == (seen["coup_attempt"] == 1).sum()


def test_outside_tables_are_compared_on_the_rows_that_both_have(result, others):
    part = forecasts(4, 0.5)[[*ROW, "probability"]]
    part = part[(part["target_year"] == 2001) & (part["outcome"] == "coup_attempt") & (part["country"] < "C")]
    elsewhere = pd.DataFrame(
        {"country": ["ZZZ"], "target_year": [2001], "outcome": ["coup_attempt"], "probability": [0.5]}
    )
    evaluation = evaluate("panel", result, others, {"published": pd.concat([part, elsewhere])})
    beside = evaluation.scores[evaluation.scores["rows"] == "published"]
    assert set(beside["outcome"]) == {"coup_attempt"}
    assert set(beside["model"]) == {"panel", "noisy", "flat", "published"}
    assert set(beside["forecasts"]) == {12}
    assert line(evaluation, rows="all", outcome="coup_attempt", model="panel", score="brier")["forecasts"] == 90
    with pytest.raises(UsageError, match="nothing can be compared"):
        evaluate("panel", result, others, {"published": elsewhere})


def test_what_is_not_known_yet_is_not_scored(result, others):
    table = result.table.assign(observed=result.table["observed"].mask(result.table["target_year"] == 2002))
    evaluation = evaluate("panel", Backtest(table, result.counts, {}, []), others, {})
    assert set(evaluation.scores["forecasts"]) == {60}
    nothing = Backtest(table.assign(observed=pd.array([pd.NA] * len(table), dtype="Int64")), result.counts, {}, [])
    assert evaluate("panel", nothing, None, {}).scores.empty


def test_counts_have_our_interval(result, others):
    counts = evaluate("panel", result, others, {}).counts
    own = counts[(counts["model"] == "panel") & (counts["outcome"] == "uprising")]
    assert own["p95"].tolist() == [9.0] * 3
    assert counts[counts["model"] == "flat"]["p95"].isna().all()
    assert counts[counts["model"] == "flat"]["expected"].to_numpy() == pytest.approx(3.0)


COUNTRY_TABLE = pd.DataFrame({"country": ["RUS", "DEU"], "gw_code": ["365", "260"]})


def written(tmp_path, text):
    path = tmp_path / "outside.csv"
    path.write_text("country,target_year,outcome,probability,more\n" + text)
    return path


def test_outside_tables_know_both_kinds_of_codes(tmp_path):
    path = written(
        tmp_path,
        "365,2001,coup_attempt,0.1,x\nDEU,2001,uprising,0,x\n260.0,2001,coup_failed,1,x\n2,2001,uprising,0.1,x\n",
    )
    outside = read_outside(path, COUNTRY_TABLE)
    assert outside.to_dict("list") == {
        "country": ["RUS", "DEU", "DEU"], "target_year": [2001] * 3, "outcome": ["coup_attempt", "uprising", "coup_failed"],
        "probability": [0.1, 0.0, 1.0],
    }  # fmt: skip


@pytest.mark.parametrize(
    ("row", "column", "message"),
    [
        ("Russia,2001,uprising,0.1,x", "country", "is no country code"),
        ("RUS,01,uprising,0.1,x\nRUS,x,uprising,0.1,x", "target_year", "is not a year"),
        ("RUS,2001,revolt,0.1,x", "outcome", "is not an outcome"),
        ("RUS,2001,uprising,1.1,x", "probability", "is not a probability"),
        ("RUS,2001,uprising,,x", "probability", "is not a probability"),
        ("RUS,2001,uprising,0.1,x\n365,2001,uprising,0.2,x", "country", "has two forecasts"),
    ],
)
def test_bad_outside_rows_are_named(tmp_path, row, column, message):
    with pytest.raises(DataError) as caught:
        read_outside(written(tmp_path, row + "\n"), COUNTRY_TABLE)
    (problem,) = caught.value.problems
    assert problem.column == column
    assert message in problem.message
    assert problem.row == 2 + row.count("\n")


def test_a_missing_column_is_named(tmp_path):
    (tmp_path / "outside.csv").write_text("country,year,probability\nRUS,2001,0.1\n")
    with pytest.raises(DataError, match="column outcome: the column is missing"):
        read_outside(tmp_path / "outside.csv", COUNTRY_TABLE)


def test_the_page_shows_the_tables_numbers_and_loads_nothing(result, others, tmp_path):
    evaluation = evaluate("panel", result, others, {})
    page = write_evaluation(tmp_path / "table.csv", evaluation, FACTS).read_text()
    for value in evaluation.scores[evaluation.scores["score"].isin(["log_score", "brier"])]["value"]:
        assert f"{value:.4f}" in page
    assert "Invented &lt;study&gt;" in page
    assert page.count("<svg") == 3
    assert not re.search(r"(src|href)=\"(?!#)", page)
    assert {path.name for path in tmp_path.iterdir()} == {"table.scores.csv", "table.counts.csv", "table.html"}
    again = write_evaluation(tmp_path / "again.csv", evaluation, FACTS).read_text()
    assert again == page


def test_the_page_of_a_run_without_scores(result, tmp_path):
    nothing = result.table.assign(observed=pd.array([pd.NA] * len(result.table), dtype="Int64"))
    evaluation = evaluate("panel", Backtest(nothing, result.counts, {}, []), None, {})
    failure = SimpleNamespace(job=SimpleNamespace(name="origin 2000-12-31"), message="R-hat <1.4>")
    page = write_evaluation(tmp_path / "table.csv", evaluation, {**FACTS, "failures": [failure]}).read_text()
    assert "nothing can be scored yet" in page
    assert "R-hat &lt;1.4&gt;" in page


def test_summary_for_the_terminal(result, others):
    table = summarise(evaluate("panel", result, others, {}))
    assert list(table.index) == ["panel", "noisy", "flat"]
    assert list(table.columns) == list(COUNTRY_OUTCOMES)
