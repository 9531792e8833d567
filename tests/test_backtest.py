"""Country-year forecasts: what happened by hand, probabilities by hand and by simulation, and nothing from later."""

import shutil
import signal
import subprocess
import sys
import time
from dataclasses import replace
from datetime import date
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from typer.testing import CliRunner

from forecast import backtest, baselines
from forecast.backtest import (
    COLUMNS,
    COUNTRY_OUTCOMES,
    _Outlook,
    _pending,
    _Uprising,
    forecast_countries,
    forecast_origin,
    list_moments,
    list_origins,
    list_rows,
    list_states,
    look_up,
    observe,
    origin_job,
    run_backtest,
)  # fmt: skip
from forecast.cli import app
from forecast.data import load_data
from forecast.design import measure, places
from forecast.engine import Failure, Where
from forecast.errors import GateError, UsageError
from forecast.hazards import build_stages, removal_probability, result_score
from forecast.incidence import Length, Ongoing, incidence, occurrence, removal_pending
from forecast.prediction import stack_draws
from forecast.spec import load_spec

TINY = Path(__file__).parent / "tiny"
SMALL = """
[sampling]
draws = 100
tune = 200
chains = 2

[gate]
rhat = 9.0
ess = 1.0
divergences = 400
"""


@pytest.fixture(scope="module")
def invented():
    return load_data(TINY / "data")


@pytest.fixture(scope="module")
def invented_spec():
    return load_spec(TINY / "models" / "default.toml")


def with_events(data, *rows):
    """Return a study with further events; the columns that no test looks at are filled."""
    filled = [
        {"armed": False, "inherited": False, "name": "x", "sources": "x", "note": "", "country": "XNL", **row}
        for row in rows
    ]
    added = pd.DataFrame(filled).assign(event_id=lambda rows: [f"e{i}" for i in range(len(rows))])
    for name in ("start", "end", "known_on"):
        added[name] = pd.to_datetime(added.get(name, added["start"])).astype("datetime64[s]")
    return replace(data, events=pd.concat([data.events, added[data.events.columns]], ignore_index=True))


# --- what happened ---------------------------------------------------------------------------------------------------


def happened(data, country, year):
    """Return the outcomes of a country and year as a string of 0, 1 and ?, in the order of the outcomes."""
    rows = pd.DataFrame({"country": country, "target_year": year, "outcome": COUNTRY_OUTCOMES})
    return "".join("?" if pd.isna(value) else str(value) for value in look_up(data, rows))


def test_what_happened_in_the_invented_study(invented):
    assert happened(invented, "XSL", 2004) == "11000"  # a palace coup that removed the leader
    assert happened(invented, "XNL", 2006) == "00011"  # an uprising that removed the leader
    assert happened(invented, "XSL", 2012) == "00000"  # strikes that began against the predecessor, and failed
    assert happened(invented, "XNL", 2020) == "00000"  # the last whole year
    assert happened(invented, "XNL", 2021) == "?????"


def test_both_results_may_happen_in_one_year(invented):
    data = with_events(
        invented,
        {"kind": "coup_attempt", "start": "2015-02-01", "end": "2015-02-02", "result": "failed"},
        {"kind": "coup_attempt", "start": "2015-06-01", "end": "2015-06-02", "result": "removed"},
        {"kind": "coup_attempt", "start": "2016-06-01", "end": "2016-06-02", "result": "concession"},
    )
    assert happened(data, "XNL", 2015) == "11100"
    assert happened(data, "XNL", 2016) == "11000"  # something was gained, so it did not fail


def test_a_removal_counts_when_it_takes_effect(invented):
    data = with_events(
        invented,
        {"kind": "uprising", "start": "2015-11-01", "end": "2016-02-01", "result": "removed", "inherited": False},
    )
    assert happened(data, "XNL", 2015) == "00010"
    assert happened(data, "XNL", 2016) == "00001"


def test_a_leaders_exit_by_revolution_is_a_removal_without_an_event(invented):
    data = replace(invented, events=invented.events[invented.events["event_id"] != "XNL-2006-spring"])
    assert happened(data, "XNL", 2006) == "00001"


