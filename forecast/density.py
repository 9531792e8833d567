"""The posterior's log-density of a design under a spec, ready for a sampler: layout, data and back to named draws."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import pairwise
from operator import attrgetter
from typing import Any

import numpy as np
import xarray as xr

from forecast import kernel
from forecast.design import places
from forecast.hazards import Stages, build_stages, row_index
from forecast.schema import CAUSES, KINDS
from forecast.spec import DECADE, Effect, Normal, Shrinkage, Spec, scale_prior
from forecast.whitening import Whitening, whiten

TILE = 1024  # rows worked off together: their log rates stay in the nearest cache, their terms in the next
FORMS = {"ridge": kernel.RIDGE, "horseshoe": kernel.HORSESHOE}
CAUCHY = 1.0  # degrees of freedom
OWN = {"country", "spell"}  # levels of which each has few rows: their coordinates are not taken together


@dataclass(frozen=True)
class Block:
    """One named block of coordinates with its prior.

    Attributes
    ----------
    name : str
        As in `model.build_model`.
    dims : tuple of str
        Levels, in the order of the coordinates.
    mean, sd : array
        Of the prior of each value, or of the scale of a half-t.
    positive : bool
        The value is the exponential of the coordinate.
    tail : float
        Degrees of freedom of a half-t; 0 for a normal.
    """

    name: str
    dims: tuple[str, ...]
    mean: Any
    sd: Any
    positive: bool = False
    tail: float = 0.0

    @property
    def middle(self) -> Any:
        """Coordinates in the middle of the prior."""
        return np.log(self.mean + 0.5 * self.sd) if self.positive else self.mean

    @property
    def spread(self) -> Any:
        """The prior's sds of the coordinates; of the logarithm of a value about, and at most 1."""
        return np.minimum(self.sd / (self.mean + 0.5 * self.sd), 1) if self.positive else self.sd


@dataclass(frozen=True)
class Warmth:
    """Centre and spread of an earlier posterior, and its draws (draw x coordinate)."""

    centre: Any
    scale: Any
    draws: Any

    def positions(self, points: Any) -> Any:
        """Return the positions of points in the warmed coordinates."""
        return self.centre + self.scale * points

    def evaluate(self, density: Callable[[Any], tuple[float, Any]], point: Any) -> tuple[float, Any]:
        """Return the log-density of a point and its gradient."""
        value, gradient = density(self.positions(point))
        return value, gradient * self.scale

    def start(self, rng: np.random.Generator) -> Any:
        """Return one of the earlier draws in the warmed coordinates, near the middle in what it does not tell."""
        point = (self.draws[rng.integers(len(self.draws))] - self.centre) / self.scale
        return np.where(np.isnan(point), rng.uniform(-0.5, 0.5, len(point)), point)


