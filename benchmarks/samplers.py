"""Compare samplers on one posterior: effective draws per second of processor time, in one run, with means checked.

The model is that of `forecast.model.build_model` on a simulated panel, both stages. Each contestant runs in a process of
its own, on one thread, its chains one after the other, with the same numbers of draws and the same target
acceptance. Counted are the effective draws (bulk) of the sampled parameter that has fewest, and the processor time of warm-up and draws;
building and compiling are left out. A contestant that is not installed is named and left out.

    pip install -e '.[benchmarks]'      (PyStan needs Python 3.12 and a C++ compiler)
    python benchmarks/samplers.py
"""

import argparse
import importlib.util
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
from panel import simulate_panel

from forecast.schema import CAUSES, KINDS, RESULTS

NAMES = [
    *("baseline", "period_effect_sd", "period_effect_z", "group_effect_sd", "group_effect_z", "country_effect_sd"),
    *("country_effect_z", "beta", "failed_cut", "concession_gap", "result_group_effect_sd", "result_group_effect_z"),
    *("result_beta", "log_days", "log_days_sd", "removal_log_days"),
]
LEVELS = ("period", "group", "country")
TARGET = 0.8
ONE_THREAD = {
    **dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS"), "1"),
    "XLA_FLAGS": "--xla_cpu_multi_thread_eigen=false intra_op_parallelism_threads=1",
}

Draws = dict[str, Any]  # by name of the parameter: chain x draw x ...


def run_ours(design: Any, spec: Any, sizes: Any) -> tuple[Draws, float]:
    """Sample through `forecast.density`."""
    from forecast import inference
    from forecast.density import build_density

    density = build_density(design, spec)
    density.evaluate(density.start(np.random.default_rng(0)))
    inference.CORES = 1
    inference.diagnose = lambda *_: None  # not sampling
    start = time.process_time()
    posterior, _ = inference.sample(design, spec.with_sampling(_settings(spec, sizes)))
    seconds = time.process_time() - start
    levels_first = {
        name: posterior[name].transpose("chain", "draw", *LEVELS, ..., missing_dims="ignore") for name in NAMES
    }
    return {name: values.to_numpy() for name, values in levels_first.items()}, seconds


def _settings(spec: Any, sizes: Any) -> Any:
    values = {"draws": sizes.draws, "tune": sizes.tune, "chains": sizes.chains, "target_accept": TARGET}
    return spec.sampling.model_copy(update={**values, "seed": sizes.seed})


def run_nutpie(design: Any, spec: Any, sizes: Any) -> tuple[Draws, float]:
    """Sample the plain PyMC model with nutpie."""
    import nutpie

    from forecast.model import build_model

    model = nutpie.compile_pymc_model(build_model(design, spec))
    start = time.process_time()
    tree = nutpie.sample(
        model,
        draws=sizes.draws,
        tune=sizes.tune,
        chains=sizes.chains,
        cores=1,
        seed=sizes.seed,
        target_accept=TARGET,
        progress_bar=False,
        save_warmup=False,
    )
    return {name: tree["posterior"][name].to_numpy() for name in NAMES}, time.process_time() - start


def run_pymc(design: Any, spec: Any, sizes: Any) -> tuple[Draws, float]:
    """Sample the plain PyMC model with PyMC's own NUTS; where nutpie is installed, PyMC takes that by default."""
    import pymc as pm

    from forecast.model import build_model

    with build_model(design, spec):
        points, step = pm.init_nuts(
            init="jitter+adapt_diag",
            chains=sizes.chains,
            random_seed=sizes.seed,
            target_accept=TARGET,
            progressbar=False,
            tune=sizes.tune,
        )
        start = time.process_time()
        tree = pm.sample(
            draws=sizes.draws,
            tune=sizes.tune,
            chains=sizes.chains,
            cores=1,
            nuts_sampler="pymc",
            step=step,
            initvals=points,
            random_seed=sizes.seed,
            progressbar=False,
            compute_convergence_checks=False,
        )
    return {name: tree["posterior"][name].to_numpy() for name in NAMES}, time.process_time() - start


def run_numpyro(design: Any, spec: Any, sizes: Any) -> tuple[Draws, float]:
    """Sample a model written in NumPyro; the first chain compiles, so the others stand for all."""
    import jax
    from numpyro.infer import MCMC, NUTS

    data = _facts(design, spec)
    mcmc = MCMC(
        NUTS(_numpyro_model, target_accept_prob=TARGET),
        num_warmup=sizes.tune,
        num_samples=sizes.draws,
        num_chains=1,
        progress_bar=False,
    )
    chains, times = [], []
    for key in jax.random.split(jax.random.key(sizes.seed), sizes.chains):
        start = time.process_time()
        mcmc.run(key, data)
        chains.append({name: np.asarray(values) for name, values in mcmc.get_samples().items()})
        times.append(time.process_time() - start)
    return {name: np.stack([chain[name] for chain in chains]) for name in NAMES}, np.mean(times[1:]) * sizes.chains