def test_an_attempt_without_a_result_is_not_known_yet(invented):
    data = with_events(invented, {"kind": "coup_attempt", "start": "2020-12-30", "end": None, "result": "ongoing"})
    data.events.loc[data.events["result"] == "ongoing", "end"] = pd.NaT
    assert happened(data, "XNL", 2020) == "1??00"


def test_the_view_of_a_day_knows_no_later_year(invented):
    assert happened(invented.as_of("2004-12-30"), "XSL", 2004) == "?????"
    assert happened(invented.as_of("2004-12-31"), "XSL", 2004) == "11000"
    assert happened(invented.as_of("2005-12-31"), "XNL", 2006) == "?????"
    assert observe(invented.as_of("2003-12-31")).empty


# --- who is asked about ---------------------------------------------------------------------------------------------


def test_states_are_those_of_the_day(invented):
    states = list_states(invented.as_of("2009-12-31"))
    assert states["name"].to_dict() == {"XNL": "Northland", "XSL": "Southland"}
    assert states["spell_id"].to_dict() == {"XNL": "XNL-2006-brown", "XSL": "XSL-2004-davis"}
    assert list_states(invented.as_of("2010-01-01"))["name"]["XSL"] == "Republic of Southland"
    assert str(list_states(invented.as_of("2003-12-31"))["entered"]["XNL"].date()) == "1998-03-01"


def test_a_country_without_a_leader_gets_one_the_day_after(invented):
    gone = invented.leaders.assign(end=invented.leaders["end"].fillna(pd.Timestamp("2019-06-01")), exit="regular")
    states = list_states(replace(invented, leaders=gone))
    assert states["spell_id"].isna().all()
    assert (states["entered"] == pd.Timestamp("2020-12-31")).all()


def test_moments_run_through_the_year_after(invented):
    view = invented.as_of("2015-12-31")
    moments = list_moments(view, list_states(view), 4)
    assert len(moments) == 8
    assert moments["middle"].dt.strftime("%Y-%m-%d").tolist()[:4] == [
        "2016-02-14",
        "2016-05-16",
        "2016-08-15",
        "2016-11-15",
    ]
    assert (moments["known"] == pd.Timestamp("2015-12-31")).all()


def test_origins(invented):
    assert list_origins(invented, 2001, 2003) == [date(2001, 12, 31), date(2002, 12, 31), date(2003, 12, 31)]
    with pytest.raises(UsageError, match="after"):
        list_origins(invented, 2003, 2001)
    with pytest.raises(UsageError, match="2020-12-31"):
        list_origins(invented, 2003, 2021)
    with pytest.raises(UsageError, match="begin"):
        list_origins(invented, 1990, 2001)


# --- probabilities -----------------------------------------------------------------------------------------------------

NEVER_LONG = Length(np.full((1, 2), -50.0), np.zeros((1, 2)), np.ones((1, 2)))
QUARTERS = np.full(4, 0.25)


def constant(rate, success):
    """Return rates and chances of success that do not change over the year (1 draw, 1 country)."""
    return np.broadcast_to(np.array(rate), (1, 1, 4, 3)), np.broadcast_to(np.array(success), (1, 1, 4, 2))


def test_occurrence_by_hand():
    rate, success = constant([0.2, 0.1, 5.0], [0.25, 0.5])
    found = {
        name: value.item() for name, value in occurrence(rate, success, NEVER_LONG, np.zeros((1, 1)), QUARTERS).items()
    }
    assert found["coup_attempt"] == pytest.approx(1 - np.exp(-0.2))
    assert found["coup_success"] == pytest.approx(1 - np.exp(-0.05))
    assert found["coup_failed"] == pytest.approx(1 - np.exp(-0.15))
    assert found["uprising"] == pytest.approx(1 - np.exp(-0.1))
    assert found["uprising_removal"] == pytest.approx(1 - np.exp(-0.05))  # uprisings over in no time


