"""The sampled density is the model that `build_model` states: value and gradient, for every form of spec."""

import os
import subprocess
import sys

import numpy as np
import pytest
from panel import simulate_panel

from forecast import kernel
from forecast.density import build_density, lay_out_rows
from forecast.design import build_design
from forecast.hazards import build_stages
from forecast.model import build_model
from forecast.schema import CAUSES

FORMS = {"plain": None, "ridge": {"form": "ridge", "scale": 0.7}, "horseshoe": {"form": "horseshoe", "scale": 0.2}}


@pytest.fixture(scope="module")
def data(real_data, restricted):
    """Three countries with war, group slopes and a challenge that goes on."""
    return restricted(real_data, ["GEO", "EST", "TJK"]).as_of("2003-11-15")


@pytest.fixture(scope="module", params=FORMS)
def statements(request, data, default_spec):
    """Return the density and PyMC's statement of one model, the latter as a function of named values."""
    spec = default_spec.changed({"onset.shrinkage": FORMS[request.param], "result.shrinkage": FORMS[request.param]})
    if request.param == "ridge":
        spec = spec.changed(
            {
                "onset.country_sd": {"mean": 0.3, "sd": 0.1},
                "onset.drift": {cause: {"mean": -0.2, "sd": 0.1} for cause in CAUSES},
                "result.log_days_sd": {"mean": 1.3, "sd": 0.4},
            }
        )
    design = build_design(data, spec)
    return design, spec, *state(design, spec)


def state(design, spec):
    """Return PyMC's statement of a model, and its log-density and gradient as a function of named values."""
    model = build_model(design, spec)
    names = [model.values_to_rvs[value].name for value in model.value_vars]
    compiled = model.compile_fn([model.logp(), model.dlogp()], inputs=model.value_vars, mode="FAST_COMPILE", point_fn=False)  # fmt: skip

    def stated(parts):
        value, gradient = compiled(*(parts[name] for name in names))
        edges = np.cumsum([parts[name].size for name in names])[:-1]
        return float(value), dict(zip(names, np.split(gradient, edges), strict=True))

    return model, stated


def split(density, model, position):
    """Return the parts of a vector of coordinates by name, in the order of PyMC's dimensions."""
    parts, place = {}, 0
    for block in density.blocks:
        part = position[place : place + block.mean.size].reshape(block.mean.shape)
        place += block.mean.size
        if part.size:
            order = [block.dims.index(dim) for dim in model.named_vars_to_dims[block.name]]
            parts[block.name] = part.transpose(order)
    return parts


def test_the_study_shows_all_that_the_density_does(statements):
    design, *_ = statements
    assert {"failed", "removed"} <= {
        ("failed", "concession", "removed")[r] for r in design["result"].to_numpy() if r >= 0
    }
    assert (~design["ended"]).any()
    assert design.sizes["slope"] == 5
    assert design.sizes["row"] > 200


def test_value_and_gradient_are_those_of_the_stated_model(statements):
    agree(*statements)


def test_without_coding_errors_nothing_moves_and_the_statement_is_the_same():
    """Terms are then all static, and the code for others is left out of what is compiled."""
    design, spec = simulate_panel(400)
    assert lay_out_rows(design, build_stages(design, spec)).moving is None
    agree(design, spec, *state(design, spec))


def agree(design, spec, model, stated):
    """Log-densities differ by one constant, gradients not at all, wherever one looks; every coordinate moves them."""
    density, rng = build_density(design, spec, single=False), np.random.default_rng(11)
    constants, moved = [], []
    for scale in (0.0, 0.3, 1.0):
        position = density.start(rng) + scale * rng.normal(size=density.size)
        value, gradient = density.evaluate(position)
        expected, by_name = stated(split(density, model, position))
        constants.append(value - expected)
        for name, part in split(density, model, gradient).items():
            np.testing.assert_allclose(part.ravel(), by_name[name], rtol=1e-7, atol=1e-9 * np.abs(gradient).max())
        moved.append(gradient)
    np.testing.assert_allclose(constants, constants[0], rtol=1e-10, atol=1e-7)
    assert (np.abs(moved[1] - moved[2]) > 1e-9).mean() > 0.99


