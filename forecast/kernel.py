"""The log-density of the whole model and its gradient: one pass over the rows, one over the challenges.

Sampling spends nearly all its time in this one function, so it is written as loops that Numba compiles
once for all data: shapes and data are arguments, so another study or origin compiles nothing, and the
compiled code is kept on disk. What a model does not have, coding errors or shrunk effects, is None and left
out of what is compiled. `model.build_model` states the same model in PyMC, and the tests hold value and
gradient of the two against each other. Rows are worked off in tiles of one group; inside a tile every
step is a loop along the rows that runs on the machine's vector unit, in the precision of the data given.
"""

from __future__ import annotations

import math
from functools import partial
from typing import Any, NamedTuple

import numpy as np
from llvmlite import ir
from numba import njit, types
from numba.core.errors import TypingError
from numba.experimental import structref
from numba.extending import intrinsic, overload

# Sums may be reordered and multiplications fused; infinities and NaN keep their meaning.
FAST = {"reassoc", "contract", "nsz", "arcp"}
# What only compiled code calls needs no entry from Python, which would take as long to compile as the function itself.
# It is written into its callers (`forceinline`): left apart, a process that has just compiled it and one that has read it from disk
# would run two versions of it, whose sums differ in the last bit, and a seed would not mean one run.
inner = partial(
    njit, fastmath=FAST, error_model="numpy", no_cpython_wrapper=True, no_cfunc_wrapper=True, forceinline=True
)
# A long function that is called from one place is written into its caller, or it would be optimised again with every caller.
once = partial(inner, inline="always")
CAUSES = 3
REMOVED, CONCESSION = 2, 1
LOG2E, LN2_HIGH, LN2_LOW = 1.4426950408889634, 0.693145751953125, 1.4286068203094173e-06
ROOT_HALF, HALF_LOG_2PI = math.sqrt(0.5), 0.5 * math.log(2 * math.pi)


class Prior(NamedTuple):
    """Independent priors of all coordinates: normal on the value, or a half-t where `tail` is its degrees of freedom."""

    mean: Any
    precision: Any  # one over the scale
    tail: Any  # 0 for a normal
    positive: Any  # places whose value is the exponential of the coordinate


class Moving(NamedTuple):
    """The terms that are not known without error: products of two columns, first those of the uncertain indicators, then those of `factors`."""

    centre: Any  # (latent x row)
    spread: Any  # (latent x row)
    factors: Any  # (factor x row)
    first: Any  # (moving term): a column
    second: Any  # (moving term): a column


class Rows(NamedTuple):
    """The onset stage; rows sorted so that a tile has one group, and a run one country, period and (if coded values are uncertain) spell."""

    longest: int  # rows of the longest tile
    known: int  # static terms, filled up to a multiple of three by terms that are zero
    terms: int  # static and moving
    bounds: Any  # (tile + 1): first row of each tile, and the end of the last
    group: Any  # (tile)
    runs: Any  # (tile + 1): first run of each tile
    run_bounds: Any  # (run + 1)
    country: Any  # (run)
    period: Any  # (run)
    spell: Any  # (run)
    exposure: Any  # (row)
    events: Any  # (cause x row)
    static: Any  # tile after tile, each (static term x row)
    moving: Any  # Moving, or None where everything is known
    effect: Any  # (effect x 2): term, static ones first, and cause
    slope: Any  # (slope): the effect that varies


class Cases(NamedTuple):
    """The result stage: one line for each challenge, sorted by kind."""

    bounds: Any  # (kind + 1): first challenge of each kind, and the end of the last
    spell: Any
    group: Any
    result: Any  # -1 while it goes on
    begun: Any  # under this leader
    ended: Any
    log_days: Any
    centre: Any  # (challenge x factor of an effect)
    spread: Any  # (challenge x latent)
    latent: Any  # (latent): its place among the factors, or -1 where no effect has it
    first: Any  # (effect): a factor
    second: Any
    target: Any  # (effect): a kind