@dataclass(frozen=True)
class Density:
    """A log-density with the layout of its coordinates.

    Attributes
    ----------
    blocks : tuple of Block
    coords : dict
        Labels of every level.
    evaluate : callable
        From a position to log-density and gradient.
    shrinkage : dict
        Of each stage's effects, by the name of their block.
    given : Warmth or Whitening, optional
        What the coordinates follow, other than the layout of the blocks.
    """

    blocks: tuple[Block, ...]
    coords: dict[str, Any]
    evaluate: Callable[[Any], tuple[float, Any]]
    shrinkage: dict[str, Any]
    given: Warmth | Whitening | None = None

    @property
    def size(self) -> int:
        """Number of coordinates."""
        return sum(block.mean.size for block in self.blocks)

    def start(self, rng: np.random.Generator) -> Any:
        """Return a point near the middle of the prior, an earlier draw, or a draw from what the curvature says."""
        if self.given is not None:
            return self.given.start(rng)
        return _along(self.blocks, attrgetter("middle")) + rng.uniform(-0.5, 0.5, self.size)

    def whitened(self) -> Density:
        """Return this density in coordinates in which its posterior is nearly a unit normal."""
        middle, sd = _along(self.blocks, attrgetter("middle")), _along(self.blocks, attrgetter("spread"))
        shared = _along(self.blocks, lambda block: not (block.positive or OWN.intersection(block.dims)))
        whitening = whiten(self.evaluate, middle, sd, _owners(self.blocks), shared)
        return replace(self, evaluate=partial(whitening.evaluate, self.evaluate), given=whitening)

    def warmed(self, posterior: xr.Dataset) -> Density:
        """Return this density in coordinates in which an earlier posterior has mean 0 and spread 1.

        A sampler's first guess at its mass matrix is then right, and its chains start from earlier draws.
        """
        places = self.locate(posterior)
        mean, sd = places.mean(axis=0), places.std(axis=0)
        unknown = ~(sd > 0)
        scale = np.where(unknown, 1.0, sd)
        centre = np.where(unknown, _along(self.blocks, attrgetter("middle")), mean)
        warmth = Warmth(centre, scale, places)
        return replace(self, evaluate=partial(warmth.evaluate, self.evaluate), given=warmth)

    def locate(self, posterior: xr.Dataset) -> Any:
        """Return the coordinates of named draws (draw x coordinate); NaN where the draws do not tell them."""
        draws = posterior.sizes["chain"] * posterior.sizes["draw"]
        columns = []
        for block in self.blocks:
            values = _coordinates(posterior, block)
            if values is None:
                columns.append(np.full((draws, block.mean.size), np.nan))
                continue
            labels = {dim: self.coords[dim] for dim in block.dims if dim in self.coords}
            ordered = values.reindex(labels).transpose("chain", "draw", *block.dims).to_numpy()
            columns.append((np.log(ordered) if block.positive else ordered).reshape(draws, -1))
        return np.concatenate(columns, axis=1)

    def name_draws(self, positions: Any) -> xr.Dataset:
        """Return draws of every parameter and of what follows from them.

        Parameters
        ----------
        positions : array (chain x draw x coordinate)

        Returns
        -------
        xarray.Dataset
            Levels of effects stand before causes and kinds: ``group_effect`` (chain x draw x group x cause).
        """
        if self.given is not None:
            positions = self.given.positions(positions)
        drawn, place = {}, 0
        for block in self.blocks:
            part = positions[..., place : place + block.mean.size].reshape(*positions.shape[:2], *block.mean.shape)
            drawn[block.name] = xr.DataArray(
                np.exp(part) if block.positive else part, dims=("chain", "draw", *block.dims)
            )
            place += block.mean.size
        for name in [name.removesuffix("_z") for name in drawn if name.endswith("_z")]:
            drawn[name] = self._effects(name, drawn)
        drawn["cutpoints"] = xr.concat(
            [drawn["failed_cut"], drawn["failed_cut"] + drawn["concession_gap"]], dim="cut"
        ).transpose(..., "kind", "cut")
        levels = {str(dim) for values in drawn.values() for dim in values.dims}
        kept = {name: values for name, values in drawn.items() if values.size}
        return xr.Dataset(kept).assign_coords({dim: self.coords[dim] for dim in levels & set(self.coords)})

    def _effects(self, name: str, drawn: dict[str, xr.DataArray]) -> xr.DataArray:
        """Return what a block of standardised coordinates stands for."""
        z = drawn[f"{name}_z"]
        if name in self.shrinkage:
            shrunk: xr.DataArray = self.shrinkage[name](z, drawn)
            return shrunk
        effect = z * drawn[f"{name}_sd"]
        if name == "period_effect":
            walk = effect.cumsum("period")
            effect = walk - walk.isel(period=-1)
            if drawn["period_drift"].size:
                years = xr.DataArray(self.coords["period"] - self.coords["period"][-1], dims="period")
                effect = effect + drawn["period_drift"] * years / DECADE
        level, of = (z.dims[3], z.dims[2])
        return effect.transpose("chain", "draw", level, of)


def build_density(design: xr.Dataset, spec: Spec, *, single: bool = True) -> Density:
    """Return the log-density of a design under a spec.

    Parameters
    ----------
    design : xarray.Dataset
        What `design.build_design` returned.
    spec : Spec
    single : bool
        Run along the rows in single precision, which is twice as fast and moves the log-density by less than
        the sampler's own step error; sums over tiles, priors and the result stage are double in any case.
    """
    stages, blocks = build_stages(design, spec), tuple(list_blocks(design, spec))
    levels = {name: design.indexes[name].to_numpy() for name in design.indexes if name != "row"}
    onset = _shrinkage(spec.onset.shrinkage, spec.onset.effects, CAUSES)
    result = _shrinkage(spec.result.shrinkage, spec.result.effects, KINDS)
    rows = lay_out_rows(design, stages, np.float32 if single else np.float64)
    problem = kernel.state_problem(
        _layout(design, spec, blocks), _prior(blocks), rows, lay_out_cases(design, stages), onset, result
    )
    shrunk = {
        name: partial(_shrunk, name, shrinkage)
        for name, shrinkage in (("beta", onset), ("result_beta", result))
        if shrinkage
    }
    return Density(blocks, {**levels, "cut": ["failed", "concession"]}, partial(kernel.log_density, problem), shrunk)