def _numpyro_model(data: Any) -> None:
    import jax.numpy as jnp
    import numpyro
    import numpyro.distributions as dist

    def normal(name: str, mean: Any, sd: Any, *shape: int) -> Any:
        return numpyro.sample(name, dist.Normal(mean, sd).expand(shape).to_event(len(shape)))

    def levels(name: str, scale: float, size: int, of: int) -> Any:
        sd = numpyro.sample(f"{name}_sd", dist.HalfNormal(scale).expand([of]).to_event(1))
        return sd * normal(f"{name}_z", 0.0, 1.0, size, of)

    causes, kinds = len(CAUSES), len(KINDS)
    kind, result = data["kind"], data["result"]
    baseline = normal("baseline", data["baseline_mean"], data["baseline_sd"], causes)
    walk = jnp.cumsum(levels("period_effect", 0.3, data["P"], causes), axis=0)
    group, country = levels("group_effect", 0.5, data["G"], causes), levels("country_effect", 0.5, data["J"], causes)
    beta = normal("beta", 0.0, 0.5, data["K"], causes)
    rate = baseline + (walk - walk[-1])[data["period"]] + group[data["group"]] + country[data["country"]]
    rate += data["x"] @ beta
    numpyro.factor("onset", (data["events"] * rate).sum() - jnp.exp(data["log_exposure"][:, None] + rate).sum())
    low = normal("failed_cut", 0.0, 1.0, kinds)
    gap = numpyro.sample("concession_gap", dist.TruncatedNormal(0.5, 0.5, low=0.0).expand([kinds]).to_event(1))
    effect = levels("result_group_effect", 0.5, data["G"], kinds)
    scores = data["z"] @ normal("result_beta", 0.0, 0.5, data["L"], kinds) + effect[data["challenge_group"]]
    score = scores[jnp.arange(len(kind)), kind]
    cuts = jnp.stack([low[kind], low[kind] + gap[kind]], axis=-1)
    numpyro.sample("result", dist.OrderedLogistic(score, cuts), obs=result)
    mean = normal("log_days", 2.0, 2.0, kinds)[kind]
    sd = numpyro.sample("log_days_sd", dist.HalfNormal(1.5).expand([kinds]).to_event(1))[kind]
    shift = normal("removal_log_days", 0.0, 1.0, kinds)[kind]
    numpyro.sample("length", dist.Normal(mean + data["removed"] * shift, sd), obs=data["days"])


def run_stan(design: Any, spec: Any, sizes: Any) -> tuple[Draws, float]:
    """Sample `panel.stan` with Stan's NUTS; the time is that of the processes that it starts for the chains."""
    import stan  # as it comes: with -march=native its parts, some of them compiled before, do not fit together and crash
    from httpstan.services_stub import executor

    facts = _facts(design, spec)
    indices = ("country", "group", "period", "kind", "result", "challenge_group")
    data = {**facts, **{name: facts[name] + 1 for name in indices}, "log_days": facts["days"]}
    posterior = stan.build((Path(__file__).parent / "panel.stan").read_text(), data=data)  # with a seed it keeps draws
    start = _children()
    fit = posterior.sample(num_chains=sizes.chains, num_warmup=sizes.tune, num_samples=sizes.draws, delta=TARGET)
    executor.shutdown()
    seconds = _children() - start

    def drawn(name: str) -> Any:
        values = fit["log_days_mean" if name == "log_days" else name]
        by_draw = values.reshape(*values.shape[:-1], sizes.draws, sizes.chains)
        return np.moveaxis(by_draw, (-1, -2), (0, 1))

    return {name: drawn(name) for name in NAMES}, seconds


def _children() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def _facts(design: Any, spec: Any) -> dict[str, Any]:
    """Return the data of the models written by hand; positions start at 0."""
    onset = design.sizes["indicator"] - 1  # without the constant
    results = len(spec.result.effects)
    baseline = [spec.onset.baseline[cause] for cause in CAUSES]
    kind = design.indexes["kind"].get_indexer(design["challenge_kind"])
    result = design["result"].to_numpy()
    return {
        "N": design.sizes["row"],
        "K": onset,
        "C": len(CAUSES),
        "G": design.sizes["group"],
        "P": design.sizes["period"],
        "J": design.sizes["country"],
        **{level: design[f"row_{level}"].to_numpy() for level in ("country", "group", "period")},
        "x": design["centre"].to_numpy()[:, :onset],
        "log_exposure": np.log(design["exposure"].to_numpy()),
        "events": design["events"].to_numpy(),
        "baseline_mean": np.array([prior.mean for prior in baseline]),
        "baseline_sd": np.array([prior.sd for prior in baseline]),
        "M": design.sizes["challenge"],
        "L": results,
        "H": len(KINDS),
        "kind": kind,
        "result": result,
        "challenge_group": design["challenge_group"].to_numpy(),
        "z": design["challenge_centre"].to_numpy()[:, :results],
        "days": design["log_days"].to_numpy(),
        "removed": (result == RESULTS.index("removed")).astype(float),
    }