@intrinsic
def power_of_two(_context: Any, exponent: Any, like: Any) -> Any:  # noqa: ARG001
    """Return 2 to a whole power, by writing the exponent into the bits of a number of the type of `like`."""
    if like not in (types.float32, types.float64):
        raise TypingError("power_of_two needs a float32 or float64")
    bits, bias, place = (32, 127, 23) if like == types.float32 else (64, 1023, 52)

    def build(_target: Any, builder: Any, _signature: Any, arguments: Any) -> Any:
        whole = ir.IntType(bits)
        real = ir.FloatType() if bits == 32 else ir.DoubleType()
        power = builder.add(builder.fptosi(arguments[0], whole), ir.Constant(whole, bias))
        return builder.bitcast(builder.shl(power, ir.Constant(whole, place)), real)

    return like(like, like), build


@njit(fastmath=FAST, forceinline=True)
def exp_single(x):
    """Return exp(x) in single precision; the loops over rows cannot be vectorised around a library call."""
    x = min(max(x, np.float32(-87.0)), np.float32(88.0))
    n = np.floor(x * np.float32(LOG2E) + np.float32(0.5))
    r = x - n * np.float32(LN2_HIGH) - n * np.float32(LN2_LOW)
    p = np.float32(1 / 5040)
    for c in (1 / 720, 1 / 120, 1 / 24, 1 / 6, 1 / 2, 1.0, 1.0):
        p = p * r + np.float32(c)
    return p * power_of_two(n, x)


@njit(fastmath=FAST, forceinline=True)
def exp_double(x):
    """Return exp(x) in double precision."""
    x = min(max(x, -708.0), 709.0)
    n = np.floor(x * LOG2E + 0.5)
    r = x - n * LN2_HIGH - n * LN2_LOW
    p = 1 / 6227020800
    for c in (1 / 479001600, 1 / 39916800, 1 / 3628800, 1 / 362880, 1 / 40320, 1 / 5040, 1 / 720, 1 / 120, 1 / 24, 1 / 6, 1 / 2, 1.0, 1.0):  # fmt: skip
        p = p * r + c
    return p * power_of_two(n, x)


def exponential(x):
    """Return exp(x) in the precision of x."""
    return np.exp(x)


# Numba wants a function here whose argument has the name of the one above.
@overload(exponential, jit_options={"fastmath": FAST, "forceinline": True})
def _of_its_type(x):
    if x == types.float32:
        return lambda x: exp_single(x)  # noqa: PLW0108
    return lambda x: exp_double(x)  # noqa: PLW0108


@inner()
def add_priors(position, prior, value, gradient):
    """Write values and the priors' gradient of every coordinate; return their log-density, constants left out."""
    total = 0.0
    for i in range(len(position)):
        value[i] = position[i]
        z = (position[i] - prior.mean[i]) * prior.precision[i]
        total -= z * z / 2
        gradient[i] = -z * prior.precision[i]
    for i in prior.positive:
        z = (position[i] - prior.mean[i]) * prior.precision[i]
        value[i] = math.exp(position[i])
        total += z * z / 2 + position[i]
        z, tail = (value[i] - prior.mean[i]) * prior.precision[i], prior.tail[i]
        if tail > 0:
            total -= (tail + 1) / 2 * math.log1p(z * z / tail)
            gradient[i] = 1 - (tail + 1) * z / (tail + z * z) * prior.precision[i] * value[i]
        else:
            total -= z * z / 2
            gradient[i] = 1 - z * prior.precision[i] * value[i]
    return total


@inner()
def set_levels(rows, tile, group, country, period, eta):
    """Write the log rates of average values of the terms, run by run."""
    start, g = rows.bounds[tile], rows.group[tile]
    eta0, eta1, eta2 = eta[0], eta[1], eta[2]
    for r in range(rows.runs[tile], rows.runs[tile + 1]):
        k, p = rows.country[r], rows.period[r]
        level0 = group[0, g] + country[0, k] + period[0, p]
        level1 = group[1, g] + country[1, k] + period[1, p]
        level2 = group[2, g] + country[2, k] + period[2, p]
        for i in range(rows.run_bounds[r] - start, rows.run_bounds[r + 1] - start):
            eta0[i] = level0
            eta1[i] = level1
            eta2[i] = level2


