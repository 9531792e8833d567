"""A part of the family of specs on Dask clusters of one and two workers, and on two of which one is killed in the middle.

python benchmarks/multiverse.py [--specs 6]

Prints seconds, whether all results are the same to the last digit, and that the run with the kill completed. Each fit is as small as it
can be and passes any gate: what is measured is the engine. Needs the extra dask and a kept default fit (`forecast fit`).
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import tempfile
import threading
import time
from pathlib import Path

import distributed

import forecast
from forecast.engine import Where
from forecast.inference import fit_path, load_fit
from forecast.multiverse import Family, Multiverse, read_family, run_multiverse
from forecast.sensitivity import Lab
from forecast.spec import Gate, Sampling

QUICK = Sampling(draws=40, tune=60, chains=2, target_accept=0.8)
ANY = Gate(rhat=100.0, ess=0.1, divergences=10_000)


def small(family: Family, specs: int) -> Family:
    """Return a family whose first dimensions are kept until so many specs are reached."""
    kept = dict(family.dimensions)
    while len(Family(origin=family.origin, dimensions=kept).patches) > specs and len(kept) > 1:
        kept.pop(next(reversed(kept)))
    return Family(origin=family.origin, dimensions=kept)


def timed(lab: Lab, family: Family, workers: int, *, kill: bool) -> tuple[float, Multiverse]:
    """Return seconds and results of a family on a cluster of its own; the workers have imported everything before."""
    with (
        tempfile.TemporaryDirectory() as folder,
        distributed.LocalCluster(n_workers=workers, threads_per_worker=1, dashboard_address=None) as cluster,
    ):
        with distributed.Client(cluster) as client:
            client.run(_warm)
            pids = list(client.run(os.getpid).values())
        if kill:
            threading.Thread(target=_kill_in_the_middle, args=(pids[0], Path(folder)), daemon=True).start()
        begun = time.monotonic()
        found = run_multiverse(
            lab, family, Path(folder), Where(dask=cluster.scheduler_address), sampling=QUICK, gate=ANY
        )
        return time.monotonic() - begun, found


def _warm() -> None:
    import arviz_stats  # noqa: F401
    import nutpie  # noqa: F401

    import forecast.multiverse  # noqa: F401


def _kill_in_the_middle(pid: int, folder: Path) -> None:
    while len(list(folder.glob("*.json"))) < 2:
        time.sleep(0.2)
    os.kill(pid, signal.SIGKILL)
    print("killed a worker", flush=True)


def main() -> None:
    """Run the three and compare."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--specs", type=int, default=6)
    count = parser.parse_args().specs
    study = forecast.find_study()
    data, spec = forecast.load_data(study.data), forecast.load_spec(study.models / "default.toml")
    lab = Lab(load_fit(fit_path(study.build, data, spec)), data)
    family = small(read_family(study.models / "multiverse.toml"), count)
    print(f"{len(family.patches)} specs, two fits each, on {os.cpu_count()} cores")
    seconds, texts = {}, []
    for label, workers, kill in (("one worker", 1, False), ("two workers", 2, False), ("two, one killed", 2, True)):
        seconds[label], found = timed(lab, family, workers, kill=kill)
        texts.append(json.dumps([found.table.to_csv(index=False), found.lpd.to_csv()]))
        print(f"{label}: {seconds[label]:.1f} s, {len(found.lpd)} specs done, {len(found.failures)} failed", flush=True)
    print(f"two workers are {seconds['one worker'] / seconds['two workers']:.2f} times as fast as one")
    print("all results are the same" if len(set(texts)) == 1 else "THE RESULTS DIFFER")


if __name__ == "__main__":
    main()
