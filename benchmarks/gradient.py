"""Compare one gradient of the default model by the fused pass with plain PyMC, on the same points."""

import time

import numpy as np
import pytensor

import forecast

CALLS = 300


def compiled(design, spec, *, fused):
    """Return a function of a point that gives log-probability and gradient, by Numba."""
    model = forecast.build_model(design, spec, fused=fused)
    with pytensor.config.change_flags(mode="NUMBA"):
        return model, model.compile_fn([model.logp(), model.dlogp()], inputs=model.value_vars, on_unused_input="ignore")


def milliseconds(function, point):
    """Return the time of one call."""
    function(point)
    start = time.perf_counter()
    for _ in range(CALLS):
        function(point)
    return (time.perf_counter() - start) / CALLS * 1000


if __name__ == "__main__":
    study = forecast.find_study()
    spec = forecast.load_spec(study.models / "default.toml")
    design = forecast.build_design(forecast.load_data(study.data), spec)
    model, fused = compiled(design, spec, fused=True)
    _, plain = compiled(design, spec, fused=False)
    rng = np.random.default_rng(1)
    point = {
        name: np.asarray(value + rng.normal(size=np.shape(value)) * 0.2)
        for name, value in model.initial_point().items()
    }
    gap = np.abs(fused(point)[1] - plain(point)[1]).max()
    times = {"plain PyMC": milliseconds(plain, point), "fused pass": milliseconds(fused, point)}
    print(
        f"{design.sizes['row']} rows, {len(fused(point)[1])} parameters; largest difference of the gradients {gap:.1e}"
    )
    for name, value in times.items():
        print(f"{name:<12} {value:7.3f} ms   {times['plain PyMC'] / value:5.2f} x")