@inner(fastmath=False)
def sum_levels(rows, tile, residual, d_group, d_country, d_period):
    """Add the gradient of the levels; the runs are too short for the vector unit, so their sums keep the written order."""
    start, g = rows.bounds[tile], rows.group[tile]
    r0, r1, r2 = residual[0], residual[1], residual[2]
    for r in range(rows.runs[tile], rows.runs[tile + 1]):
        k, p = rows.country[r], rows.period[r]
        s0 = s1 = s2 = residual.dtype.type(0)
        for i in range(rows.run_bounds[r] - start, rows.run_bounds[r + 1] - start):
            s0 += r0[i]
            s1 += r1[i]
            s2 += r2[i]
        for c, total in ((0, s0), (1, s1), (2, s2)):
            d_group[c, g] += total
            d_country[c, k] += total
            d_period[c, p] += total


@inner()
def term_of(static, start, t, n):
    """Return a static term's values in a tile."""
    return static[start + t * n : start + (t + 1) * n]


@inner()
def add_static(weight, static, start, n, known, eta):
    """Add the static terms to the log rates, three terms and three causes in one loop, which fill the registers."""
    eta0, eta1, eta2 = eta[0], eta[1], eta[2]
    for t in range(0, known, 3):
        a, b, c = term_of(static, start, t, n), term_of(static, start, t + 1, n), term_of(static, start, t + 2, n)
        a0, a1, a2 = weight[t, 0], weight[t, 1], weight[t, 2]
        b0, b1, b2 = weight[t + 1, 0], weight[t + 1, 1], weight[t + 1, 2]
        c0, c1, c2 = weight[t + 2, 0], weight[t + 2, 1], weight[t + 2, 2]
        for i in range(n):
            eta0[i] += a0 * a[i] + b0 * b[i] + c0 * c[i]
            eta1[i] += a1 * a[i] + b1 * b[i] + c1 * c[i]
            eta2[i] += a2 * a[i] + b2 * b[i] + c2 * c[i]


@inner()
def dot_static(static, start, n, known, residual, d_weight):
    """Add the gradient of the static terms' weights, three terms and three causes in one loop."""
    r0, r1, r2 = residual[0], residual[1], residual[2]
    for t in range(0, known, 3):
        a, b, c = term_of(static, start, t, n), term_of(static, start, t + 1, n), term_of(static, start, t + 2, n)
        a0 = a1 = a2 = b0 = b1 = b2 = c0 = c1 = c2 = static.dtype.type(0)
        for i in range(n):
            a0 += a[i] * r0[i]
            a1 += a[i] * r1[i]
            a2 += a[i] * r2[i]
            b0 += b[i] * r0[i]
            b1 += b[i] * r1[i]
            b2 += b[i] * r2[i]
            c0 += c[i] * r0[i]
            c1 += c[i] * r1[i]
            c2 += c[i] * r2[i]
        for u, s0, s1, s2 in ((t, a0, a1, a2), (t + 1, b0, b1, b2), (t + 2, c0, c1, c2)):
            d_weight[u, 0] += s0
            d_weight[u, 1] += s1
            d_weight[u, 2] += s2


@inner()
def columns_of(moving):
    """Return how many columns the moving terms are made of."""
    if moving is None:
        return 0
    return len(moving.centre) + len(moving.factors)