def test_an_uprising_under_way_is_another_way_to_fall():
    rate, success = constant([0.2, 0.1, 0.1], [0.25, 0.5])
    found = occurrence(rate, success, NEVER_LONG, np.full((1, 1), 0.3), QUARTERS)
    assert found["uprising_removal"].item() == pytest.approx(1 - 0.7 * np.exp(-0.05))
    assert found["uprising"].item() == pytest.approx(1 - np.exp(-0.1))


def test_removals_take_time_as_in_a_simulation():
    length = Length(np.array([[0.7, 4.1]]), np.array([[0.0, 0.4]]), np.array([[1.0, 1.2]]))
    rate, success = constant([0.2, 0.8, 0.1], [0.25, 0.5])
    found = occurrence(rate, success, length, np.zeros((1, 1)), QUARTERS)["uprising_removal"].item()
    rng, runs = np.random.default_rng(5), 400_000
    uprisings = rng.poisson(0.8 * 0.5, size=runs)  # those that will remove
    run = np.repeat(np.arange(runs), uprisings)
    done = rng.random(len(run)) * 365.25 + np.exp(rng.normal(4.5, 1.2, size=len(run))) - 1.0 <= 365.25
    assert found == pytest.approx(len(np.unique(run[done])) / runs, abs=0.003)


def test_pending_removals_agree_with_the_leaders_forecast():
    length = Length(np.array([[0.7, 4.1]]), np.array([[0.0, 0.4]]), np.array([[1.0, 1.2]]))
    months, ongoing = np.full(12, 1 / 12), Ongoing((1, 1), (200.0, 20.0))
    success = np.array([[0.3, 0.4]])
    quiet = np.zeros((1, 12, 3))
    alone, _ = incidence(quiet, np.broadcast_to(success, (1, 12, 2)), length, ongoing, months)
    assert removal_pending(ongoing, success, length, months)[0, 1] == pytest.approx(alone[0, -1, 1])


def test_an_uprising_under_way_is_judged_by_the_conditions_under_which_it_began(tiny_fit, tiny_data):
    design, parameters = tiny_fit.design, stack_draws(tiny_fit.posterior)
    stages = build_stages(design, tiny_fit.spec)
    length = Length(parameters["log_days"], parameters["removal_log_days"], parameters["log_days_sd"])
    parameters["error"] = np.zeros((len(length.sd), 2, design.sizes["latent"]))

    def pending(design):
        outlook = _Outlook(replace(tiny_fit, design=design), None, None, None, [_Uprising(1, 40.0, 0)])
        return _pending(outlook, parameters, stages, length, 2)

    score = result_score(
        parameters, design["challenge_centre"].to_numpy()[:1], places(design, "challenge_group", "group")[:1], stages
    )
    chance = removal_probability(score, parameters["cutpoints"])[:, 0]
    found = pending(design)
    assert (found[:, 0] == 0).all()
    np.testing.assert_allclose(found[:, 1], removal_pending(Ongoing((1,), (40.0,)), chance, length, QUARTERS)[:, 1])
    assert not np.allclose(pending(design.assign(challenge_centre=design["challenge_centre"] + 1.0)), found)


@pytest.fixture(scope="module")
def draws(tiny_fit, tiny_data):
    return forecast_countries(tiny_fit, tiny_data, 7)


def test_probabilities_are_coherent(draws):
    p = {name: draws.sel(outcome=name).to_numpy() for name in COUNTRY_OUTCOMES}
    assert draws.to_numpy().min() >= 0
    assert draws.to_numpy().max() <= 1
    np.testing.assert_allclose(1 - p["coup_attempt"], (1 - p["coup_success"]) * (1 - p["coup_failed"]), atol=1e-12)
    assert (p["coup_success"] <= p["coup_attempt"]).all()