def _coordinates(posterior: xr.Dataset, block: Block) -> xr.DataArray | None:
    """Return draws of a block's values, or None where the kept draws do not determine them."""
    if block.name in posterior:
        return posterior[block.name]
    name = block.name.removesuffix("_z")
    if name == block.name or name not in posterior or f"{name}_sd" not in posterior:
        return None
    effect = posterior[name]
    if name == "period_effect":
        years = effect["period"].diff("period")
        effect = effect.diff("period")  # the walk's first step is not known: only differences enter
        if "period_drift" in posterior:
            effect = effect - posterior["period_drift"] * years / DECADE
    return effect / posterior[f"{name}_sd"]


def list_blocks(design: xr.Dataset, spec: Spec) -> list[Block]:
    """Return the blocks of coordinates, in the order of `kernel.Layout`."""
    sizes = dict(design.sizes)
    onset, result = spec.onset, spec.result

    def standard(name: str, *dims: str) -> Block:
        shape = [sizes[dim] for dim in dims]
        return Block(name, dims, np.zeros(shape), np.ones(shape))

    def spread(name: str, dim: str, scale: float | Normal) -> Block:
        return normal(name, dim, [scale_prior(scale)] * sizes[dim], positive=True)

    def normal(name: str, dim: str, priors: list[Any], *, positive: bool = False) -> Block:
        mean, sd = np.array([p.mean for p in priors], float), np.array([p.sd for p in priors], float)
        return Block(name, (dim,), mean, sd, positive)

    return [
        standard("coding_error", "spell", "latent"),
        normal("baseline", "cause", [onset.baseline[cause] for cause in CAUSES]),
        spread("period_effect_sd", "cause", onset.period_sd),
        standard("period_effect_z", "cause", "period"),
        normal("period_drift", "cause", [onset.drift[cause] for cause in CAUSES if onset.drift]),
        spread("group_effect_sd", "cause", onset.group_sd),
        standard("group_effect_z", "cause", "group"),
        spread("country_effect_sd", "cause", onset.country_sd),
        standard("country_effect_z", "cause", "country"),
        *_effect_blocks("beta", "effect", onset.effects, onset.shrinkage, "cause", len(CAUSES)),
        spread("group_slope_sd", "slope", onset.slope_sd),
        standard("group_slope_z", "slope", "group"),
        normal("failed_cut", "kind", [result.cutpoints[kind].failed for kind in KINDS]),
        normal("concession_gap", "kind", [result.cutpoints[kind].gap for kind in KINDS], positive=True),
        spread("result_group_effect_sd", "kind", result.group_sd),
        standard("result_group_effect_z", "kind", "group"),
        *_effect_blocks("result_beta", "result_effect", result.effects, result.shrinkage, "kind", len(KINDS)),
        normal("log_days", "kind", [result.log_days[kind] for kind in KINDS]),
        spread("log_days_sd", "kind", result.log_days_sd),
        Block("removal_log_days", ("kind",), np.zeros(len(KINDS)), np.full(len(KINDS), result.removal_log_days_sd)),
    ]