@inner()
def move_columns(rows, moving, value, error, tile, column):
    """Write the columns of a tile: true values of the uncertain indicators, then the factors known without error.

    Each error is first copied along its run, because the runs are too short for the vector unit.
    """
    start, stop, latent = rows.bounds[tile], rows.bounds[tile + 1], len(moving.centre)
    for k in range(latent):
        x, centre, spread = column[k], moving.centre[k, start:stop], moving.spread[k, start:stop]
        for r in range(rows.runs[tile], rows.runs[tile + 1]):
            shift = value[error + rows.spell[r] * latent + k]
            for i in range(rows.run_bounds[r] - start, rows.run_bounds[r + 1] - start):
                x[i] = shift
        for i in range(stop - start):
            x[i] = centre[i] + spread[i] * x[i]
    for k in range(len(moving.factors)):
        x, factor = column[latent + k], moving.factors[k, start:stop]
        for i in range(stop - start):
            x[i] = factor[i]


@inner()
def pull_columns(rows, moving, tile, d_column, error, d_value):
    """Add the gradient of a tile's coding errors; the sums of several errors run side by side."""
    start, latent = rows.bounds[tile], len(moving.centre)
    for r in range(rows.runs[tile], rows.runs[tile + 1]):
        place = error + rows.spell[r] * latent
        for i in range(rows.run_bounds[r], rows.run_bounds[r + 1]):
            for k in range(latent):
                d_value[place + k] += d_column[k, i - start] * moving.spread[k, i]


@inner()
def add_moving(rows, moving, value, error, tile, weight, column, n, eta):
    """Add the moving terms to the log rates. Where everything is known Numba leaves the body out: a panel compiles sooner."""
    if moving is not None:
        move_columns(rows, moving, value, error, tile, column)
        eta0, eta1, eta2 = eta[0], eta[1], eta[2]
        for m in range(len(moving.first)):
            a, b, t = column[moving.first[m]], column[moving.second[m]], rows.known + m
            w0, w1, w2 = weight[t, 0], weight[t, 1], weight[t, 2]
            for i in range(n):
                term = a[i] * b[i]
                eta0[i] += w0 * term
                eta1[i] += w1 * term
                eta2[i] += w2 * term


@inner()
def dot_moving(rows, moving, weight, column, n, residual, d_weight, d_column):
    """Write the gradient of the moving terms: of their weights, and of the columns that they are made of."""
    for k in range(len(d_column)):
        for i in range(n):
            d_column[k, i] = 0
    r0, r1, r2 = residual[0], residual[1], residual[2]
    for m in range(len(moving.first)):
        a, b, t = column[moving.first[m]], column[moving.second[m]], rows.known + m
        da, db = d_column[moving.first[m]], d_column[moving.second[m]]
        w0, w1, w2 = weight[t, 0], weight[t, 1], weight[t, 2]
        s0 = s1 = s2 = column.dtype.type(0)
        for i in range(n):
            term = a[i] * b[i]
            s0 += term * r0[i]
            s1 += term * r1[i]
            s2 += term * r2[i]
            pull = w0 * r0[i] + w1 * r1[i] + w2 * r2[i]
            da[i] += pull * b[i]
            db[i] += pull * a[i]
        d_weight[t, 0] += s0
        d_weight[t, 1] += s1
        d_weight[t, 2] += s2


@inner()
def pull_moving(rows, moving, tile, weight, column, n, residual, d_weight, d_column, error, d_value):
    """Add the gradient of the moving terms' weights and of the coding errors."""
    if moving is not None:
        dot_moving(rows, moving, weight, column, n, residual, d_weight, d_column)
        pull_columns(rows, moving, tile, d_column, error, d_value)


@inner()
def compare_rates(exposure, events, start, stop, eta):
    """Turn log rates into events less expected events; return the tile's log-likelihood."""
    total, time = 0.0, exposure[start:stop]
    for c in range(CAUSES):
        rate, seen, part = eta[c], events[c, start:stop], exposure.dtype.type(0)
        for i in range(stop - start):
            expected = time[i] * exponential(rate[i])
            part += seen[i] * rate[i] - expected
            rate[i] = seen[i] - expected
        total += part
    return total