def test_probability_of_one_draw_from_the_posterior_by_labels(tiny_fit, tiny_data, draws):
    """Every effect looked up by its label, one quarter after another."""
    posterior, spec, design = tiny_fit.posterior.isel(chain=1, draw=3), tiny_fit.spec, tiny_fit.design
    states = list_states(tiny_data.in_frames(spec.frames))
    moments = list_moments(tiny_data, states, 4)
    country, spell, group = "KGZ", states["spell_id"]["KGZ"], states["group"]["KGZ"]
    own = np.flatnonzero(moments["country"] == country)
    values = {name: [part[own] for part in measure(tiny_data, name, moments)] for name in spec.indicators}
    expected = 0.0
    for quarter in range(4):
        x = {}
        for name in spec.indicators:
            at = design.sel(indicator=name)
            value, sd = (float(part[quarter]) for part in values[name])
            value, sd = (float(at["location"]), float(at["sd"])) if np.isnan(value) else (value, sd)
            error = float(posterior["coding_error"].sel(spell=spell, latent=name)) if name in design["latent"] else 0.0
            x[name] = (value - float(at["location"]) + sd * error) / float(at["scale"])
        log_rate = sum(float(posterior[name].sel(cause="coup")) for name in ("baseline",))
        log_rate += float(posterior["group_effect"].sel(group=group, cause="coup"))
        log_rate += float(posterior["country_effect"].sel(country=country, cause="coup"))
        log_rate += float(posterior["period_effect"].sel(period=2020, cause="coup"))
        for effect in spec.onset.effects:
            if "coup" in effect.on:
                label = f"{effect.term} on coup"
                weight = float(posterior["beta"].sel(effect=label))
                weight += (
                    float(posterior["group_slope"].sel(group=group, slope=label)) if effect.varies_by_group else 0.0
                )
                log_rate += weight * np.prod([x[factor] for factor in effect.factors])
        expected += np.exp(log_rate) / 4
    found = float(draws.isel(chain=1, draw=3).sel(country=country, outcome="coup_attempt"))
    assert found == pytest.approx(1 - np.exp(-expected), rel=1e-9)


def test_forecasts_repeat_and_blocks_do_not_matter(tiny_fit, tiny_data, draws, monkeypatch):
    monkeypatch.setattr(backtest, "BLOCK", 33)
    np.testing.assert_allclose(forecast_countries(tiny_fit, tiny_data, 7), draws, rtol=1e-12)


def test_a_fit_of_other_data_is_refused(tiny_fit, real_data, restricted):
    with pytest.raises(UsageError, match="knows no"):
        forecast_countries(tiny_fit, restricted(real_data, ["GEO", "UKR"]), 7)


def test_rows_and_counts(tiny_fit, tiny_data, draws):
    rows = pd.DataFrame(list_rows(tiny_data, tiny_fit.spec, draws))
    assert tuple(rows) == COLUMNS[:-1]
    assert len(rows) == draws.sizes["country"] * len(COUNTRY_OUTCOMES)
    assert (rows["target_year"] == 2025).all()
    kgz = rows[(rows["country"] == "KGZ") & (rows["outcome"] == "uprising")].iloc[0]
    assert kgz["probability"] == pytest.approx(float(draws.sel(country="KGZ", outcome="uprising").mean()), rel=1e-5)
    assert kgz["p05"] < kgz["p25"] < kgz["p75"] < kgz["p95"]
    counts = backtest.count_draws(draws, tiny_data, 1)
    assert [count["outcome"] for count in counts] == list(COUNTRY_OUTCOMES)
    assert all(0 <= count["p05"] <= count["p95"] <= draws.sizes["country"] for count in counts)


# --- origins ----------------------------------------------------------------------------------------------------------


def test_the_job_of_an_origin_does_not_know_what_came_later(invented, invented_spec):
    later = with_events(invented, {"kind": "uprising", "start": "2015-11-01", "end": "2016-02-01", "result": "removed"})
    origin = date(2014, 12, 31)
    assert origin_job(invented, invented_spec, origin).key == origin_job(later, invented_spec, origin).key
    assert (
        origin_job(invented, invented_spec, date(2016, 12, 31)).key
        != origin_job(later, invented_spec, date(2016, 12, 31)).key
    )


