"""Whitened coordinates: exact where the posterior given the spreads is normal, and everywhere a mere change of variables."""

from functools import partial

import numpy as np
import pytest
import xarray as xr
from panel import simulate_panel
from scipy.stats import multivariate_normal

from forecast.density import build_density
from forecast.design import build_design
from forecast.inference import fit, sample
from forecast.whitening import whiten

EFFECTS, READINGS = 6, 9


class Levels:
    """Standardised effects of one level and one effect of its own, read with normal errors: everything given the spread is known in closed form.

    Coordinates: log spread, effects z (z times the spread is an effect), and a base rate.
    """

    def __init__(self, seed: int):
        rng = np.random.default_rng(seed)
        self.design, self.tied = rng.normal(size=(READINGS, EFFECTS)), rng.normal(size=READINGS)
        self.readings = rng.normal(scale=3.0, size=READINGS)

    def __call__(self, position):
        spread, effects, base = np.exp(position[0]), position[1:-1], position[-1]
        rest = self.readings - spread * self.design @ effects - base * self.tied
        value = -(rest @ rest + effects @ effects + base**2 + position[0] ** 2) / 2
        pull = spread * self.design.T @ rest
        gradient = np.concatenate([[effects @ pull - position[0]], pull - effects, [self.tied @ rest - base]])
        return value, gradient

    def log_posterior(self, log_spread):
        """Return the log-density of the log spread, effects and base rate integrated out."""
        covariance = np.eye(READINGS) + np.exp(2 * log_spread) * self.design @ self.design.T
        covariance += np.outer(self.tied, self.tied)
        return multivariate_normal(cov=covariance).logpdf(self.readings) - log_spread**2 / 2


@pytest.fixture(params=range(3))
def levels(request):
    return Levels(request.param)


def whitened(levels, *, base_shared=True):
    size = EFFECTS + 2
    owner, shared = np.full(size, -1), np.full(size, True)
    owner[1:-1], shared[0], shared[-1] = 0, False, base_shared
    found = whiten(levels, np.zeros(size), np.ones(size), owner, shared)
    return found, partial(found.evaluate, levels)


@pytest.mark.parametrize("log_spread", [-3.0, -1.0, 0.0, 1.0, 3.0])
def test_given_any_spread_the_posterior_is_unit_normal(levels, log_spread):
    found, evaluate = whitened(levels)
    for point in np.random.default_rng(2).normal(size=(5, EFFECTS + 2)):
        point[0] = log_spread
        np.testing.assert_allclose(evaluate(point)[1][1:], -point[1:], atol=2e-3)
        assert found.positions(point)[0] == pytest.approx(log_spread)


def test_the_jacobian_leaves_the_spreads_own_posterior(levels):
    """In coordinates that are unit normal given any spread, the density of the spread can be read off the middle."""
    _, evaluate = whitened(levels)
    middle = np.zeros(EFFECTS + 2)
    heights = []
    for log_spread in (-2.0, 0.0, 1.5):
        middle[0] = log_spread
        heights.append(evaluate(middle)[0] - levels.log_posterior(log_spread))
    np.testing.assert_allclose(heights, heights[0], atol=1e-4)


@pytest.mark.parametrize("base_shared", [True, False])
def test_gradients_are_those_of_the_value(levels, base_shared):
    _, evaluate = whitened(levels, base_shared=base_shared)
    for point in np.random.default_rng(3).normal(size=(4, EFFECTS + 2)):
        numeric = [(evaluate(point + step)[0] - evaluate(point - step)[0]) / 2e-5 for step in 1e-5 * np.eye(len(point))]
        np.testing.assert_allclose(evaluate(point)[1], numeric, rtol=1e-6, atol=1e-6)


def test_positions_come_back_in_the_shape_of_the_points(levels):
    found, evaluate = whitened(levels)
    points = np.random.default_rng(4).normal(size=(2, 3, EFFECTS + 2))
    positions = found.positions(points)
    assert positions.shape == points.shape
    one = found.positions(points[1, 2])
    np.testing.assert_array_equal(positions[1, 2], one)
    moved = found.positions(points[1, 2] + 1e-6)
    value = levels(one)[0]
    assert evaluate(points[1, 2])[0] - value == pytest.approx(
        evaluate(points[1, 2] + 1e-6)[0] - levels(moved)[0], abs=1e-4
    )


