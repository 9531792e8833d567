"""The diagnostics gate: every criterion stops publication, and nothing is written then."""

import math
from dataclasses import replace
from datetime import date

import numpy as np
import pytest
import xarray as xr
from typer.testing import CliRunner

import forecast.inference
from forecast.changes import NOISE
from forecast.cli import app
from forecast.errors import GateError, SpecError
from forecast.inference import Diagnostics, diagnose, load_fit, save_fit
from forecast.ledger import append_rows, record, rows_of
from forecast.prediction import require_mixed
from forecast.publishing import publish
from forecast.report import is_current, make_report, report_path, write_report
from forecast.spec import Gate

GATE = Gate(rhat=1.01, ess=400, divergences=0)
GOOD = Diagnostics(rhat=(1.01, "a"), ess_bulk=(400.0, "b"), ess_tail=(400.0, "c"), divergences=0)


def test_a_fit_at_the_limits_passes():
    assert GOOD.failures(GATE) == []


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"rhat": (1.0101, "baseline[coup]")}, "R-hat 1.0101 of baseline[coup] (at most 1.01)"),
        ({"rhat": (math.nan, "baseline[coup]")}, "R-hat nan of baseline[coup] (at most 1.01)"),
        ({"ess_bulk": (399.4, "beta[x]")}, "bulk ESS 399 of beta[x] (at least 400)"),
        ({"ess_bulk": (math.nan, "beta[x]")}, "bulk ESS nan of beta[x] (at least 400)"),
        ({"ess_tail": (12.0, "beta[y]")}, "tail ESS 12 of beta[y] (at least 400)"),
        ({"ess_tail": (math.nan, "beta[y]")}, "tail ESS nan of beta[y] (at least 400)"),
        ({"divergences": 1}, "1 divergent transitions (at most 0)"),
    ],
)
def test_each_criterion_fails_by_itself(change, message):
    assert replace(GOOD, **change).failures(GATE) == [message]


def test_all_failures_are_named_at_once():
    bad = Diagnostics(rhat=(2.0, "a"), ess_bulk=(3.0, "b"), ess_tail=(4.0, "c"), divergences=5)
    assert len(bad.failures(GATE)) == 4


def chains(rng, shape=()):
    return rng.normal(size=(4, 500, *shape))


def labelled(**variables):
    """Return draws; a variable with a third axis has the causes as labels."""
    causes = ["coup", "uprising", "other_exit"]
    return xr.Dataset(
        {name: (("chain", "draw", *(["cause"] if v.ndim == 3 else [])), v) for name, v in variables.items()},
        coords={"cause": causes},
    )


def test_independent_chains_pass():
    rng = np.random.default_rng(3)
    found = diagnose(labelled(baseline=chains(rng, (3,)), sd=chains(rng)))
    assert 0.99 < found.rhat[0] < 1.01
    assert found.ess_bulk[0] > 1500
    assert found.ess_tail[0] > 1000
    assert found.divergences == 0
    assert found.failures(GATE) == []


def test_a_stuck_chain_is_found_and_its_parameter_named():
    rng = np.random.default_rng(4)
    baseline = chains(rng, (3,))
    baseline[2, :, 1] = 5.0 + 0.01 * baseline[2, :, 1]
    found = diagnose(labelled(baseline=baseline, sd=chains(rng)), 7)
    assert found.rhat[0] > 1.5
    assert found.rhat[1] == found.ess_bulk[1] == "baseline[uprising]"
    assert found.ess_bulk[0] < 20
    assert found.divergences == 7


def test_slow_chains_have_few_effective_draws():
    rng = np.random.default_rng(5)
    slow = np.cumsum(chains(rng), axis=1)
    found = diagnose(labelled(baseline=chains(rng, (3,)), sd=slow))
    assert found.ess_bulk[1] == found.ess_tail[1] == "sd"
    assert any("ESS" in failure for failure in found.failures(GATE))


def test_a_draw_that_is_not_a_number_fails_the_gate():
    rng = np.random.default_rng(6)
    baseline = chains(rng, (3,))
    baseline[0, 3, 2] = np.nan
    found = diagnose(labelled(baseline=baseline, sd=chains(rng)))
    assert found.failures(GATE)
    assert "baseline[other_exit]" in " ".join(found.failures(GATE))


def test_entries_that_are_constant_by_construction_are_left_out():
    rng = np.random.default_rng(7)
    walk = chains(rng, (3,))
    walk[..., 2] = 0.0
    found = diagnose(labelled(period_effect=walk))
    assert math.isfinite(found.rhat[0])
    assert "other_exit" not in found.rhat[1]
    with pytest.raises(SpecError, match="no parameter"):
        diagnose(labelled(period_effect=np.zeros((4, 500, 3))))


@pytest.fixture
def failed(tiny_fit):
    """A fit that passes in all but one divergence."""
    tiny_fit.require_gate()
    return replace(
        tiny_fit,
        spec=tiny_fit.spec.changed({"gate.divergences": 0}),
        diagnostics=replace(tiny_fit.diagnostics, divergences=1),
    )


def nothing_in(folder):
    return [path for path in folder.rglob("*") if path.is_file() and path.name != ".lock"] == []


def test_require_gate_names_failures_and_remedies(failed):
    with pytest.raises(GateError, match=r"1 divergent transitions \(at most 0\).*sampling\.draws") as caught:
        failed.require_gate()
    assert caught.value.exit_code == 12