@pytest.fixture
def faked(monkeypatch, tiny_fit, draws):
    """Return the settings that fits were asked for; the fits themselves are the one that all tests share."""
    asked = []

    def fit(view, spec):
        asked.append(spec.sampling)
        return replace(
            tiny_fit, spec=spec, provenance={**tiny_fit.provenance, "sampled_with": spec.sampling.model_dump()}
        )

    monkeypatch.setattr(backtest, "fit", fit)
    monkeypatch.setattr(backtest, "forecast_countries", lambda *_: draws)
    return asked


def test_an_origin_whose_probabilities_fail_is_fitted_once_more(faked, monkeypatch, tiny_data, tiny_spec):
    answers = [["R-hat 1.2"], []]
    monkeypatch.setattr(backtest, "unmixed", lambda *_: answers.pop(0))
    job = origin_job(tiny_data, tiny_spec, date(2024, 12, 31))
    result = forecast_origin((tiny_data, tiny_spec), job)
    assert [settings.draws for settings in faked] == [tiny_spec.sampling.draws, 2 * tiny_spec.sampling.draws]
    assert faked[0].seed == job.seed
    assert result["fit"]["draws"] == 2 * tiny_spec.sampling.draws


def test_nothing_is_kept_of_an_origin_that_fails_twice(faked, monkeypatch, tiny_data, tiny_spec):
    monkeypatch.setattr(backtest, "unmixed", lambda *_: ["R-hat 1.2"])
    job = origin_job(tiny_data, tiny_spec, date(2024, 12, 31))
    with pytest.raises(GateError, match="R-hat 1.2"):
        forecast_origin((tiny_data, tiny_spec), job)
    strict = tiny_spec.changed({"gate.rhat": 1.0})
    with pytest.raises(GateError, match="the fit did not pass"):
        forecast_origin((tiny_data, strict), origin_job(tiny_data, strict, date(2024, 12, 31)))


def test_origins_that_fail_are_left_out_and_named(monkeypatch, invented, invented_spec, tmp_path):
    origins = list_origins(invented, 2010, 2011)
    good, bad = (origin_job(invented, invented_spec, origin) for origin in origins)
    fixed = {"country": "XNL", "gw_code": "901", "name": "Northland", "origin": "2010-12-31", "target_year": 2011}
    numbers = {"probability": 0.1, "p05": 0.0, "p25": 0.1, "p75": 0.1, "p95": 0.2}
    rows = [{**fixed, "outcome": outcome, **numbers} for outcome in COUNTRY_OUTCOMES]
    answer = {"rows": rows, "counts": [], "fit": {}}
    monkeypatch.setattr(backtest, "run_jobs", lambda *_, **__: ({good.key: answer}, [Failure(bad, "no", 12)]))
    result = run_backtest(invented, invented_spec, origins, tmp_path)
    assert set(result.table["origin"]) == {"2010-12-31"}
    assert [failure.job.name for failure in result.failures] == ["origin 2011-12-31"]
    assert result.table["observed"].tolist() == [0] * 5


# --- baselines ----------------------------------------------------------------------------------------------------------


def test_features_are_those_known_at_each_years_end(invented, invented_spec):
    features = baselines.collect_features(invented, invented_spec, date(2014, 12, 31)).set_index(
        ["country", "target_year"]
    )
    assert features.index.get_level_values("target_year").min() == 2001
    assert features.index.get_level_values("target_year").max() == 2015
    assert features.loc[("XNL", 2006), "war_balance"] == -0.8
    # coded 0.3, corrected to 0.5 in September of the same year
    assert features.loc[("XSL", 2015), "war_balance"] == 0.5
    early = baselines.collect_features(invented, invented_spec, date(2010, 12, 31)).set_index(
        ["country", "target_year"]
    )
    pd.testing.assert_frame_equal(features.loc[early.index], early, check_names=False)


def counting(years, groups, happened):
    past = pd.DataFrame({"target_year": years, "group": groups})
    return past, np.array(happened, dtype=float), pd.DataFrame({"target_year": 2011, "group": ["a", "b"]})