def _effect_blocks(
    name: str, dim: str, effects: tuple[Effect, ...], shrinkage: Shrinkage | None, of: str, targets: int
) -> list[Block]:
    """Return the effects of a stage, and under shrinkage their common and own scales."""
    pairs = [effect for effect in effects for _ in effect.on]
    mean, sd = np.array([e.mean for e in pairs], dtype=float), np.array([e.sd for e in pairs], dtype=float)
    count, own = (targets, len(pairs)) if shrinkage else (0, 0)
    if shrinkage and shrinkage.form == "ridge":
        own = 0
    plain = Block(name, (dim,), mean, sd)
    drawn = Block(f"{name}_z", (dim,), np.zeros(len(pairs)), np.ones(len(pairs)))
    tail = CAUCHY if shrinkage and shrinkage.form == "horseshoe" else 0.0
    scale = np.full(count, shrinkage.scale) if shrinkage else np.zeros(0)
    return [
        drawn if shrinkage else plain,
        Block(f"{name}_global", (of,), np.zeros(count), scale, positive=True, tail=tail),
        Block(f"{name}_local", (dim,), np.zeros(own), np.ones(own), positive=True, tail=CAUCHY),
    ]


def _along(blocks: Sequence[Block], value: Callable[[Block], Any]) -> Any:
    """Return a value of each block, or of each of its entries, along the coordinates."""
    return np.concatenate([np.broadcast_to(value(block), block.mean.shape).ravel() for block in blocks])


def _ends(blocks: Sequence[Block]) -> Any:
    """Return where each block begins, and the end of the last."""
    return np.cumsum([0, *(block.mean.size for block in blocks)])


def _owners(blocks: Sequence[Block]) -> Any:
    """Return the place of the spread that each standardised effect of a level hangs on, or -1 (coordinate)."""
    start = dict(zip([block.name for block in blocks], _ends(blocks), strict=False))

    def owner(block: Block) -> Any:
        name = block.name.removesuffix("_z")
        if name == block.name or f"{name}_sd" not in start:
            return -1
        return start[f"{name}_sd"] + np.arange(len(block.mean))[:, None]

    return _along(blocks, owner)


def _layout(design: xr.Dataset, spec: Spec, blocks: tuple[Block, ...]) -> kernel.Layout:
    levels = ("period", "group", "country", "spell", "latent", "effect", "result_effect")
    sizes = [design.sizes[level] for level in levels]
    return kernel.Layout._make([*map(int, _ends(blocks)), *sizes, spec.onset.period_years / DECADE])


def _prior(blocks: tuple[Block, ...]) -> kernel.Prior:
    mean, sd, tail = (_along(blocks, attrgetter(name)).astype(float) for name in ("mean", "sd", "tail"))
    return kernel.Prior(mean, 1 / sd, tail, np.flatnonzero(_along(blocks, attrgetter("positive"))))


def _shrinkage(shrinkage: Shrinkage | None, effects: tuple[Effect, ...], targets: Any) -> kernel.Shrinkage | None:
    if shrinkage is None:
        return None
    pairs = [(effect, target) for effect in effects for target in effect.on]
    return kernel.Shrinkage(
        form=FORMS[shrinkage.form],
        mean=np.array([effect.mean for effect, _ in pairs], dtype=float),
        slab=np.array([effect.sd for effect, _ in pairs], dtype=float),
        target=np.array([targets.index(target) for _, target in pairs], dtype=int),
    )


def _shrunk(name: str, shrinkage: kernel.Shrinkage, z: xr.DataArray, drawn: dict[str, xr.DataArray]) -> xr.DataArray:
    """Return shrunk effects from their coordinates and scales."""
    tau = drawn[f"{name}_global"].to_numpy()[..., shrinkage.target]
    if shrinkage.form == kernel.RIDGE:
        scale = tau * shrinkage.slab
    else:
        own = tau * drawn[f"{name}_local"].to_numpy()
        scale = shrinkage.slab * own / np.sqrt(shrinkage.slab**2 + own**2)
    return z.copy(data=shrinkage.mean + scale * z.to_numpy())