def test_a_function_that_is_not_concave_still_gets_coordinates():
    def saddle(position):
        return np.cos(3 * position).sum(), -3 * np.sin(3 * position)

    found = whiten(saddle, np.full(3, 1.0), np.ones(3), np.full(3, -1), np.full(3, True))
    assert np.isfinite(found.positions(np.ones(3))).all()


@pytest.fixture(scope="module")
def panel():
    design, spec = simulate_panel(1500)
    return design, spec.changed({"sampling.draws": 300, "sampling.tune": 300, "sampling.chains": 2})


def test_a_panels_whitened_density_is_a_change_of_variables(panel):
    density = build_density(*panel, single=False)
    changed = density.whitened()
    point, rng = changed.start(np.random.default_rng(5)), np.random.default_rng(6)
    gradient = changed.evaluate(point)[1]
    for i in rng.choice(density.size, 60, replace=False):
        step = np.zeros(density.size)
        step[i] = 1e-4
        numeric = (changed.evaluate(point + step)[0] - changed.evaluate(point - step)[0]) / 2e-4
        assert gradient[i] == pytest.approx(numeric, rel=1e-5, abs=1e-5)
    named = changed.name_draws(point[None, None])
    plain = density.name_draws(changed.given.positions(point)[None, None])
    assert named.identical(plain)


def test_each_effect_of_a_level_hangs_on_the_spread_of_its_cause(panel):
    """A wrong owner would only make sampling slow, so that no other test sees it."""
    density = build_density(*panel)
    axes, start, place = density.whitened().given.axes, {}, 0
    for block in density.blocks:
        start[block.name], place = place, place + block.mean.size
    owned = {spread: (begin, end) for spread, begin, end in zip(axes.spread, axes.begin, axes.end, strict=True)}
    for block in density.blocks:
        if block.name.endswith("_effect_z"):
            levels = block.mean.shape[1]
            for row in range(len(block.mean)):
                first = start[block.name] + row * levels
                assert owned[start[block.name.replace("_z", "_sd")] + row] == (first, first + levels)
    assert len(owned) == 3 * 3 + 2


def test_a_panels_posterior_is_the_same_in_both_coordinates(panel, monkeypatch):
    import arviz_stats

    design, spec = panel
    with_it, _ = sample(design, spec)
    monkeypatch.setattr("forecast.density.Density.whitened", lambda density: density)
    without, _ = sample(design, spec)
    for name in ("baseline", "beta", "period_effect_sd", "group_effect_sd", "country_effect_sd", "group_effect"):
        a, b = with_it[name], without[name]
        error = np.hypot(*(x.std(("chain", "draw")) / np.sqrt(arviz_stats.ess(x)) for x in (a, b)))
        assert (np.abs(a.mean(("chain", "draw")) - b.mean(("chain", "draw"))) < 4.5 * error).all(), name


class ChosenError(Exception):
    """Raised in place of sampling, with the coordinates that were chosen."""


@pytest.fixture
def choosing(monkeypatch):
    def choose(name):
        def stop(_density, *_posterior):
            raise ChosenError(name)

        return stop

    for name in ("whitened", "warmed"):
        monkeypatch.setattr(f"forecast.density.Density.{name}", choose(name))


@pytest.mark.usefixtures("choosing")
def test_a_design_without_coding_errors_is_whitened_even_where_an_earlier_posterior_is_at_hand(panel):
    design, spec = panel
    with pytest.raises(ChosenError, match="whitened"):
        sample(design, spec)
    with pytest.raises(ChosenError, match="whitened"):
        fit(None, spec, design=design, warm=xr.Dataset())


@pytest.mark.usefixtures("choosing")
def test_a_design_with_coding_errors_is_warmed_and_never_whitened(real_data, restricted, default_spec):
    data = restricted(real_data, ["EST"])
    spec = default_spec.changed({"sampling.draws": 10, "sampling.tune": 10, "sampling.chains": 2})
    with pytest.raises(ChosenError, match="warmed"):
        fit(data, spec, warm=xr.Dataset())
    sample(build_design(data, spec), spec)  # in plain coordinates