def test_counting_baselines_by_hand():
    args = counting([1990, 2000, 2001, 2006, 2010], ["a", "a", "b", "a", "b"], [1, 1, 0, 1, 0])
    assert baselines.climatology(*args, 0) == pytest.approx([3.5 / 6] * 2)
    ten = 1.5 / 4  # 2001, 2006, 2010
    assert baselines.climatology_10(*args, 0) == pytest.approx([ten] * 2)
    assert baselines.persistence(*args, 0) == pytest.approx([(1 + 50 * ten) / 51, (0 + 50 * ten) / 51])


def test_learning_baselines_learn_and_bear_gaps_and_no_events():
    rng = np.random.default_rng(0)
    x = rng.normal(size=900)
    past = pd.DataFrame({
        "country": "X", "gw_code": "1", "name": "X", "group": rng.choice(["a", "b"], 900), "target_year": rng.integers(1990, 2011, 900),
        "x": np.where(rng.random(900) < 0.1, np.nan, x), "empty": np.nan,
    })  # fmt: skip
    now = past.iloc[:3].assign(target_year=2011, x=[-2.0, 2.0, np.nan])
    learnt = rng.random(900) < 1 / (1 + np.exp(3 - 2 * x))
    for name in baselines.LEARNING:
        low, high, unknown = baselines._PREDICT[name](past, learnt.astype(float), now, 1)
        assert low < 0.1 < 0.3 < high
        assert 0 <= unknown <= 1
        never = baselines._PREDICT[name](past, np.zeros(900), now, 1)
        assert never == pytest.approx([0.5 / 901] * 3)


def test_baselines_run_alike_in_one_process_and_two(invented, invented_spec, tmp_path):
    origins = list_origins(invented, 2014, 2015)
    one, failures = baselines.run_baselines(invented, invented_spec, origins, tmp_path / "one", Where(1))
    two, _ = baselines.run_baselines(invented, invented_spec, origins[::-1], tmp_path / "two", Where(2))
    assert not failures
    assert list(one) == ["model", *COLUMNS]
    order = ["origin", "model", "outcome", "country"]
    pd.testing.assert_frame_equal(
        one.sort_values(order, ignore_index=True), two.sort_values(order, ignore_index=True), check_exact=True
    )


# --- the command --------------------------------------------------------------------------------------------------------


def command(*words):
    return CliRunner().invoke(app, ["backtest", *map(str, words)])


def test_what_cannot_be_done_is_said_before_anything_is_fitted(tmp_path, monkeypatch):
    monkeypatch.setattr(backtest, "run_jobs", lambda *_, **__: pytest.fail("nothing may run"))
    base = ("--study", TINY, "--from", 2009, "--to", 2010)
    assert command(*base, "--out", tmp_path / "t.txt").exit_code == 2
    assert command("--study", TINY, "--from", 2010, "--to", 2009, "--out", tmp_path / "t.csv").exit_code == 2
    assert command("--study", TINY, "--from", 2010, "--to", 2021, "--out", tmp_path / "t.csv").exit_code == 2
    assert command(*base, "--out", tmp_path / "t.csv", "--spec", "nothing").exit_code == 11
    assert command(*base, "--out", tmp_path / "t.csv", "--versus", tmp_path / "none.csv").exit_code == 2
    (tmp_path / "bad.csv").write_text("country,target_year,outcome,probability\nXNL,2010,coup_attempt,1.5\n")
    (tmp_path / "logit.csv").write_text("country,target_year,outcome,probability\n")
    assert "another model" in command(*base, "--out", tmp_path / "t.csv", "--versus", tmp_path / "logit.csv").stderr
    bad = command(*base, "--out", tmp_path / "t.csv", "--versus", tmp_path / "bad.csv")
    assert bad.exit_code == 10
    assert "bad.csv, row 2, column probability: '1.5': is not a probability" in bad.stderr
    assert not list(tmp_path.glob("t.*"))


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    folder = tmp_path_factory.mktemp("backtest") / "study"
    shutil.copytree(TINY, folder)
    with (folder / "models" / "default.toml").open("a") as spec:
        spec.write(SMALL)
    return folder