@once()
def add_onsets(rows, value, error, group, country, period, weight, d_value, d_group, d_country, d_period, d_weight):
    """Return the log-likelihood of all onsets and other exits, and add its gradient to the arrays named d_.

    `group`, `country` and `period` (cause x level), `weight` (group x term x cause); coding errors begin at place `error` of
    `value`.
    """
    # A width that is no power of two keeps the columns of one row in different sets of the cache.
    longest, moving, real = rows.longest + 16, rows.moving, rows.static.dtype
    eta = np.empty((CAUSES, longest), real)
    column = np.empty((columns_of(moving), longest), real)
    d_column = np.empty((columns_of(moving), longest), real)
    total = 0.0
    for tile in range(len(rows.group)):
        start, stop, g = rows.bounds[tile], rows.bounds[tile + 1], rows.group[tile]
        n, place = stop - start, start * rows.known
        set_levels(rows, tile, group, country, period, eta)
        add_static(weight[g], rows.static, place, n, rows.known, eta)
        add_moving(rows, moving, value, error, tile, weight[g], column, n, eta)
        total += compare_rates(rows.exposure, rows.events, start, stop, eta)
        sum_levels(rows, tile, eta, d_group, d_country, d_period)
        dot_static(rows.static, place, n, rows.known, eta, d_weight[g])
        pull_moving(rows, moving, tile, weight[g], column, n, eta, d_weight[g], d_column, error, d_value)
    return total


@inner()
def log_sigmoid(x):
    """Return log p and p of p = 1 / (1 + exp(-x)), without overflow."""
    small = math.exp(-abs(x))
    log_p = min(x, 0.0) - math.log(1 + small)
    return log_p, (1 if x > 0 else small) / (1 + small)


@njit
def log_upper_tail(z):
    """Return the log of a standard normal's upper tail and its derivative."""
    if z > 12:  # the tail underflows long after its asymptotic series is exact to double precision
        series = -1 / z**2 + 2.5 / z**4 - 37 / 3 / z**6
        log_tail = -z * z / 2 - HALF_LOG_2PI - math.log(z) + series
    else:
        log_tail = math.log(0.5 * math.erfc(z * ROOT_HALF))
    return log_tail, -math.exp(-z * z / 2 - HALF_LOG_2PI - log_tail)


@inner()
def add_result(result, score, low, high, odds):
    """Return log P(result) of an ordered logit with two cut points, and its derivatives by score, low and high.

    `odds` is exp(high - low) - 1.
    """
    if result == REMOVED:
        value, p = log_sigmoid(score - high)
        return value, 1 - p, 0.0, p - 1
    if result != CONCESSION:
        value, p = log_sigmoid(low - score)
        return value, p - 1, 1 - p, 0.0
    above, a = log_sigmoid(score - low)
    below, b = log_sigmoid(high - score)
    return above + below + math.log(odds / (odds + 1)), b - a, a - 1 - 1 / odds, 1 - b + 1 / odds


@inner()
def add_pending(logit, days, mean, shift, sd):
    """Return the log-likelihood of a challenge that goes on, and its derivatives by logit, mean, shift and log sd."""
    z1, z0 = (days - mean - shift) / sd, (days - mean) / sd
    tail1, slope1 = log_upper_tail(z1)
    tail0, slope0 = log_upper_tail(z0)
    chance = log_sigmoid(logit)
    removes, fails = chance[0] + tail1, chance[0] - logit + tail0
    top = max(removes, fails)
    value = top + math.log(math.exp(removes - top) + math.exp(fails - top))
    share = math.exp(removes - value)
    by_shift = -share * slope1 / sd
    by_mean = by_shift - (1 - share) * slope0 / sd
    return value, share - chance[1], by_mean, by_shift, -share * slope1 * z1 - (1 - share) * slope0 * z0


@once()
def add_cases(cases, o, value, group_effect, beta, d_value, d_group, d_beta):
    """Return the log-likelihood of results and lengths, and add its gradient to the arrays named d_."""
    total = 0.0
    for k in range(len(cases.bounds) - 1):
        total += add_kind(cases, k, o, value, group_effect, beta, d_value, d_group, d_beta)
    return total