def lay_out_rows(design: xr.Dataset, stages: Stages, real: type = np.float64) -> kernel.Rows:
    """Return a design's onset rows as the kernel's loops want them.

    A term is static when both its factors are known exactly in every row.
    """
    index, latent = row_index(design), _latent(stages)
    spell = index.spell if len(latent) else np.zeros_like(index.spell)  # only coding errors are of a spell
    order = np.lexsort((spell, index.period, index.country, index.group))
    terms, place = np.unique(np.stack([stages.onset.first, stages.onset.second], axis=1), axis=0, return_inverse=True)
    moving = np.isin(terms, latent).any(axis=1)
    known = 3 * -(-(~moving).sum() // 3)
    rank = np.empty(len(terms), dtype=int)
    rank[~moving], rank[moving] = np.arange((~moving).sum()), known + np.arange(moving.sum())
    centre, spread = design["centre"].to_numpy()[order], design["spread"].to_numpy()[order]
    static = np.zeros((len(order), known))
    static[:, : (~moving).sum()] = centre[:, terms[~moving, 0]] * centre[:, terms[~moving, 1]]
    tiles = _tiles(index.group[order], index.country[order], index.period[order], spell[order])

    def along(values: Any) -> Any:
        return np.ascontiguousarray(values.T, dtype=real)

    return kernel.Rows(
        **tiles,
        known=int(known),
        terms=int(known + moving.sum()),
        exposure=design["exposure"].to_numpy()[order].astype(real),
        events=along(design["events"].to_numpy()[order]),
        static=np.concatenate([along(static[a:b]).ravel() for a, b in pairwise(tiles["bounds"])]),
        moving=_moving(terms[moving], latent, along(centre), along(spread)),
        effect=np.stack([rank[place.ravel()], stages.onset.target.argmax(axis=1)], axis=1).reshape(-1, 2),
        slope=stages.slope.argmax(axis=1) if len(stages.slope) else np.zeros(0, dtype=int),
    )


def _moving(terms: Any, latent: Any, centre: Any, spread: Any) -> kernel.Moving | None:
    """Return the terms that hold an uncertain indicator, or None where everything is known.

    `terms` are pairs of indicators; `centre` and `spread` (indicator x row).
    """
    if not len(latent):
        return None
    factors = np.setdiff1d(terms, latent)
    column = {k: c for c, k in enumerate([*latent, *factors])}
    return kernel.Moving(
        centre=centre[latent],
        spread=spread[latent],
        factors=centre[factors],
        first=np.array([column[a] for a, _ in terms], dtype=int),
        second=np.array([column[b] for _, b in terms], dtype=int),
    )


def _latent(stages: Stages) -> Any:
    """Return the positions of the uncertain indicators among all."""
    return stages.latent.argmax(axis=1) if len(stages.latent) else np.zeros(0, dtype=int)


def _tiles(group: Any, country: Any, period: Any, spell: Any) -> dict[str, Any]:
    """Return the tiles, none longer than TILE or over two groups, and the runs inside them."""
    edges = np.concatenate([[0], np.flatnonzero(np.diff(group)) + 1, [len(group)]])
    starts = np.concatenate([np.arange(a, b, TILE) for a, b in pairwise(edges)])
    bounds = np.append(starts, len(group))
    changes = [np.flatnonzero(np.diff(level)) + 1 for level in (country, period, spell)]
    runs = np.unique(np.concatenate([starts, *changes]))
    return {
        "longest": int(np.diff(bounds).max()),
        "bounds": bounds,
        "group": group[starts],
        "runs": np.searchsorted(runs, bounds),
        "run_bounds": np.append(runs, len(group)),
        "country": country[runs],
        "period": period[runs],
        "spell": spell[runs],
    }


def lay_out_cases(design: xr.Dataset, stages: Stages) -> kernel.Cases:
    """Return a design's challenges as the kernel's loops want them."""
    latent, first, second = _latent(stages), stages.result.first, stages.result.second
    kind = places(design, "challenge_kind", "kind")
    order = np.argsort(kind, kind="stable")
    used = np.unique(np.concatenate([first, second]))
    place = np.full(design.sizes["indicator"], -1)
    place[used] = np.arange(len(used))
    return kernel.Cases(
        bounds=np.searchsorted(kind[order], np.arange(len(KINDS) + 1)),
        **{level: places(design, f"challenge_{level}", level)[order] for level in ("spell", "group")},
        result=design["result"].to_numpy()[order],
        begun=~design["inherited"].to_numpy()[order],
        ended=design["ended"].to_numpy()[order],
        log_days=design["log_days"].to_numpy()[order],
        centre=np.ascontiguousarray(design["challenge_centre"].to_numpy()[order][:, used]),
        spread=np.ascontiguousarray(design["challenge_spread"].to_numpy()[order][:, latent]),
        latent=place[latent],
        first=place[first],
        second=place[second],
        target=stages.result.target.argmax(axis=1) if len(stages.result.target) else np.zeros(0, dtype=int),
    )
