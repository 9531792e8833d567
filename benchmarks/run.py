"""Time the main job on a fresh copy of the default study: from cold caches, and again with nothing changed."""

import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import forecast


def timed(study: str, environment: dict[str, str]) -> float:
    """Return the wall time of one `forecast run`."""
    start = time.perf_counter()
    subprocess.run(
        [sys.executable, "-m", "forecast", "run", "--study", study],
        check=True,
        env=environment,
        stdout=subprocess.DEVNULL,
    )
    return time.perf_counter() - start


if __name__ == "__main__":
    source = forecast.find_study().source
    with tempfile.TemporaryDirectory() as folder:
        for name in ("data", "models"):
            (Path(folder) / name).symlink_to(source / name)
        cold_caches = {"PYTENSOR_FLAGS": f"base_compiledir={folder}/compiled", "NUMBA_CACHE_DIR": f"{folder}/numba"}
        environment = {**os.environ, **cold_caches}
        cold, again = timed(folder, environment), timed(folder, environment)
    peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024**2
    print(f"cold caches {cold:.0f} s, nothing changed {again:.1f} s, largest process {peak:.2f} GiB")