@inner()
def add_kind(cases, k, o, value, group_effect, beta, d_value, d_group, d_beta):
    """Return the log-likelihood of the challenges of one kind, and add its gradient."""
    low, high, odds = value[o.cut + k], value[o.cut + k] + value[o.gap + k], math.expm1(value[o.gap + k])
    mean, sd, shift = value[o.log_days + k], value[o.log_days_sd + k], value[o.removal + k]
    total, d_low, d_high, d_mean, d_sd, d_shift, log_sd = 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, math.log(sd)
    x, dx = np.empty(cases.centre.shape[1]), np.empty(cases.centre.shape[1])
    for i in range(cases.bounds[k], cases.bounds[k + 1]):
        g, error = cases.group[i], o.error + cases.spell[i] * o.latents
        for j in range(len(x)):
            x[j], dx[j] = cases.centre[i, j], 0.0
        for m in range(len(cases.latent)):
            if cases.latent[m] >= 0:
                x[cases.latent[m]] += cases.spread[i, m] * value[error + m]
        score = group_effect[k, g]
        for e in range(len(beta)):
            if cases.target[e] == k:
                score += beta[e] * x[cases.first[e]] * x[cases.second[e]]
        pull = 0.0
        if cases.result[i] >= 0:
            part, pull, by_low, by_high = add_result(cases.result[i], score, low, high, odds)
            total += part
            d_low += by_low
            d_high += by_high
        if cases.begun[i] and cases.ended[i]:
            removed = 1.0 if cases.result[i] == REMOVED else 0.0
            z = (cases.log_days[i] - mean - removed * shift) / sd
            total -= z * z / 2 + log_sd
            d_mean += z / sd
            d_shift += removed * z / sd
            d_sd += (z * z - 1) / sd
        elif cases.begun[i]:
            part, by_logit, by_mean, by_shift, by_log_sd = add_pending(score - high, cases.log_days[i], mean, shift, sd)
            total += part
            pull += by_logit
            d_high -= by_logit
            d_mean += by_mean
            d_shift += by_shift
            d_sd += by_log_sd / sd
        d_group[k, g] += pull
        for e in range(len(beta)):
            if cases.target[e] == k:
                a, b = cases.first[e], cases.second[e]
                d_beta[e] += pull * x[a] * x[b]
                dx[a] += pull * beta[e] * x[b]
                dx[b] += pull * beta[e] * x[a]
        for m in range(len(cases.latent)):
            if cases.latent[m] >= 0:
                d_value[error + m] += dx[cases.latent[m]] * cases.spread[i, m]
    d_value[o.cut + k] += d_low + d_high
    d_value[o.gap + k] += d_high
    d_value[o.log_days + k] += d_mean
    d_value[o.log_days_sd + k] += d_sd
    d_value[o.removal + k] += d_shift
    return total


class Layout(NamedTuple):
    """Where each block of parameters begins in the vector of coordinates, and how long the levels are."""

    error: int  # (spell x latent)
    baseline: int  # (cause)
    period_sd: int  # (cause)
    period: int  # (cause x period)
    drift: int  # (cause), where the walk has a trend
    group_sd: int
    group: int  # (cause x group)
    country_sd: int
    country: int  # (cause x country)
    beta: int  # (effect)
    beta_global: int  # (cause), where effects are shrunk
    beta_local: int  # (effect), where each has its own scale
    slope_sd: int
    slope: int  # (slope x group)
    cut: int  # (kind)
    gap: int  # (kind)
    result_sd: int
    result_group: int  # (kind x group)
    result_beta: int  # (result effect)
    result_global: int
    result_local: int
    log_days: int  # (kind)
    log_days_sd: int
    removal: int
    end: int
    periods: int
    groups: int
    countries: int
    spells: int
    latents: int
    effects: int
    result_effects: int
    decades: float  # length of a period


class Shrinkage(NamedTuple):
    """How a stage's effects come from their coordinates on a common scale or on scales of their own; None in its place: as they are."""

    form: int  # RIDGE or HORSESHOE
    mean: Any  # (effect)
    slab: Any  # (effect): the largest scale
    target: Any  # (effect): whose common scale


