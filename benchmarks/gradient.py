"""Compare one gradient of the default model by the sampled density with plain PyMC, on the same points."""

import time

import numpy as np
import pytensor

import forecast
from forecast.density import build_density

CALLS = 300


def milliseconds(function, points):
    """Return the processor time of one call."""
    function(points[0])
    start = time.process_time()
    for call in range(CALLS):
        function(points[call % len(points)])
    return (time.process_time() - start) / CALLS * 1000


if __name__ == "__main__":
    study = forecast.find_study()
    spec = forecast.load_spec(study.models / "default.toml")
    design = forecast.build_design(forecast.load_data(study.data), spec)
    exact, single = build_density(design, spec, single=False), build_density(design, spec)
    model = forecast.build_model(design, spec)
    with pytensor.config.change_flags(mode="NUMBA"):
        logp = model.logp_dlogp_function(ravel_inputs=True)
    logp.set_extra_values({})
    rng = np.random.default_rng(1)
    points = [single.start(rng) for _ in range(20)]
    gap = np.abs(exact.evaluate(points[0])[1] - single.evaluate(points[0])[1]).max()
    times = {
        "plain PyMC": milliseconds(logp, points),
        "double precision": milliseconds(exact.evaluate, points),
        "single precision": milliseconds(single.evaluate, points),
    }
    print(
        f"{design.sizes['row']} rows, {single.size} parameters; single precision moves a gradient by at most {gap:.1e}"
    )
    for name, value in times.items():
        print(f"{name:<18} {value:7.3f} ms   {times['plain PyMC'] / value:5.2f} x")
