"""Time fits of the world panel: compiling from an empty cache, then two origins, of which the second compiles nothing.

    python benchmarks/panel_fit.py PANEL      (a study that `forecast init --panel PANEL --sources DIR` made)

With --plain each origin is also sampled without `whitening`, and the last lines compare gradients and effective draws.
"""

import argparse
import os
import tempfile
import time
from dataclasses import replace
from itertools import count
from pathlib import Path
from typing import Any

ORIGINS = ("2009-12-31", "2010-12-31")


def main(folder: Path, *, plain: bool) -> None:
    """Print seconds of each step, gradients, and how well each fit mixed."""
    import forecast
    from forecast import density

    study = forecast.find_study(folder)
    data, spec = forecast.load_data(study.data), forecast.load_spec(study.models / "panel.toml")
    whitened = density.Density.whitened
    for origin in ORIGINS:
        design = forecast.build_design(data.as_of(origin), spec)
        (size, cold), (_, warm) = (first_gradient(whitened, design, spec) for _ in range(2))
        print(f"{origin}: {design.sizes['row']} rows, {design['exposure'].sum().item():,.0f} leader-years, {size} parameters; "
              f"to the first whitened gradient {cold:.1f} s, once more {warm:.1f} s, so compiling takes {cold - warm:.1f} s", flush=True)  # fmt: skip
        effective = describe("whitened", whitened, design, spec)
        if plain:
            ratio = effective / describe("plain", lambda same: same, design, spec)
            print(f"  effective draws for a gradient, of the parameter with fewest: {ratio:.1f} times")


def first_gradient(coordinates: Any, design: Any, spec: Any) -> tuple[int, float]:
    """Return how many parameters a design has, and the seconds until there is a gradient in some coordinates."""
    import numpy as np

    from forecast.density import build_density

    start = time.perf_counter()
    ready = coordinates(build_density(design, spec))
    ready.evaluate(ready.start(np.random.default_rng(0)))
    return ready.size, time.perf_counter() - start


def describe(name: str, coordinates: Any, design: Any, spec: Any) -> float:
    """Sample in some coordinates, print how it went, and return effective draws for a gradient."""
    from forecast import density
    from forecast.inference import sample

    calls = count()

    def counted(ready: Any) -> Any:
        chosen = coordinates(ready)

        def evaluate(point: Any) -> Any:
            next(calls)  # in one step: two chains run at once
            return chosen.evaluate(point)

        return replace(chosen, evaluate=evaluate)

    density.Density.whitened = counted
    start = time.perf_counter()
    _, found = sample(design, spec)
    gradients, settings, least = next(calls), spec.sampling, min(found.ess_bulk, found.ess_tail)
    print(f"  {name}: {settings.chains} x ({settings.tune} + {settings.draws}) draws and diagnostics {time.perf_counter() - start:.1f} s wall, "
          f"{gradients:,} gradients, fewest effective draws {least[0]:.0f} ({least[1]}): "
          f"{'; '.join(found.failures(spec.gate)) or 'passes the gate'}", flush=True)  # fmt: skip
    return least[0] / gradients


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("panel", type=Path)
    parser.add_argument("--plain", action="store_true")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as cache:
        os.environ["NUMBA_CACHE_DIR"] = cache
        main(given.panel, plain=given.plain)