CONTESTANTS = {
    "ours": (run_ours, "forecast", "the compiled density, nutpie"),
    "nutpie": (run_nutpie, "nutpie", "plain PyMC model, nutpie"),
    "pymc": (run_pymc, "pymc", "plain PyMC model, PyMC's NUTS"),
    "numpyro": (run_numpyro, "numpyro", "written in NumPyro"),
    "stan": (run_stan, "stan", "written in Stan, sufficient statistics"),
}


def contest(name: str, sizes: Any, folder: Path) -> dict[str, Any] | None:
    """Run one contestant in its own process; return its draws (chain x draw x parameter) and time."""
    file = folder / f"{name}.npz"
    command = [sys.executable, __file__, "--run", name, "--out", str(file)]
    for key in ("rows", "draws", "tune", "chains", "seed"):
        command += [f"--{key}", str(getattr(sizes, key))]
    done = subprocess.run(command, env={**os.environ, **ONE_THREAD}, check=False, capture_output=True, text=True)
    if done.returncode:
        print(f"{name} failed\n{done.stderr}", file=sys.stderr)
        return None
    with np.load(file) as found:
        return dict(found)


def run_alone(name: str, sizes: Any) -> None:
    """Be one contestant."""
    design, spec = simulate_panel(sizes.rows)
    draws, seconds = CONTESTANTS[name][0](design, spec, sizes)
    flat = [draws[part].reshape(sizes.chains, sizes.draws, -1) for part in NAMES]
    np.savez(sizes.out, draws=np.concatenate(flat, axis=2), seconds=seconds)


def describe(found: dict[str, dict[str, Any]]) -> None:
    """Print effective draws per second, ratios, and whether the means agree."""
    import arviz_stats

    first = next(iter(found))
    facts = {}
    for name, result in found.items():
        draws = result["draws"]
        ess = arviz_stats.ess(draws, chain_axis=0, draw_axis=1, method="bulk")
        mean, sd = draws.mean(axis=(0, 1)), draws.std(axis=(0, 1))
        facts[name] = (ess.min(), float(result["seconds"]), mean, sd / np.sqrt(ess), sd)
    best = facts[first][0] / facts[first][1]
    print(f"{'':<9}{'least':>7}{'CPU':>9}{'effective':>11}{'ratio to':>10}{'means differ by':>18}")
    print(f"{'':<9}{'ESS':>7}{'seconds':>9}{'draws / s':>11}{first:>10}{'sd':>9}{'MC error':>9}")
    for name, (ess, seconds, mean, error, sd) in facts.items():
        gap = np.abs(mean - facts[first][2])
        both = np.hypot(error, facts[first][3])
        differ = f"{(gap / sd).max():9.3f}{(gap / both).max():9.1f}" if name != first else ""
        print(f"{name:<9}{ess:7.0f}{seconds:9.1f}{ess / seconds:11.2f}{best / (ess / seconds):9.1f}x{differ}")
    print(f"{facts[first][2].size} parameters; among so many, the largest difference is about 3.5 Monte Carlo errors.")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for key, default in (("rows", 14_000), ("draws", 500), ("tune", 500), ("chains", 4), ("seed", 1)):
        parser.add_argument(f"--{key}", type=int, default=default)
    parser.add_argument("--only", nargs="+", choices=CONTESTANTS, default=list(CONTESTANTS))
    parser.add_argument("--run", choices=CONTESTANTS, help=argparse.SUPPRESS)
    parser.add_argument("--out", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.run:
        run_alone(arguments.run, arguments)
        sys.exit()
    print(f"{arguments.rows} rows, {arguments.chains} chains of {arguments.tune} + {arguments.draws} draws", flush=True)
    results = {}
    with tempfile.TemporaryDirectory() as folder:
        for name in arguments.only:
            if importlib.util.find_spec(CONTESTANTS[name][1]) is None:
                print(f"{name}: {CONTESTANTS[name][1]} is not installed", file=sys.stderr)
            elif (result := contest(name, arguments, Path(folder))) is not None:
                results[name] = result
    describe(results)