RIDGE, HORSESHOE = 1, 2


@inner()
def scale_of(shrinkage, value, common, local, e):
    """Return an effect's scale under shrinkage and its derivatives by its common and its own scale."""
    tau, slab = value[common + shrinkage.target[e]], shrinkage.slab[e]
    if shrinkage.form == RIDGE:
        return tau * slab, slab, 0.0
    own = value[local + e]
    root = math.sqrt(slab * slab + tau * tau * own * own)
    steep = (slab / root) ** 3
    return slab * tau * own / root, steep * own, steep * tau


@inner()
def shrink(shrinkage, value, start, common, local, count):
    """Return the effects of a stage."""
    beta = np.empty(count)
    for e in range(count):
        beta[e] = value[start + e]
    if shrinkage is not None:
        for e in range(count):
            beta[e] = shrinkage.mean[e] + beta[e] * scale_of(shrinkage, value, common, local, e)[0]
    return beta


@inner()
def pull_shrink(shrinkage, value, start, common, local, d_beta, d_value):
    """Carry the gradient of a stage's effects back to their coordinates."""
    if shrinkage is None:
        for e in range(len(d_beta)):
            d_value[start + e] += d_beta[e]
    else:
        for e in range(len(d_beta)):
            scale, by_common, by_local = scale_of(shrinkage, value, common, local, e)
            d_value[start + e] += d_beta[e] * scale
            d_scale = d_beta[e] * value[start + e]
            d_value[common + shrinkage.target[e]] += d_scale * by_common
            if shrinkage.form == HORSESHOE:
                d_value[local + e] += d_scale * by_local


@inner()
def spread_out(value, sd, start, rows, columns):
    """Return effects of levels: a spread for each row of a table times its coordinates."""
    effect = np.empty((rows, columns))
    for r in range(rows):
        for c in range(columns):
            effect[r, c] = value[sd + r] * value[start + r * columns + c]
    return effect


@inner()
def pull_spread(value, sd, start, d_effect, d_value):
    """Carry the gradient of effects of levels back to their spreads and coordinates."""
    rows, columns = d_effect.shape
    for r in range(rows):
        for c in range(columns):
            d_value[start + r * columns + c] += d_effect[r, c] * value[sd + r]
            d_value[sd + r] += d_effect[r, c] * value[start + r * columns + c]


@inner()
def walk_out(value, o):
    """Return the calendar effects: random walks that are zero in the last period."""
    walk = spread_out(value, o.period_sd, o.period, CAUSES, o.periods)
    for c in range(CAUSES):
        for p in range(1, o.periods):
            walk[c, p] += walk[c, p - 1]
        end, trend = walk[c, o.periods - 1], value[o.drift + c] * o.decades if o.group_sd > o.drift else 0.0
        for p in range(o.periods):
            walk[c, p] -= end + trend * (o.periods - 1 - p)
    return walk


@inner()
def pull_walk(value, o, d_period, d_value):
    """Carry the gradient of the calendar effects back to their steps."""
    for c in range(CAUSES):
        total, trend = 0.0, 0.0
        for p in range(o.periods):
            total += d_period[c, p]
            trend -= d_period[c, p] * (o.periods - 1 - p) * o.decades
        if o.group_sd > o.drift:
            d_value[o.drift + c] += trend
        d_period[c, o.periods - 1] -= total
        for p in range(o.periods - 2, -1, -1):
            d_period[c, p] += d_period[c, p + 1]
    pull_spread(value, o.period_sd, o.period, d_period, d_value)


