"""Sampling, the diagnostics gate, and fits that carry their provenance."""

from __future__ import annotations

import hashlib
import json
import platform
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import xarray as xr

import forecast
from forecast.data import Data
from forecast.design import build_design
from forecast.errors import GateError, SpecError
from forecast.files import digest, flush, locked
from forecast.spec import Gate, Spec

if TYPE_CHECKING:
    from collections.abc import Hashable

CORES = 2
TRIES = 2
LIBRARIES = ("pymc", "nutpie", "arviz-stats", "numpy", "pandas", "xarray")


@dataclass(frozen=True)
class Diagnostics:
    """How well the chains agree, over every parameter.

    Attributes
    ----------
    rhat, ess_bulk, ess_tail : tuple of (float, str)
        The worst value and the parameter that has it.
    divergences : int
    """

    rhat: tuple[float, str]
    ess_bulk: tuple[float, str]
    ess_tail: tuple[float, str]
    divergences: int

    def failures(self, gate: Gate) -> list[str]:
        """Return what keeps the fit from being published; empty when it may be."""
        found = []
        if self.divergences > gate.divergences:
            found.append(f"{self.divergences} divergent transitions (at most {gate.divergences})")
        if not self.rhat[0] <= gate.rhat:
            found.append(f"R-hat {self.rhat[0]:.4f} of {self.rhat[1]} (at most {gate.rhat})")
        for name, (value, where) in (("bulk", self.ess_bulk), ("tail", self.ess_tail)):
            if not value >= gate.ess:
                found.append(f"{name} ESS {value:.0f} of {where} (at least {gate.ess:.0f})")
        return found


@dataclass(frozen=True)
class Fit:
    """A posterior with what it was made from.

    Attributes
    ----------
    posterior : xarray.Dataset
        Draws of every parameter (chain x draw x ...).
    design : xarray.Dataset
        The design that it was conditioned on; forecasts take their levels and scales from it.
    spec : Spec
    diagnostics : Diagnostics
    provenance : dict
        Digests, seed, versions and settings.
    """

    posterior: xr.Dataset
    design: xr.Dataset
    spec: Spec
    diagnostics: Diagnostics
    provenance: dict[str, Any]

    def require_gate(self) -> None:
        """Raise GateError unless the fit may be published from."""
        if failures := self.diagnostics.failures(self.spec.gate):
            listed = "; ".join(failures)
            raise GateError(
                f"the fit did not pass the diagnostics gate, so nothing is published: {listed}. "
                "Raise sampling.draws, sampling.tune or sampling.target_accept in the spec and fit again"
            )


