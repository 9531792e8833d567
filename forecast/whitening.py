"""Coordinates in which a posterior is nearly a unit normal, found from its curvature at one point.

On a large panel the data tie base rates, effects and the calendar to each other, and tell some levels' effects well and
others not at all: a sampler that knows only one scale for each coordinate takes many small steps. Given the spreads of
the levels and as long as no coded value is uncertain, the log-density of the onsets is concave and that of the results nearly so, and its curvature at the mode says how coordinates go
together. Once a level's standardised effects z are turned so that the data tell of each apart, the posterior of each given the spread is about normal:

    mean  m sqrt(s) (1 + r) / (1 + r s),    variance  1 / (1 + r s),    s = (spread / spread at the mode)^2,

where m is the mode and r how much more the data say there than the prior. What is common to all rows is about normal given
the effects, with a mean that follows them as they are (spread times z) and a covariance that does not. Mean and variance follow the spread here, so
that there is no funnel to get stuck in: where the data say little the coordinate is the standardised effect, where they say much the effect itself [1]_.

References
----------
.. [1] Papaspiliopoulos, Roberts and Skold 2007, A general framework for the parametrization of hierarchical models.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numba import njit

from forecast.kernel import FAST

STEP = 0.05  # prior sds between the two gradients whose difference is a curvature
FLOOR = 0.1  # least curvature in units of the prior's, which single precision may lose
ITERATIONS = 150

compiled = {"fastmath": FAST, "error_model": "numpy", "cache": True, "nogil": True}


class Axes(NamedTuple):
    """The arrays of a Whitening, for compiled code."""

    centre: Any  # (coordinate)
    scale: Any  # (coordinate); those in `common` have theirs from `factor`
    known: Any  # (coordinate): how much more the data say than the prior, r above
    spread: Any  # (spread): place of each log spread
    begin: Any  # (spread): first of the standardised effects that hang on it
    end: Any  # (spread)
    turned: Any  # (effect): places of the standardised effects that are turned
    turn: Any  # (effect x effect): the rotation back
    first: Any  # (effect): where a row of `turn` begins not to be zero
    last: Any  # (effect)
    common: Any  # (place): coordinates that follow the turned effects
    follow: Any  # (place x effect): how their means move with the effects
    factor: Any  # (place x place): lower triangular root of their covariance given the effects


@njit(**compiled)
def unwhiten(axes, point):
    """Return the position of a point, the position before effects are turned back, and the log-Jacobian."""
    centre, known, turned, common = axes.centre, axes.known, axes.turned, axes.common
    size, log_jacobian = len(point), 0.0
    before, position, growth = np.empty(size), np.empty(size), np.ones(size)
    moved, part = np.empty(len(turned)), np.empty(len(common))
    for i in range(size):
        before[i] = axes.scale[i] * point[i]
    for k in range(len(axes.spread)):
        grown = math.exp(before[axes.spread[k]])
        for i in range(axes.begin[k], axes.end[k]):
            narrower = (1 + known[i]) / (1 + known[i] * grown * grown)
            before[i] = centre[i] * (grown * narrower - 1) + before[i] * math.sqrt(narrower)
            log_jacobian += math.log(narrower) / 2
            growth[i] = grown
    for i in range(size):
        before[i] += centre[i]
        position[i] = before[i]
    for i in range(len(turned)):
        moved[i] = growth[turned[i]] * before[turned[i]] - centre[turned[i]]
    for i in range(len(common)):
        part[i] = point[common[i]]
        row, total = axes.factor[i], centre[common[i]]
        for j in range(i + 1):
            total += row[j] * part[j]
        row = axes.follow[i]
        for j in range(len(moved)):
            total += row[j] * moved[j]
        position[common[i]] = total
    for i in range(len(turned)):
        moved[i] = before[turned[i]]
    for i in range(len(turned)):
        row, total = axes.turn[i], 0.0
        for j in range(axes.first[i], axes.last[i]):
            total += row[j] * moved[j]
        position[turned[i]] = total
    return position, before, log_jacobian


@njit(**compiled)
def pull_back(axes, before, by_position):
    """Return the gradient by the point of a function whose gradient by the position is known, log-Jacobian included."""
    centre, known, turned, common = axes.centre, axes.known, axes.turned, axes.common
    by_before, by_point, by_moved = np.empty(len(before)), np.empty(len(before)), np.zeros(len(before))
    effects, part = np.zeros(len(turned)), np.zeros(len(common))
    for i in range(len(before)):
        by_before[i] = by_position[i]
    for i in range(len(turned)):
        row, pull = axes.turn[i], by_position[turned[i]]
        for j in range(axes.first[i], axes.last[i]):
            effects[j] += row[j] * pull
    for i in range(len(turned)):
        by_before[turned[i]] = effects[i]
        effects[i] = 0.0
    for i in range(len(common)):
        row, pull = axes.factor[i], by_position[common[i]]
        for j in range(i + 1):
            part[j] += row[j] * pull
        row = axes.follow[i]
        for j in range(len(turned)):
            effects[j] += row[j] * pull
    for i in range(len(turned)):
        by_moved[turned[i]] = effects[i]
    for k in range(len(axes.spread)):
        place, total = axes.spread[k], 0.0
        grown = math.exp(before[place] - centre[place])
        for i in range(axes.begin[k], axes.end[k]):
            told, by_effect = known[i] * grown * grown, by_moved[i] * grown
            narrower, share = (1 + known[i]) / (1 + told), told / (1 + told)
            middle, by_z = centre[i] * grown * narrower, by_before[i] + by_effect
            total += by_z * (middle * (1 - 2 * share) - share * (before[i] - middle)) - share + by_effect * before[i]
            by_before[i] = by_z * math.sqrt(narrower)
        by_before[place] += total
    for i in range(len(before)):
        by_point[i] = axes.scale[i] * by_before[i]
    for i in range(len(common)):
        by_point[common[i]] = part[i]
    return by_point


@dataclass(frozen=True)
class Whitening:
    """A change of coordinates, from points that are about unit normal to positions."""

    axes: Axes
    size: int

    def start(self, rng: np.random.Generator) -> Any:
        """Return a point drawn as if the posterior were what its curvature says."""
        return rng.normal(size=self.size)

    def positions(self, points: Any) -> Any:
        """Return the positions of points (... x coordinate)."""
        flat = np.ascontiguousarray(points, dtype=float).reshape(-1, self.size)
        return np.stack([unwhiten(self.axes, point)[0] for point in flat]).reshape(points.shape)

    def evaluate(self, density: Callable[[Any], tuple[float, Any]], point: Any) -> tuple[float, Any]:
        """Return the log-density of a point and its gradient."""
        position, before, log_jacobian = unwhiten(self.axes, point)
        value, gradient = density(position)
        return value + log_jacobian, pull_back(self.axes, before, gradient)


def whiten(density: Callable[[Any], tuple[float, Any]], middle: Any, sd: Any, owner: Any, shared: Any) -> Whitening:
    """Return coordinates in which a log-density is nearly that of a unit normal.

    Parameters
    ----------
    density : callable
        From a position to log-density and gradient.
    middle, sd : array (coordinate)
        Of the prior.
    owner : array (coordinate)
        Place of the log spread that a standardised effect hangs on, or -1. Spreads keep their prior's middle.
    shared : array of bool (coordinate)
        Coordinates that many rows share, whose curvature is taken with that of each other; that of the others on its own. No spreads.
    """
    spreads = np.unique(owner[owner >= 0])
    mode = find_mode(density, middle, sd, np.setdiff1d(np.arange(len(middle)), spreads))
    places = np.concatenate([np.flatnonzero(shared & (owner >= 0)), np.flatnonzero(shared & (owner < 0))])
    variance, turned = np.ones(len(middle)), places[: (shared & (owner >= 0)).sum()]
    for i in np.setdiff1d(np.flatnonzero(~shared), spreads).tolist():
        variance[i] = 1 / max(_bend(density, mode, sd, i)[i], FLOOR)
    curvature = np.array([_bend(density, mode, sd, i)[places] for i in places.tolist()]).reshape(len(places), -1)
    covariance = _invert(curvature) * sd[places] * sd[places][:, None]
    turn, variance[turned], follow, rest = _split(covariance, owner[turned])
    mode[turned] = turn.T @ mode[turned]
    members, rows = [np.flatnonzero(owner == spread) for spread in spreads], [np.flatnonzero(row) for row in turn]
    axes = Axes(
        centre=_rounded(mode),
        scale=_rounded(np.sqrt(variance) * sd),
        known=_rounded(np.where(owner >= 0, np.maximum(1 / variance - 1, 0), 0)),
        spread=spreads,
        begin=np.array([own[0] for own in members], dtype=int),
        end=np.array([own[-1] + 1 for own in members], dtype=int),
        turned=turned,
        turn=_rounded(turn),
        first=np.array([row[0] for row in rows], dtype=int),
        last=np.array([row[-1] + 1 for row in rows], dtype=int),
        common=places[len(turned) :],
        follow=_rounded(follow),
        factor=_rounded(np.linalg.cholesky((rest + rest.T) / 2)),
    )
    return Whitening(axes, len(middle))


def find_mode(density: Callable[[Any], tuple[float, Any]], middle: Any, sd: Any, free: Any) -> Any:
    """Return the position near the middle with the highest log-density; only the coordinates at the places `free` move."""
    from scipy.optimize import minimize

    def at(steps: Any) -> Any:
        position = middle.copy()
        position[free] += sd[free] * steps
        return position

    def loss(steps: Any) -> tuple[float, Any]:
        value, gradient = density(at(steps))
        return -value, -gradient[free] * sd[free]

    options = {"maxiter": ITERATIONS}
    return at(minimize(loss, np.zeros(len(free)), jac=True, method="L-BFGS-B", options=options).x)


def _bend(density: Callable[[Any], tuple[float, Any]], mode: Any, sd: Any, i: int) -> Any:
    """Return row i of the negative curvature, in units of the prior's."""
    step = np.zeros(len(mode))
    step[i] = STEP * sd[i]
    return sd * (density(mode - step)[1] - density(mode + step)[1]) / (2 * STEP)


def _invert(curvature: Any) -> Any:
    values, vectors = np.linalg.eigh((curvature + curvature.T) / 2)
    return vectors / np.maximum(values, FLOOR) @ vectors.T


def _split(covariance: Any, owner: Any) -> tuple[Any, Any, Any, Any]:
    """Return the rotation of the effects, which come first, their variances after it, how the rest follows them, and its covariance given them."""
    size = len(owner)
    turn = _turn(covariance[:size, :size], owner)
    effects = turn.T @ covariance[:size]
    own, tie = effects[:, :size] @ turn, effects[:, size:]
    follow = np.linalg.solve(own, tie).T
    return turn, np.diag(own), follow, covariance[size:, size:] - follow @ tie


def _turn(covariance: Any, owner: Any) -> Any:
    """Return the rotation, level by level, after which the effects of a level are uncorrelated."""
    turn = np.eye(len(owner))
    for level in np.unique(owner[owner >= 0]):
        own = np.ix_(owner == level, owner == level)
        turn[own] = np.linalg.eigh(covariance[own])[1]
    return turn


def _rounded(values: Any) -> Any:
    """Round to seven digits: the linear algebra's last bits differ with the number of its threads, and a seed should mean one run."""
    return values.astype(np.float32).astype(float)