def test_single_precision_differs_by_less_than_a_sampler_notices(statements):
    design, spec, *_ = statements
    exact, fast = build_density(design, spec, single=False), build_density(design, spec)
    rng = np.random.default_rng(12)
    for _ in range(5):
        position = exact.start(rng)
        (a, da), (b, db) = exact.evaluate(position), fast.evaluate(position)
        assert abs(a - b) < 1e-3
        np.testing.assert_allclose(db, da, rtol=1e-4, atol=1e-5 * np.abs(da).max())


def test_whitened_coordinates_are_a_change_of_variables_for_every_form_of_spec(statements):
    """The gradient is that of the value, of spreads and of every kind of block."""
    design, spec, *_ = statements
    density, rng = build_density(design, spec, single=False), np.random.default_rng(14)
    changed = density.whitened()
    ends = np.cumsum([0, *(block.mean.size for block in density.blocks)])
    firsts = [start for start, block in zip(ends, density.blocks, strict=False) if block.mean.size]
    point = 0.5 * changed.start(rng)
    gradient = changed.evaluate(point)[1]
    for i in {*firsts, *rng.integers(density.size, size=20)}:
        step = np.zeros(density.size)
        step[i] = 1e-5
        numeric = (changed.evaluate(point + step)[0] - changed.evaluate(point - step)[0]) / 2e-5
        assert gradient[i] == pytest.approx(numeric, rel=1e-4, abs=1e-4)


def test_named_draws_are_the_models_deterministic_values(statements):
    design, spec, model, _ = statements
    density, rng = build_density(design, spec, single=False), np.random.default_rng(13)
    position = density.start(rng)
    named = density.name_draws(position[None, None]).isel(chain=0, draw=0)
    point = split(density, model, position)
    wanted = [variable for variable in model.deterministics if variable.name in named]
    values = {model.rvs_to_values[model[name]]: part for name, part in point.items()}
    replaced = model.replace_rvs_by_values(wanted)
    for variable, graph in zip(wanted, replaced, strict=True):
        np.testing.assert_allclose(
            named[variable.name],
            graph.eval(values, mode="FAST_COMPILE", on_unused_input="ignore"),
            rtol=1e-10,
            atol=1e-12,
        )
        assert named[variable.name].dims == model.named_vars_to_dims[variable.name]
    assert len(wanted) >= 6


@pytest.mark.parametrize("precision", [np.float32, np.float64])
def test_the_exponential_is_exact_to_its_precision_and_never_overflows(precision):
    x = np.linspace(-80, 80, 2001).astype(precision)
    found = np.array([kernel.exp_single(v) if precision is np.float32 else kernel.exp_double(v) for v in x])
    np.testing.assert_allclose(found, np.exp(x.astype(float)), rtol=5e-7 if precision is np.float32 else 3e-15)
    assert np.isfinite(kernel.exp_single(np.float32(1e6)))
    assert np.isfinite(kernel.exp_double(1e6))


@pytest.mark.parametrize("z", [-8.0, -1.0, 0.0, 3.0, 11.9, 12.1, 30.0])
def test_the_tail_of_the_normal(z):
    from scipy.stats import norm

    value, slope = kernel.log_upper_tail(z)
    assert value == pytest.approx(norm.logsf(z), rel=1e-6)
    assert slope == pytest.approx(-np.exp(norm.logpdf(z) - norm.logsf(z)), rel=1e-5)


BITS = """
import hashlib, sys
import numpy as np
import forecast
from forecast.density import build_density
study = forecast.find_study(sys.argv[1])
spec = forecast.load_spec(study.models / "default.toml")
density = build_density(forecast.build_design(forecast.load_data(study.data), spec), spec)
rng = np.random.default_rng(1)
whitened = density.whitened()
values = [one.evaluate(rng.normal(scale=0.5, size=one.size)) for one in (density, whitened) for _ in range(10)]
print(hashlib.sha256(b"".join(np.float64(v).tobytes() + g.tobytes() for v, g in values)).hexdigest())
"""


def test_freshly_compiled_and_kept_code_give_the_same_bits(repository, tmp_path):
    """A chain follows the last bit, so a seed means one run only if both do."""
    environment = {**os.environ, "NUMBA_CACHE_DIR": str(tmp_path)}
    command = [sys.executable, "-c", BITS, str(repository)]
    first, again = (
        subprocess.run(command, env=environment, capture_output=True, text=True, check=True).stdout for _ in range(2)
    )
    assert list(tmp_path.rglob("*.nbc"))
    assert first == again
