"""Time fits of the world panel: compiling from an empty cache, then two origins of 4 x 1,000 draws, of which the second compiles nothing.

python benchmarks/panel_fit.py PANEL      (a study that `forecast init --panel PANEL --sources DIR` made)
"""

import argparse
import os
import tempfile
import time
from pathlib import Path

ORIGINS = ("2009-12-31", "2010-12-31")


def main(folder: Path) -> None:
    """Print seconds of each step and how well each fit mixed."""
    import numpy as np

    import forecast
    from forecast.density import build_density
    from forecast.inference import sample

    study = forecast.find_study(folder)
    data, spec = forecast.load_data(study.data), forecast.load_spec(study.models / "panel.toml")
    for number, origin in enumerate(ORIGINS):
        design = forecast.build_design(data.as_of(origin), spec)
        start = time.perf_counter()
        density = build_density(design, spec).whitened()
        density.evaluate(density.start(np.random.default_rng(0)))
        compiled, start = time.perf_counter() - start, time.perf_counter()
        _, diagnostics = sample(design, spec)
        seconds = time.perf_counter() - start
        failures = "; ".join(diagnostics.failures(spec.gate)) or "passes the gate"
        print(
            f"{origin}: {design.sizes['row']} rows, {design['exposure'].sum().item():,.0f} leader-years, {density.size} parameters; "
            f"to the first whitened gradient {compiled:.1f} s ({'empty cache' if not number else 'nothing to compile'}), "
            f"{spec.sampling.chains} x {spec.sampling.draws} draws and diagnostics {seconds:.1f} s wall: {failures}",
            flush=True,
        )


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("panel", type=Path)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as cache:
        os.environ["NUMBA_CACHE_DIR"] = cache
        main(given.panel)