def test_nothing_is_recorded_when_the_gate_fails(failed, tiny_forecast, tmp_path):
    with pytest.raises(GateError):
        record([tiny_forecast], failed, tmp_path / "reports" / "ledger.csv")
    assert nothing_in(tmp_path)


def test_nothing_is_reported_when_the_gate_fails(failed, tiny_data, tiny_forecast, tmp_path):
    with pytest.raises(GateError):
        write_report(failed, tiny_data, tiny_forecast, tmp_path / "KGZ.html")
    with pytest.raises(GateError):
        make_report(failed, tiny_data, tiny_forecast)
    assert nothing_in(tmp_path)


def test_nothing_is_published_when_the_gate_fails(failed, tiny_data, tiny_forecast, tmp_path):
    with pytest.raises(GateError):
        publish(failed, tiny_data, [tiny_forecast.question], tmp_path, tmp_path)
    assert nothing_in(tmp_path)


def test_nothing_is_published_when_the_gate_fails_though_the_pages_are_there(
    failed, tiny_fit, tiny_data, tiny_forecast, tmp_path
):
    page = report_path(tmp_path, tiny_forecast.question)
    write_report(tiny_fit, tiny_data, tiny_forecast, page)
    assert is_current(failed, tiny_forecast.question, page)
    with pytest.raises(GateError):
        publish(failed, tiny_data, [tiny_forecast.question], tmp_path, tmp_path)


def test_publishing_again_makes_and_records_nothing(tiny_fit, tiny_data, tiny_forecast, tmp_path):
    """Neither the answers that a publication records nor what it splits by cause make its own pages stale."""
    earlier = [{**row, "version": "0"} for row in rows_of(tiny_forecast, tiny_fit, date(2025, 1, 1))]
    append_rows(earlier, tmp_path / "ledger.csv")
    about = (tiny_fit, tiny_data, [tiny_forecast.question], tmp_path, tmp_path)
    first, again = (publish(*about, split=["KGZ"]) for _ in range(2))
    assert (first.reports_made, first.rows_recorded) == (1, 5)
    assert (again.reports_made, again.rows_recorded) == (0, 0)
    assert again.content["KGZ"] == first.content["KGZ"]
    assert first.content["KGZ"]["track_record"]["issued"] == 1
    assert [part["cause"] for part in first.content["KGZ"]["change"]["causes"]] == [NOISE]
    assert (tmp_path / "2024-12-31" / "index.html").exists()


def test_a_probability_on_which_chains_disagree_is_not_published(tiny_fit, tiny_data, tiny_forecast, tmp_path):
    require_mixed(tiny_forecast, tiny_fit.spec.gate)
    strict = replace(tiny_fit, spec=tiny_fit.spec.changed({"gate.rhat": 1.2}))
    strict = replace(strict, diagnostics=replace(strict.diagnostics, rhat=(1.0, "a")))
    apart = tiny_forecast.probability.copy()
    apart[dict(chain=0)] = apart.isel(chain=0) * 0.01
    torn = replace(tiny_forecast, probability=apart)
    with pytest.raises(GateError, match="KGZ.*R-hat"):
        require_mixed(torn, strict.spec.gate)
    with pytest.raises(GateError, match="KGZ"):
        write_report(strict, tiny_data, torn, tmp_path / "KGZ.html")
    with pytest.raises(GateError, match="KGZ"):
        record([torn], strict, tmp_path / "ledger.csv")
    assert nothing_in(tmp_path)


@pytest.mark.parametrize("outcome", [0, 4])
def test_a_probability_that_is_not_a_number_is_not_published(tiny_fit, tiny_forecast, outcome, tmp_path):
    holed = tiny_forecast.probability.copy()
    holed[1, 7, -1, outcome] = np.nan
    with pytest.raises(GateError):
        record([replace(tiny_forecast, probability=holed)], tiny_fit, tmp_path / "ledger.csv")
    assert nothing_in(tmp_path)


VERBS = [
    ["run", "--country", "KGZ"],
    ["report", "--country", "KGZ"],
    ["record", "--country", "KGZ"],
    ["predict", "--country", "KGZ"],
    ["claims", "--country", "KGZ"],
    ["fit"],
]


@pytest.mark.parametrize("verb", VERBS, ids=lambda verb: verb[0])
def test_the_command_line_exits_with_12_and_writes_nothing(verb, failed, tiny_data, tmp_path, monkeypatch):
    from forecast import data, study

    place = study.find_study(study.REPOSITORY)
    monkeypatch.setattr(study, "find_study", lambda folder=None: replace(place, output=tmp_path))
    monkeypatch.setattr(data, "load_data", lambda *_args, **_kwargs: tiny_data)
    monkeypatch.setattr(forecast.inference, "fit_or_load", lambda *args, **kwargs: (failed, True))
    result = CliRunner().invoke(app, verb)
    assert result.exit_code == 12, result.output
    assert "did not pass the diagnostics gate" in result.stderr
    assert nothing_in(tmp_path)


def test_a_saved_fit_comes_back_whole(tiny_fit, tmp_path):
    path = tmp_path / "fits" / "tiny.nc"
    save_fit(tiny_fit, path)
    again = load_fit(path)
    assert again.diagnostics == tiny_fit.diagnostics
    assert again.spec.digest == tiny_fit.spec.digest
    assert again.spec.gate == tiny_fit.spec.gate
    assert again.provenance == tiny_fit.provenance
    xr.testing.assert_equal(again.posterior, tiny_fit.posterior)
    xr.testing.assert_equal(again.design, tiny_fit.design)
    assert [file.name for file in path.parent.iterdir() if file.name != ".lock"] == ["tiny.nc"]
