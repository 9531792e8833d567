"""Scenarios: the answers of predict, warnings where history ends, and tipping points with a known answer."""

import numpy as np
import pytest
from scipy.special import expit, logit
from typer.testing import CliRunner

from forecast import charts, scenarios
from forecast.cli import app
from forecast.errors import SpecError, UsageError
from forecast.prediction import predict, summarise
from forecast.scenarios import find_tipping


@pytest.fixture(scope="module")
def stage(tiny_fit, tiny_data):
    return scenarios.set_stage(tiny_fit, tiny_data, "KGZ", 6)


def test_a_scenario_is_what_predict_answers(stage, tiny_fit, tiny_data):
    table = scenarios.scenario_curve(stage, "elite_division", 3)
    own = table[table["value"] == 0.5].set_index("outcome")
    same = summarise(predict(tiny_fit, tiny_data, "KGZ", 6, {"elite_division": 0.5}))
    np.testing.assert_array_equal(own["probability"], same["probability"])
    np.testing.assert_allclose(table.groupby("value")["probability"].sum(), 1.0)


def test_a_grid_is_tidy_and_becomes_a_tree(stage):
    table = scenarios.scenario_grid(stage, "elite_division", "repression", 2)
    assert len(table) == 4 * 5
    tree = scenarios.as_tree({"grid": table}, {"grid": ["elite_division", "repression"]})
    assert tree["grid"]["probability"].sizes == {"elite_division": 2, "repression": 2, "outcome": 5}
    assert charts.plot_grid(table, "elite_division", "repression").startswith("<svg")


def test_outside_history_the_row_itself_warns(stage):
    low, high = (float(f(stage.data.indicators.query("indicator == 'elite_division'")["value"])) for f in (min, max))
    inside, outside = (scenarios.warn(stage, {"elite_division": value}) for value in (low, high + 0.01))
    assert not inside
    assert "never read" in outside
    curve = scenarios.scenario_curve(stage, "elite_division", 5)
    assert set(curve.loc[curve["value"] > high, "warning"]) != {""}
    assert set(curve.loc[curve["value"].between(low, high), "warning"]) == {""}


def test_a_combination_that_was_never_seen_warns(stage):
    seen = stage.fit.design.isel(row=0)
    pair = ["elite_division", "repression"]
    known = {name: float(seen["centre"].sel(indicator=name) * seen["scale"].sel(indicator=name) + seen["location"].sel(indicator=name)) for name in pair}  # fmt: skip
    assert scenarios.warn(stage, known) == ""
    readings = stage.data.indicators.groupby("indicator")["value"]
    strange = {
        name: float((readings.min() if turn % 2 else readings.max())[name]) for turn, name in enumerate(stage.names)
    }
    assert "no leader-day" in scenarios.warn(stage, strange)


def test_named_scenarios_move_from_the_latest_reading_within_the_range(stage, repository):
    assert len(scenarios.read_scenarios(repository / "models" / "scenarios.toml")) >= 4
    moved = scenarios.Scenario(title="far", move={"repression": 9.0}, set={"elite_division": 0.3})
    assert scenarios.settings_of(stage, moved) == {"elite_division": 0.3, "repression": 1.0}
    table = scenarios.named_scenarios(stage, {"far_off": moved})
    assert list(dict.fromkeys(table["scenario"])) == ["as it stands", "far off"]
    assert charts.plot_intervals(table, "scenario").startswith("<svg")


def test_a_scenario_file_that_is_wrong_is_refused(tmp_path):
    path = tmp_path / "scenarios.toml"
    path.write_text('[a]\ntitle = "x"\nsets = { war_balance = 1 }\n')
    with pytest.raises(SpecError, match="sets"):
        scenarios.read_scenarios(path)


def test_a_scenario_file_in_another_encoding_is_refused(tmp_path):
    (tmp_path / "latin.toml").write_bytes('[a]\ntitle = "Mir für alle"\n'.encode("latin-1"))
    with pytest.raises(SpecError, match="is not TOML"):
        scenarios.read_scenarios(tmp_path / "latin.toml")


def test_what_cannot_be_set_is_refused(stage):
    with pytest.raises(UsageError, match="tenure"):
        scenarios.scenario_curve(stage, "tenure", 3)
    with pytest.raises(UsageError, match="two indicators"):
        scenarios.scenario_grid(stage, "repression", "repression")


@pytest.mark.parametrize("target", [0.2, 0.5])
def test_tipping_finds_the_planted_move(target):
    rng = np.random.default_rng(3)
    slope, root = rng.normal(size=4), rng.normal(size=(4, 4))
    covariance = root @ root.T + 0.5 * np.eye(4)
    found = find_tipping(
        lambda x: expit(-3 + slope @ x), np.zeros(4), covariance, np.full(4, -50.0), np.full(4, 50.0), target
    )
    gap = logit(target) + 3
    variance = slope @ covariance @ slope
    assert found.size == pytest.approx(gap / np.sqrt(variance), rel=1e-3)
    np.testing.assert_allclose(found.end, gap * covariance @ slope / variance, atol=0.02)


def test_tipping_says_when_no_move_does_it():
    found = find_tipping(lambda x: expit(-3 + x[0]), np.zeros(1), np.eye(1), -np.ones(1), np.ones(1), 0.5)
    assert np.isinf(found.size)
    assert found.probability == pytest.approx(expit(-2))


def test_tipping_points_reach_what_they_say(stage, tiny_fit, tiny_data):
    held = scenarios.set_stage(tiny_fit, tiny_data, "KGZ", 6, held=True)
    table = scenarios.tipping_points(held, ["revolution"])
    doubled = table[(table["target"] == scenarios.DOUBLED) & np.isfinite(table["size"])]
    assert len(doubled)
    np.testing.assert_allclose(doubled["reached"], doubled["goal"], rtol=0.05)
    whole = doubled.set_index("indicator")["size"]
    assert whole["all together"] <= whole.min() * 1.01  # all may move, so none alone is nearer
    assert charts.plot_tipping(table).startswith("<svg")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["sensitivity", "everything"], "there is no sensitivity to everything"),
        (["scenario", "no_such_one"], "there is no scenario no_such_one; known are negotiated_ceasefire"),
        (["scenario", "victory", "--tipping"], "ask for one thing at a time"),
        (["scenario", "--grid", "war_balance"], "write two indicators"),
    ],
)
def test_the_command_refuses_what_it_does_not_know_before_anything_is_sampled(arguments, message):
    said = CliRunner().invoke(app, arguments)
    assert said.exit_code == 2
    assert message in said.stderr