def start(study, out, *words):
    options = ("--study", study, "--from", 2009, "--to", 2011, "--out", out, "--no-baselines", *words)
    return subprocess.Popen([sys.executable, "-m", "forecast", "backtest", *map(str, options)], stderr=subprocess.PIPE)


def finish(process):
    try:
        _, said = process.communicate(timeout=1800)
    finally:
        process.kill()
    assert process.returncode == 0, said.decode()


@pytest.fixture(scope="module")
def whole(study, tmp_path_factory):
    """Return the bytes of the table of a run that nothing disturbed, in one process."""
    out = tmp_path_factory.mktemp("whole") / "table.csv"
    finish(start(study, out, "--workers", 1))
    shutil.move(study / "build" / "backtest", study.parent / "whole")
    return out


@pytest.mark.integration
def test_a_run_that_was_killed_goes_on_and_gives_the_same_table(study, whole, tmp_path):
    kept, out = study / "build" / "backtest", tmp_path / "table.csv"
    killed = start(study, out, "--workers", 2)
    for _ in range(6000):
        if list(kept.glob("*.json")):
            break
        time.sleep(0.1)
    killed.send_signal(signal.SIGKILL)
    killed.communicate()
    assert not out.exists()
    before = {path.name: path.stat().st_mtime_ns for path in kept.glob("*.json")}
    assert 1 <= len(before) <= 3
    finish(start(study, out, "--workers", 2))
    assert out.read_bytes() == whole.read_bytes()
    assert all((kept / name).stat().st_mtime_ns == written for name, written in before.items())
    shutil.rmtree(kept)


@pytest.mark.integration
def test_a_dask_cluster_gives_the_same_table(study, whole, tmp_path):
    out = tmp_path / "table.csv"
    finish(start(study, out, "--workers", 2, "--dask", "local"))
    assert out.read_bytes() == whole.read_bytes()
    shutil.rmtree(study / "build" / "backtest")


@pytest.mark.integration
def test_the_command_writes_all_its_files(study, whole, tmp_path):
    shutil.copytree(study.parent / "whole", study / "build" / "backtest", dirs_exist_ok=True)
    outside = tmp_path / "published.csv"
    outside.write_text("country,target_year,outcome,probability\n" + "".join(
        f"{code},{year},coup_attempt,0.05\n" for code in ("XNL", 902) for year in (2010, 2012)
    ))  # fmt: skip
    out = tmp_path / "results" / "table.csv"
    run = command("--study", study, "--from", 2009, "--to", 2011, "--out", out, "--versus", outside, "--workers", 2)
    assert run.exit_code == 0, run.output
    assert out.read_bytes() == whole.read_bytes()
    assert {path.name for path in out.parent.iterdir()} == {
        "table.csv", "table.baselines.csv", "table.scores.csv", "table.counts.csv", "table.html",
    }  # fmt: skip
    table, others = pd.read_csv(out), pd.read_csv(tmp_path / "results" / "table.baselines.csv")
    assert tuple(table) == COLUMNS
    assert len(table) == 2 * 3 * 5
    assert len(others) == len(table) * len(baselines.available())
    scores = pd.read_csv(tmp_path / "results" / "table.scores.csv")
    beside = scores[(scores["rows"] == "published") & (scores["score"] == "log_score")]
    assert set(beside["model"]) == {"default", "published", *baselines.available()}
    assert set(beside["forecasts"]) == {4}
    assert "climatology_10" in run.stdout


def test_an_exit_code_for_origins_that_failed(monkeypatch, tmp_path, study):
    failure = Failure(SimpleNamespace(name="origin 2009-12-31"), "R-hat 1.4", 12)
    monkeypatch.setattr(backtest, "run_jobs", lambda *_, **__: ({}, [failure]))
    run = command("--study", study, "--from", 2009, "--to", 2009, "--out", tmp_path / "t.csv")
    assert run.exit_code == 12
    assert "origin 2009-12-31 failed: R-hat 1.4" in run.stderr
    assert not list(tmp_path.iterdir())