def fit(
    data: Data,
    spec: Spec,
    *,
    warm: xr.Dataset | None = None,
    design: xr.Dataset | None = None,
    unchecked: tuple[str, ...] = (),
    progress: bool = False,
) -> Fit:
    """Sample the posterior of a spec given a study as of a day.

    A run that does not pass the gate is made again, more carefully: smaller steps, twice the draws.

    Parameters
    ----------
    data : Data
    spec : Spec
    warm : xarray.Dataset, optional
        Posterior of a fit of other data: the chains start from its draws, and steps are scaled by its spreads, so half
        the tuning is enough. Without coding errors it is not needed: coordinates are fitted to the posterior itself.
    design : xarray.Dataset, optional
        The view's design with some cases left out, in place of the whole one.
    unchecked : tuple of str
        Parameters that the diagnostics leave out, because there are many and nothing hangs on one of them.
    progress : bool
        Show a progress bar on stderr.

    Returns
    -------
    Fit
        Whether or not it passes the gate; publishing verbs call `Fit.require_gate`.
    """
    design = build_design(data, spec) if design is None else design
    settings, tries = spec.sampling, 1
    warm = warm if design.sizes["latent"] else None
    first = settings if warm is None else settings.model_copy(update={"tune": settings.tune // 2})
    posterior, diagnostics = sample(
        design, spec.with_sampling(first), warm=warm, unchecked=unchecked, progress=progress
    )
    while diagnostics.failures(spec.gate) and tries < TRIES:
        settings, tries = settings.more_careful(), tries + 1
        posterior, diagnostics = sample(design, spec.with_sampling(settings), unchecked=unchecked, progress=progress)
    posterior = posterior.drop_vars([name for name in posterior if str(name).endswith("_z")])
    facts = {"sampled_with": settings.model_dump(), "tries": tries, "fit_digest": digest_draws(posterior)}
    return Fit(posterior, design, spec, diagnostics, {**describe_run(data, spec), **facts})


def digest_draws(posterior: xr.Dataset) -> str:
    """Return the SHA-256 of every draw: two fits with one digest give the same numbers."""
    whole = hashlib.sha256()
    for name in sorted(map(str, posterior)):
        whole.update(name.encode())
        whole.update(np.ascontiguousarray(posterior[name].to_numpy()))
    return whole.hexdigest()


def sample(
    design: xr.Dataset,
    spec: Spec,
    *,
    warm: xr.Dataset | None = None,
    unchecked: tuple[str, ...] = (),
    progress: bool = False,
) -> tuple[xr.Dataset, Diagnostics]:
    """Return draws of every parameter by nutpie's NUTS under a spec's settings, and how well they mixed."""
    import nutpie

    from forecast.density import build_density

    settings, density = spec.sampling, build_density(design, spec)
    if warm is not None:
        density = density.warmed(warm)
    elif not design.sizes["latent"]:  # nothing coded is uncertain, so the curvature at the mode tells of the whole
        density = density.whitened()
    model = nutpie.compiled_pyfunc.from_pyfunc(
        density.size,
        lambda: density.evaluate,
        lambda *_: lambda position: {"position": position},
        [np.dtype(np.float64)],
        [(density.size,)],
        ["position"],
        make_initial_point_fn=lambda seed: density.start(np.random.default_rng(seed)),
    )
    tree = nutpie.sample(
        model,
        draws=settings.draws,
        tune=settings.tune,
        chains=settings.chains,
        cores=CORES,
        seed=settings.seed,
        target_accept=settings.target_accept,
        save_warmup=False,
        progress_bar=progress,
    )
    posterior = density.name_draws(tree["posterior"]["position"].to_numpy())
    checked = posterior.drop_vars([name for name in unchecked if name in posterior])
    return _compact(posterior), diagnose(checked, int(tree["sample_stats"]["diverging"].sum()))


def _compact(posterior: xr.Dataset) -> xr.Dataset:
    """Keep coding errors to seven digits: they are nine tenths of a fit's numbers, and most of the time to read one."""
    if "coding_error" not in posterior:
        return posterior
    return posterior.assign(coding_error=posterior["coding_error"].astype(np.float32))


def diagnose(posterior: xr.Dataset, divergences: int = 0) -> Diagnostics:
    """Return the worst R-hat and effective sample sizes over every parameter that varies."""
    import arviz_stats

    varying = _varying(posterior)
    return Diagnostics(
        rhat=_worst(arviz_stats.rhat(varying), np.nanmax, np.nanargmax),
        ess_bulk=_worst(arviz_stats.ess(varying, method="bulk"), np.nanmin, np.nanargmin),
        ess_tail=_worst(arviz_stats.ess(varying, method="tail"), np.nanmin, np.nanargmin),
        divergences=divergences,
    )


def _varying(posterior: xr.Dataset) -> xr.Dataset:
    """Stack each variable and leave out entries that are constant by construction."""
    stacked = {}
    for name, variable in posterior.items():
        flat = variable.to_numpy().reshape(*variable.shape[:2], -1)
        keep = flat.std(axis=(0, 1)) != 0  # what is not a number is kept, and fails the gate
        if not keep.any():
            continue
        labels = np.array(_labels(str(name), variable), dtype=object)[keep]
        dim = f"{name}_entry"
        stacked[name] = xr.DataArray(flat[..., keep], dims=("chain", "draw", dim), coords={dim: labels})
    if not stacked:
        raise SpecError("the posterior has no parameter that varies")
    return xr.Dataset(stacked)


def _labels(name: str, variable: xr.DataArray) -> list[str]:
    dims = variable.dims[2:]
    if not dims:
        return [name]
    index = variable.isel(chain=0, draw=0).stack(entry=dims).indexes["entry"]
    return [f"{name}[{', '.join(map(str, np.atleast_1d(np.array(key, dtype=object))))}]" for key in index]


def _worst(values: xr.Dataset, extreme: Any, where: Any) -> tuple[float, str]:
    found: list[tuple[float, str]] = []
    for name, variable in values.items():
        flat = variable.to_numpy().ravel()
        if not np.isfinite(flat).all():
            return float("nan"), _entry(name, variable, int(np.argmin(np.isfinite(flat))))
        found.append((float(extreme(flat)), _entry(name, variable, int(where(flat)))))
    return found[int(where([value for value, _ in found]))]


def _entry(name: Hashable, variable: xr.DataArray, place: int) -> str:
    return str(variable[f"{name}_entry"].to_numpy()[place])


def describe_run(data: Data, spec: Spec) -> dict[str, Any]:
    """Return the facts that a reader needs to reproduce a fit."""
    return {
        "data_digest": data.digest,
        "spec": spec.name,
        "spec_digest": spec.digest,
        "known_to": str(data.known_to),
        "sampling": spec.sampling.model_dump(),
        "versions": {"regime-forecast": forecast.__version__, **{name: version(name) for name in LIBRARIES}},
        "python": platform.python_version(),
    }


def fit_key(data: Data, spec: Spec) -> str:
    """Return the name under which the fit of these data and this spec is kept."""
    return digest([data.digest, spec.digest, forecast.__version__])[:16]


def fit_path(build: Path, data: Data, spec: Spec) -> Path:
    """Return where the fit of these data and this spec is kept."""
    return build / "fits" / f"{spec.name}-{data.known_to}-{fit_key(data, spec)}.nc"


def save_fit(result: Fit, path: Path) -> None:
    """Write a fit to a netCDF file in one step."""
    tree = xr.DataTree.from_dict({"posterior": result.posterior, "design": result.design})
    tree.attrs["spec"] = result.spec.model_dump_json()
    tree.attrs["provenance"] = json.dumps(result.provenance)
    tree.attrs["diagnostics"] = json.dumps(vars(result.diagnostics))
    with locked(path.parent):
        for leftover in path.parent.glob(".*.part"):  # of processes that died: who writes holds the lock
            leftover.unlink()
        temporary = path.with_name(f".{path.name}.part")
        tree.to_netcdf(temporary, engine="netcdf4")
        flush(temporary)
        temporary.replace(path)


def peek(path: Path) -> dict[str, Any]:
    """Return the provenance of a kept fit without reading its draws."""
    import netCDF4

    with netCDF4.Dataset(path) as file:
        facts: dict[str, Any] = json.loads(file.getncattr("provenance"))
    return facts


def load_fit(path: Path | str) -> Fit:
    """Read a fit that `save_fit` wrote."""
    with xr.open_datatree(path, engine="netcdf4") as tree:
        posterior = tree["posterior"].to_dataset().load()
        design = tree["design"].to_dataset().load()
        facts = json.loads(tree.attrs["diagnostics"])
        return Fit(
            posterior=posterior,
            design=design,
            spec=Spec.model_validate_json(tree.attrs["spec"]),
            diagnostics=Diagnostics(
                rhat=tuple(facts["rhat"]),
                ess_bulk=tuple(facts["ess_bulk"]),
                ess_tail=tuple(facts["ess_tail"]),
                divergences=facts["divergences"],
            ),
            provenance=json.loads(tree.attrs["provenance"]),
        )


def fit_or_load(build: Path, data: Data, spec: Spec, *, progress: bool = False) -> tuple[Fit, bool]:
    """Return the kept fit of these data and this spec, or sample and keep it; and whether it was kept."""
    path = fit_path(build, data, spec)
    if path.exists():
        return load_fit(path), True
    result = fit(data, spec, progress=progress)
    save_fit(result, path)
    return result, False
