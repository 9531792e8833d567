"""Compare one gradient by the sampled density with plain PyMC, on the same points, and time what compiling costs.

The model is the default one, or with `--panel ROWS` that of a simulated panel.
"""

import argparse
import os
import tempfile
import time

CALLS = 300


def milliseconds(function, points):
    """Return the processor time of one call: the best of several rounds, for a busy machine only adds to it."""
    function(points[0])
    rounds = []
    for _ in range(7):
        start = time.process_time()
        for call in range(CALLS // 7):
            function(points[call % len(points)])
        rounds.append((time.process_time() - start) / (CALLS // 7) * 1000)
    return min(rounds)


def default_design():
    """Return the design of the default study under the default model, and the spec."""
    import forecast

    study = forecast.find_study()
    spec = forecast.load_spec(study.models / "default.toml")
    return forecast.build_design(forecast.load_data(study.data), spec), spec


def compare(design, spec):
    """Print the times."""
    import numpy as np
    import pytensor

    import forecast
    from forecast.density import build_density

    start = time.process_time()
    single = build_density(design, spec)
    rng = np.random.default_rng(1)
    points = [single.start(rng) for _ in range(20)]
    single.evaluate(points[0])
    compiled = time.process_time() - start
    exact = build_density(design, spec, single=False)
    model = forecast.build_model(design, spec)
    start = time.process_time()
    with pytensor.config.change_flags(mode="NUMBA"):
        logp = model.logp_dlogp_function(ravel_inputs=True)
    logp.set_extra_values({})
    logp(points[0])
    gap = np.abs(exact.evaluate(points[0])[1] - single.evaluate(points[0])[1]).max()
    print(
        f"{design.sizes['row']} rows, {single.size} parameters; single precision moves a gradient by at most {gap:.1e}\n"
        f"compiling from an empty cache: {compiled:.1f} s, plain PyMC {time.process_time() - start:.1f} s"
    )
    times = {
        "plain PyMC": milliseconds(logp, points),
        "double precision": milliseconds(exact.evaluate, points),
        "single precision": milliseconds(single.evaluate, points),
    }
    for name, value in times.items():
        print(f"{name:<18} {value:7.3f} ms   {times['plain PyMC'] / value:5.2f} x")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--panel", type=int, metavar="ROWS")
    panel = parser.parse_args().panel
    with tempfile.TemporaryDirectory() as folder:
        os.environ["NUMBA_CACHE_DIR"] = folder
        if panel:
            from panel import simulate_panel

            compare(*simulate_panel(panel))
        else:
            compare(*default_design())