@once()
def onset_stage(value, o, rows, shrinkage, d_value):
    """Return the onset stage's log-likelihood and add its gradient by the values."""
    group = spread_out(value, o.group_sd, o.group, CAUSES, o.groups)
    country = spread_out(value, o.country_sd, o.country, CAUSES, o.countries)
    slope = spread_out(value, o.slope_sd, o.slope, len(rows.slope), o.groups)
    period, beta = walk_out(value, o), shrink(shrinkage, value, o.beta, o.beta_global, o.beta_local, o.effects)
    weight = np.zeros((o.groups, rows.terms, CAUSES), rows.static.dtype)
    for g in range(o.groups):
        for c in range(CAUSES):
            group[c, g] += value[o.baseline + c]
        for e in range(o.effects):
            weight[g, rows.effect[e, 0], rows.effect[e, 1]] += beta[e]
        for k in range(len(rows.slope)):
            e = rows.slope[k]
            weight[g, rows.effect[e, 0], rows.effect[e, 1]] += slope[k, g]
    d_group, d_country, d_period = np.zeros(group.shape), np.zeros(country.shape), np.zeros(period.shape)
    d_slope, d_beta, d_weight = np.zeros(slope.shape), np.zeros(o.effects), np.zeros(weight.shape)
    total = add_onsets(rows, value, o.error, group, country, period, weight, d_value, d_group, d_country, d_period, d_weight)  # fmt: skip
    for g in range(o.groups):
        for c in range(CAUSES):
            d_value[o.baseline + c] += d_group[c, g]
        for e in range(o.effects):
            d_beta[e] += d_weight[g, rows.effect[e, 0], rows.effect[e, 1]]
        for k in range(len(rows.slope)):
            e = rows.slope[k]
            d_slope[k, g] = d_weight[g, rows.effect[e, 0], rows.effect[e, 1]]
    pull_shrink(shrinkage, value, o.beta, o.beta_global, o.beta_local, d_beta, d_value)
    pull_spread(value, o.group_sd, o.group, d_group, d_value)
    pull_spread(value, o.country_sd, o.country, d_country, d_value)
    pull_spread(value, o.slope_sd, o.slope, d_slope, d_value)
    pull_walk(value, o, d_period, d_value)
    return total


@once()
def result_stage(value, o, cases, shrinkage, d_value):
    """Return the result stage's log-likelihood and add its gradient by the values."""
    kinds = o.gap - o.cut
    group = spread_out(value, o.result_sd, o.result_group, kinds, o.groups)
    beta = shrink(shrinkage, value, o.result_beta, o.result_global, o.result_local, o.result_effects)
    d_group, d_beta = np.zeros(group.shape), np.zeros(o.result_effects)
    total = add_cases(cases, o, value, group, beta, d_value, d_group, d_beta)
    pull_shrink(shrinkage, value, o.result_beta, o.result_global, o.result_local, d_beta, d_value)
    pull_spread(value, o.result_sd, o.result_group, d_group, d_value)
    return total


@structref.register
class ProblemType(types.StructRef):
    """Numba's type of a Problem."""


class Problem(structref.StructRefProxy):
    """All that a log-density needs, kept where compiled code finds it: to hand over the arrays at each call takes ten times as long."""


structref.define_proxy(Problem, ProblemType, ["layout", "prior", "rows", "cases", "onset", "result"])


@njit(cache=True)
def state_problem(layout, prior, rows, cases, onset, result):
    """Return a Problem.

    Parameters
    ----------
    layout : Layout
    prior : Prior
    rows : Rows
    cases : Cases
    onset, result : Shrinkage or None
    """
    return Problem(layout, prior, rows, cases, onset, result)


@njit(fastmath=FAST, error_model="numpy", cache=True, nogil=True)
def log_density(problem, position):
    """Return the log-density at a point of the unconstrained space, and its gradient.

    Parameters
    ----------
    problem : Problem
    position : array (coordinate)

    Returns
    -------
    float
        Constants left out.
    array (coordinate)
    """
    size, layout, prior = len(position), problem.layout, problem.prior
    value, gradient, d_value = np.empty(size), np.empty(size), np.zeros(size)
    total = add_priors(position, prior, value, gradient)
    total += onset_stage(value, layout, problem.rows, problem.onset, d_value)
    total += result_stage(value, layout, problem.cases, problem.result, d_value)
    for i in prior.positive:
        d_value[i] *= value[i]
    for i in range(size):
        gradient[i] += d_value[i]
    return total, gradient
