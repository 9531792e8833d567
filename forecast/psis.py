"""Pareto-smoothed importance sampling (Vehtari, Simpson, Gelman, Yao and Gabry 2024, JMLR 25).

As `arviz_stats` has it, against which the tests hold it; on NumPy alone, because an update takes about as long as
that library takes to import.
"""

from __future__ import annotations

from typing import Any

import numpy as np

TAIL = 5  # fewer weights than this make no tail


def smooth_weights(log_ratio: Any) -> tuple[Any, float]:
    """Return log weights that add to one, the largest replaced by quantiles of a fitted Pareto tail, and its shape k.

    Parameters
    ----------
    log_ratio : array (draw)
        Log of target over proposal density, up to a constant.

    Returns
    -------
    log_weights : array (draw)
    k : float
        Above 0.7 the weights are not to be trusted; 0 where all are equal.

    Examples
    --------
    >>> log_weights, k = smooth_weights(np.zeros(100))
    >>> float(np.exp(log_weights).sum().round(12)), k
    (1.0, 0.0)
    """
    log_weights = np.asarray(log_ratio, dtype=float) - np.max(log_ratio)
    if np.ptp(log_weights) < 1e-12:
        return np.full(len(log_weights), -np.log(len(log_weights))), 0.0
    count = int(min(0.2 * len(log_weights), 3 * np.sqrt(len(log_weights))))
    order = np.argsort(log_weights, kind="stable")
    cut = max(log_weights[order[-count - 1]], np.log(np.finfo(float).tiny))
    tail = order[log_weights[order] > cut]
    k = float("inf")
    if len(tail) >= TAIL:
        excess = np.exp(log_weights[tail]) - np.exp(cut)
        k, sigma = fit_pareto(excess)
        if np.isfinite(k):
            level = (np.arange(len(tail)) + 0.5) / len(tail)
            quantile = sigma * np.expm1(-k * np.log1p(-level)) / k if abs(k) > 1e-12 else -sigma * np.log1p(-level)
            log_weights[tail] = np.log(quantile + np.exp(cut))
            log_weights = np.minimum(log_weights, 0.0)
    top = log_weights.max()
    return log_weights - top - np.log(np.exp(log_weights - top).sum()), k


def fit_pareto(excess: Any) -> tuple[float, float]:
    """Return shape and scale of a generalised Pareto distribution (Zhang and Stephens 2009, Technometrics 51).

    With the weak prior of Vehtari et al. that pulls the shape to 0.5.

    Parameters
    ----------
    excess : array
        Values over the threshold, rising.
    """
    n, prior, strength = len(excess), 3, 10
    grid = 30 + int(np.sqrt(n))
    b = 1 - np.sqrt(grid / (np.arange(1, grid + 1) - 0.5))
    b = b / (prior * excess[int(n / 4 + 0.5) - 1]) + 1 / excess[-1]
    shape = np.log1p(-b[:, None] * excess).mean(axis=1)
    profile = n * (np.log(-b / shape) - shape - 1)
    weight = 1 / np.exp(profile - profile[:, None]).sum(axis=1)
    kept = weight >= 10 * np.finfo(float).eps
    weight, b = weight[kept] / weight[kept].sum(), b[kept]
    best = float((b * weight).sum())
    k = float(np.log1p(-best * excess).mean())
    sigma = -k / best
    return (n * k + strength * 0.5) / (n + strength), sigma


def effective_draws(log_weights: Any) -> float:
    """Return how many equal draws are worth as much as the weighted ones: one over the sum of squared weights.

    Examples
    --------
    >>> round(effective_draws(np.log([0.5, 0.5])), 9)
    2.0
    """
    return float(1 / np.exp(2 * np.asarray(log_weights)).sum())


def resample(log_weights: Any, seed: int) -> Any:
    """Return positions of equally weighted draws, in the order of the draws: stratified, the same for the same seed.

    Examples
    --------
    >>> resample(np.log([0.5, 0.25, 0.25]), seed=1).shape
    (3,)
    """
    n = len(log_weights)
    points = (np.arange(n) + np.random.default_rng(seed).random(n)) / n
    return np.minimum(np.searchsorted(np.exp(log_weights).cumsum(), points, side="right"), n - 1)
