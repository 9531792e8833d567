"""The log-density of the whole model and its gradient: one pass over the rows, one over the challenges.

Sampling spends nearly all its time in this one function, so it is written as loops that Numba compiles
once for all data: shapes and data are arguments, so another study or origin compiles nothing, and the
compiled code is kept on disk. `model.build_model` states the same model in PyMC, and the tests hold value and
gradient of the two against each other. Rows are worked off in tiles of one group; inside a tile every
step is a loop along the rows that runs on the machine's vector unit, in the precision of the data given.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np
from llvmlite import ir
from numba import njit, types
from numba.core.errors import TypingError
from numba.extending import intrinsic, overload

# Sums may be reordered and multiplications fused; infinities and NaN keep their meaning.
FAST = {"reassoc", "contract", "nsz", "arcp"}
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


class Rows(NamedTuple):
    """The onset stage; rows sorted by group, so that a tile has one set of effects.

    A term is static when it is known without error: then it is a row of `static`. The others are products of
    two columns: first those of the uncertain indicators, then those of `factors`.
    """

    longest: int  # rows of the longest tile
    bounds: Any  # (tile + 1): first row of each tile, and the end of the last
    group: Any  # (tile)
    runs: Any  # (tile + 1): first run of each tile; a run is rows of one spell in one tile
    run_bounds: Any  # (run + 1)
    run_spell: Any  # (run)
    country: Any  # (row)
    period: Any  # (row)
    exposure: Any  # (row)
    events: Any  # (cause x row)
    static: Any  # (static term x row)
    centre: Any  # (latent x row)
    spread: Any  # (latent x row)
    factors: Any  # (factor x row)
    first: Any  # (moving term): a column
    second: Any  # (moving term): a column
    effect: Any  # (effect x 2): term, static ones first, and cause
    slope: Any  # (slope): the effect that varies


class Cases(NamedTuple):
    """The result stage: one line for each challenge."""

    kind: Any
    spell: Any
    group: Any
    result: Any  # -1 while it goes on
    begun: Any  # under this leader
    ended: Any
    log_days: Any
    centre: Any  # (challenge x indicator)
    spread: Any  # (challenge x latent)
    latent: Any  # (latent): position among the indicators
    first: Any  # (effect): an indicator
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


@njit(fastmath=FAST, inline="always")
def exp_single(x):
    """Return exp(x) in single precision; the loops over rows cannot be vectorised around a library call."""
    x = min(max(x, np.float32(-87.0)), np.float32(88.0))
    n = np.floor(x * np.float32(LOG2E) + np.float32(0.5))
    r = x - n * np.float32(LN2_HIGH) - n * np.float32(LN2_LOW)
    p = np.float32(1 / 5040)
    for c in (1 / 720, 1 / 120, 1 / 24, 1 / 6, 1 / 2, 1.0, 1.0):
        p = p * r + np.float32(c)
    return p * power_of_two(n, x)


@njit(fastmath=FAST, inline="always")
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
@overload(exponential, jit_options={"fastmath": FAST})
def _of_its_type(x):
    if x == types.float32:
        return lambda x: exp_single(x)  # noqa: PLW0108
    return lambda x: exp_double(x)  # noqa: PLW0108


@njit(fastmath=FAST)
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


@njit(fastmath=FAST)
def gather(index, effect, start, stop, eta):
    """Add the effects of a level to the log rates."""
    for i in range(start, stop):
        k = index[i]
        for c in range(CAUSES):
            eta[c, i - start] += effect[c, k]


@njit(fastmath=FAST)
def scatter(index, residual, start, stop, d_effect):
    """Add the gradient of a level's effects, all causes at once."""
    for i in range(start, stop):
        k = index[i]
        for c in range(CAUSES):
            d_effect[c, k] += residual[c, i - start]


@njit(fastmath=FAST)
def add_static(weight, static, start, stop, eta):
    """Add the known terms to the log rates, four terms at a time so that each rate is loaded once for four."""
    n, terms = stop - start, static.shape[0]
    for c in range(CAUSES):
        out = eta[c]
        t = 0
        while t + 4 <= terms:
            w0, w1, w2, w3 = weight[t, c], weight[t + 1, c], weight[t + 2, c], weight[t + 3, c]
            a0, a1 = static[t, start:stop], static[t + 1, start:stop]
            a2, a3 = static[t + 2, start:stop], static[t + 3, start:stop]
            for i in range(n):
                out[i] += w0 * a0[i] + w1 * a1[i] + w2 * a2[i] + w3 * a3[i]
            t += 4
        while t < terms:
            w0, a0 = weight[t, c], static[t, start:stop]
            for i in range(n):
                out[i] += w0 * a0[i]
            t += 1


@njit(fastmath=FAST)
def dot_static(static, start, stop, residual, d_weight):
    """Add the gradient of the known terms' weights, all causes in one pass over a term."""
    n = stop - start
    r0, r1, r2 = residual[0], residual[1], residual[2]
    for t in range(static.shape[0]):
        a = static[t, start:stop]
        s0, s1, s2 = a.dtype.type(0), a.dtype.type(0), a.dtype.type(0)
        for i in range(n):
            s0 += a[i] * r0[i]
            s1 += a[i] * r1[i]
            s2 += a[i] * r2[i]
        d_weight[t, 0] += s0
        d_weight[t, 1] += s1
        d_weight[t, 2] += s2


@njit(fastmath=FAST)
def move_columns(rows, error, tile, column):
    """Write the columns of a tile: true values of the uncertain indicators, then the factors known without error.

    Each error is first copied along its run, because the runs are too short for the vector unit.
    """
    start, stop, latent = rows.bounds[tile], rows.bounds[tile + 1], len(rows.centre)
    for k in range(latent):
        x, centre, spread = column[k], rows.centre[k, start:stop], rows.spread[k, start:stop]
        for r in range(rows.runs[tile], rows.runs[tile + 1]):
            shift = error[k, rows.run_spell[r]]
            for i in range(rows.run_bounds[r] - start, rows.run_bounds[r + 1] - start):
                x[i] = shift
        for i in range(stop - start):
            x[i] = centre[i] + spread[i] * x[i]
    for k in range(len(rows.factors)):
        x, factor = column[latent + k], rows.factors[k, start:stop]
        for i in range(stop - start):
            x[i] = factor[i]


@njit(fastmath=FAST)
def pull_columns(rows, tile, d_column, d_error):
    """Add the gradient of a tile's coding errors; the sums of several errors run side by side."""
    start, latent = rows.bounds[tile], len(rows.centre)
    for r in range(rows.runs[tile], rows.runs[tile + 1]):
        spell = rows.run_spell[r]
        for i in range(rows.run_bounds[r], rows.run_bounds[r + 1]):
            for k in range(latent):
                d_error[spell, k] += d_column[k, i - start] * rows.spread[k, i]


@njit(fastmath=FAST)
def add_moving(rows, weight, column, n, eta):
    """Add the terms that hold an uncertain indicator to the log rates."""
    known = len(rows.static)
    for m in range(len(rows.first)):
        a, b = column[rows.first[m]], column[rows.second[m]]
        w0, w1, w2 = weight[known + m, 0], weight[known + m, 1], weight[known + m, 2]
        for i in range(n):
            term = a[i] * b[i]
            eta[0, i] += w0 * term
            eta[1, i] += w1 * term
            eta[2, i] += w2 * term


@njit(fastmath=FAST)
def dot_moving(rows, weight, column, n, residual, d_weight, d_column):
    """Add the gradient of the moving terms: of their weights, and of the columns that they are made of."""
    known = len(rows.static)
    for m in range(len(rows.first)):
        a, b = column[rows.first[m]], column[rows.second[m]]
        da, db = d_column[rows.first[m]], d_column[rows.second[m]]
        w0, w1, w2 = weight[known + m, 0], weight[known + m, 1], weight[known + m, 2]
        s0, s1, s2 = a.dtype.type(0), a.dtype.type(0), a.dtype.type(0)
        for i in range(n):
            term = a[i] * b[i]
            s0 += term * residual[0, i]
            s1 += term * residual[1, i]
            s2 += term * residual[2, i]
            pull = w0 * residual[0, i] + w1 * residual[1, i] + w2 * residual[2, i]
            da[i] += pull * b[i]
            db[i] += pull * a[i]
        d_weight[known + m, 0] += s0
        d_weight[known + m, 1] += s1
        d_weight[known + m, 2] += s2


@njit(fastmath=FAST)
def compare_rates(rows, start, stop, eta, residual):
    """Write events less expected events of each row; return the tile's log-likelihood."""
    total = 0.0
    for c in range(CAUSES):
        part = eta.dtype.type(0)
        for i in range(start, stop):
            rate = rows.exposure[i] * exponential(eta[c, i - start])
            part += rows.events[c, i] * eta[c, i - start] - rate
            residual[c, i - start] = rows.events[c, i] - rate
        total += part
    return total


@njit(fastmath=FAST)
def add_onsets(rows, base, country, period, weight, error, d_base, d_country, d_period, d_weight, d_error):
    """Return the log-likelihood of all onsets and other exits, and add its gradient to the arrays named d_.

    `base` (cause x group), `country` (cause x country), `period` (cause x period), `weight` (group x term x cause),
    `error` (latent x spell), but `d_error` (spell x latent).
    """
    # A width that is no power of two keeps the columns of one row in different sets of the cache.
    longest, latent, real = rows.longest + 16, len(rows.centre), rows.static.dtype
    eta, residual = np.empty((CAUSES, longest), real), np.empty((CAUSES, longest), real)
    column = np.empty((latent + len(rows.factors), longest), real)
    d_column = np.empty((latent + len(rows.factors), longest), real)
    total = 0.0
    for tile in range(len(rows.group)):
        start, stop, g = rows.bounds[tile], rows.bounds[tile + 1], rows.group[tile]
        for c in range(CAUSES):
            for i in range(stop - start):
                eta[c, i] = base[c, g]
        gather(rows.country, country, start, stop, eta)
        gather(rows.period, period, start, stop, eta)
        add_static(weight[g], rows.static, start, stop, eta)
        if latent:
            move_columns(rows, error, tile, column)
            add_moving(rows, weight[g], column, stop - start, eta)
        total += compare_rates(rows, start, stop, eta, residual)
        scatter(rows.country, residual, start, stop, d_country)
        scatter(rows.period, residual, start, stop, d_period)
        for c in range(CAUSES):
            for i in range(stop - start):
                d_base[c, g] += residual[c, i]
        dot_static(rows.static, start, stop, residual, d_weight[g])
        if latent:
            d_column[:] = 0
            dot_moving(rows, weight[g], column, stop - start, residual, d_weight[g], d_column)
            pull_columns(rows, tile, d_column, d_error)
    return total


@njit
def log_sigmoid(x):
    """Return log(1 / (1 + exp(-x))) without overflow."""
    return -math.log1p(math.exp(-x)) if x > 0 else x - math.log1p(math.exp(x))


@njit
def log_upper_tail(z):
    """Return the log of a standard normal's upper tail and its derivative."""
    if z > 12:  # the tail underflows long after its asymptotic series is exact to double precision
        series = -1 / z**2 + 2.5 / z**4 - 37 / 3 / z**6
        log_tail = -z * z / 2 - HALF_LOG_2PI - math.log(z) + series
    else:
        log_tail = math.log(0.5 * math.erfc(z * ROOT_HALF))
    return log_tail, -math.exp(-z * z / 2 - HALF_LOG_2PI - log_tail)


@njit
def add_result(result, score, low, high):
    """Return log P(result) of an ordered logit with two cut points, and its derivatives by score, low and high."""
    if result == REMOVED:
        value = log_sigmoid(score - high)
        b = -math.expm1(value)
        return value, b, 0.0, -b
    below = log_sigmoid(low - score)
    if result == CONCESSION:
        inside, gap = log_sigmoid(high - score), high - low
        a, b, pull = math.exp(below), math.exp(inside), 1 / math.expm1(gap)
        return below + inside + score - low + math.log(-math.expm1(-gap)), a + b - 1, -a - pull, 1 - b + pull
    a = -math.expm1(below)
    return below, -a, a, 0.0


@njit
def add_pending(logit, days, mean, shift, sd):
    """Return the log-likelihood of a challenge that goes on, and its derivatives by logit, mean, shift and log sd."""
    z1, z0 = (days - mean - shift) / sd, (days - mean) / sd
    tail1, slope1 = log_upper_tail(z1)
    tail0, slope0 = log_upper_tail(z0)
    removes, fails = log_sigmoid(logit) + tail1, log_sigmoid(-logit) + tail0
    top = max(removes, fails)
    value = top + math.log(math.exp(removes - top) + math.exp(fails - top))
    share = math.exp(removes - value)
    chance = math.exp(log_sigmoid(logit))
    by_shift = -share * slope1 / sd
    by_mean = by_shift - (1 - share) * slope0 / sd
    return value, share - chance, by_mean, by_shift, -share * slope1 * z1 - (1 - share) * slope0 * z0


@njit
def add_cases(cases, group_effect, beta, error, cut, gap, mean, sd, shift, d_group, d_beta, d_error, d_cut, d_gap, d_mean, d_sd, d_shift):  # fmt: skip
    """Return the log-likelihood of results and lengths, and add its gradient to the arrays named d_."""
    total = 0.0
    x, dx, log_sd = np.empty(cases.centre.shape[1]), np.empty(cases.centre.shape[1]), np.log(sd)
    for i in range(len(cases.kind)):
        k, s, g = cases.kind[i], cases.spell[i], cases.group[i]
        x[:], dx[:] = cases.centre[i], 0.0
        for m in range(len(cases.latent)):
            x[cases.latent[m]] += cases.spread[i, m] * error[s, m]
        score = group_effect[k, g]
        for e in range(len(beta)):
            if cases.target[e] == k:
                score += beta[e] * x[cases.first[e]] * x[cases.second[e]]
        low, high, pull = cut[k], cut[k] + gap[k], 0.0
        if cases.result[i] >= 0:
            value, pull, by_low, by_high = add_result(cases.result[i], score, low, high)
            total += value
            d_cut[k] += by_low + by_high
            d_gap[k] += by_high
        if cases.begun[i] and cases.ended[i]:
            removed = 1.0 if cases.result[i] == REMOVED else 0.0
            z = (cases.log_days[i] - mean[k] - removed * shift[k]) / sd[k]
            total -= z * z / 2 + log_sd[k]
            d_mean[k] += z / sd[k]
            d_shift[k] += removed * z / sd[k]
            d_sd[k] += (z * z - 1) / sd[k]
        elif cases.begun[i]:
            value, by_logit, by_mean, by_shift, by_log_sd = add_pending(score - high, cases.log_days[i], mean[k], shift[k], sd[k])  # fmt: skip
            total += value
            pull += by_logit
            d_cut[k] -= by_logit
            d_gap[k] -= by_logit
            d_mean[k] += by_mean
            d_shift[k] += by_shift
            d_sd[k] += by_log_sd / sd[k]
        d_group[k, g] += pull
        for e in range(len(beta)):
            if cases.target[e] == k:
                a, b = cases.first[e], cases.second[e]
                d_beta[e] += pull * x[a] * x[b]
                dx[a] += pull * beta[e] * x[b]
                dx[b] += pull * beta[e] * x[a]
        for m in range(len(cases.latent)):
            d_error[s, m] += dx[cases.latent[m]] * cases.spread[i, m]
    return total


class Layout(NamedTuple):
    """Where each block of parameters begins in the vector of coordinates, and how long the levels are."""

    error: int  # (spell x latent)
    baseline: int  # (cause)
    period_sd: int  # (cause)
    period: int  # (cause x period)
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


class Shrinkage(NamedTuple):
    """How a stage's effects come from their coordinates: as they are, on a common scale, or on scales of their own."""

    form: int  # PLAIN, RIDGE or HORSESHOE
    mean: Any  # (effect)
    slab: Any  # (effect): the largest scale
    target: Any  # (effect): whose common scale


PLAIN, RIDGE, HORSESHOE = 0, 1, 2


@njit
def block(vector, start, rows, columns):
    """Return a part of a vector as a table."""
    return vector[start : start + rows * columns].reshape(rows, columns)


@njit
def scale_of(shrinkage, value, common, local, e):
    """Return an effect's scale under shrinkage and its derivatives by its common and its own scale."""
    tau, slab = value[common + shrinkage.target[e]], shrinkage.slab[e]
    if shrinkage.form == RIDGE:
        return tau * slab, slab, 0.0
    own = value[local + e]
    root = math.sqrt(slab * slab + tau * tau * own * own)
    steep = (slab / root) ** 3
    return slab * tau * own / root, steep * own, steep * tau


@njit
def shrink(shrinkage, value, start, common, local, count):
    """Return the effects of a stage."""
    beta = value[start : start + count].copy()
    if shrinkage.form != PLAIN:
        for e in range(count):
            beta[e] = shrinkage.mean[e] + beta[e] * scale_of(shrinkage, value, common, local, e)[0]
    return beta


@njit
def pull_shrink(shrinkage, value, start, common, local, d_beta, d_value):
    """Carry the gradient of a stage's effects back to their coordinates."""
    for e in range(len(d_beta)):
        if shrinkage.form == PLAIN:
            d_value[start + e] += d_beta[e]
            continue
        scale, by_common, by_local = scale_of(shrinkage, value, common, local, e)
        d_value[start + e] += d_beta[e] * scale
        d_scale = d_beta[e] * value[start + e]
        d_value[common + shrinkage.target[e]] += d_scale * by_common
        if shrinkage.form == HORSESHOE:
            d_value[local + e] += d_scale * by_local


@njit
def spread_out(value, sd, start, rows, columns):
    """Return effects of levels: a spread for each row of a table times its coordinates."""
    return block(value, start, rows, columns) * value[sd : sd + rows].reshape(rows, 1)


@njit
def pull_spread(value, sd, start, d_effect, d_value):
    """Carry the gradient of effects of levels back to their spreads and coordinates."""
    rows, columns = d_effect.shape
    for r in range(rows):
        for c in range(columns):
            d_value[start + r * columns + c] += d_effect[r, c] * value[sd + r]
            d_value[sd + r] += d_effect[r, c] * value[start + r * columns + c]


@njit
def walk_out(value, o):
    """Return the calendar effects: random walks that are zero in the last period."""
    walk = spread_out(value, o.period_sd, o.period, CAUSES, o.periods)
    for c in range(CAUSES):
        for p in range(1, o.periods):
            walk[c, p] += walk[c, p - 1]
        walk[c] -= walk[c, -1]
    return walk


@njit
def pull_walk(value, o, d_period, d_value):
    """Carry the gradient of the calendar effects back to their steps."""
    for c in range(CAUSES):
        d_period[c, -1] -= d_period[c].sum()
        for p in range(o.periods - 2, -1, -1):
            d_period[c, p] += d_period[c, p + 1]
    pull_spread(value, o.period_sd, o.period, d_period, d_value)


@njit(fastmath=FAST)
def onset_stage(value, o, rows, shrinkage, d_value):
    """Return the onset stage's log-likelihood and add its gradient by the values."""
    group = spread_out(value, o.group_sd, o.group, CAUSES, o.groups)
    country = spread_out(value, o.country_sd, o.country, CAUSES, o.countries)
    period, beta = walk_out(value, o), shrink(shrinkage, value, o.beta, o.beta_global, o.beta_local, o.effects)
    slope = spread_out(value, o.slope_sd, o.slope, len(rows.slope), o.groups)
    d_group, real = np.zeros_like(group), rows.static.dtype
    weight = np.zeros((o.groups, len(rows.static) + len(rows.first), CAUSES), real)
    for g in range(o.groups):
        for c in range(CAUSES):
            group[c, g] += value[o.baseline + c]
        for e in range(o.effects):
            weight[g, rows.effect[e, 0], rows.effect[e, 1]] += beta[e]
        for k in range(len(rows.slope)):
            e = rows.slope[k]
            weight[g, rows.effect[e, 0], rows.effect[e, 1]] += slope[k, g]
    error, d_error = block(value, o.error, o.spells, o.latents), block(d_value, o.error, o.spells, o.latents)
    d_weight = np.zeros(weight.shape)
    d_country, d_period, d_slope = np.zeros_like(country), np.zeros_like(period), np.zeros_like(slope)
    total = add_onsets(
        rows,
        group,
        country,
        period,
        weight,
        np.ascontiguousarray(error.T).astype(real),
        d_group,
        d_country,
        d_period,
        d_weight,
        d_error,
    )
    d_beta = np.zeros(o.effects)
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


@njit(fastmath=FAST)
def result_stage(value, o, cases, shrinkage, d_value):
    """Return the result stage's log-likelihood and add its gradient by the values."""
    kinds = o.gap - o.cut
    group = spread_out(value, o.result_sd, o.result_group, kinds, o.groups)
    beta = shrink(shrinkage, value, o.result_beta, o.result_global, o.result_local, o.result_effects)
    d_group, d_beta = np.zeros((kinds, o.groups)), np.zeros(o.result_effects)
    total = add_cases(
        cases, group, beta, block(value, o.error, o.spells, o.latents),
        value[o.cut : o.gap], value[o.gap : o.gap + kinds], value[o.log_days : o.log_days_sd],
        value[o.log_days_sd : o.removal], value[o.removal : o.end],
        d_group, d_beta, block(d_value, o.error, o.spells, o.latents),
        d_value[o.cut : o.gap], d_value[o.gap : o.gap + kinds], d_value[o.log_days : o.log_days_sd],
        d_value[o.log_days_sd : o.removal], d_value[o.removal : o.end],
    )  # fmt: skip
    pull_shrink(shrinkage, value, o.result_beta, o.result_global, o.result_local, d_beta, d_value)
    pull_spread(value, o.result_sd, o.result_group, d_group, d_value)
    return total


@njit(fastmath=FAST, cache=True, nogil=True)
def log_density(position, layout, prior, rows, cases, onset, result):
    """Return the log-density at a point of the unconstrained space, and its gradient.

    Parameters
    ----------
    position : array (coordinate)
    layout : Layout
    prior : Prior
    rows : Rows
    cases : Cases
    onset, result : Shrinkage

    Returns
    -------
    float
        Constants left out.
    array (coordinate)
    """
    value, gradient, d_value = np.empty_like(position), np.empty_like(position), np.zeros_like(position)
    total = add_priors(position, prior, value, gradient)
    total += onset_stage(value, layout, rows, onset, d_value)
    total += result_stage(value, layout, cases, result, d_value)
    for i in prior.positive:
        d_value[i] *= value[i]
    for i in range(len(position)):
        gradient[i] += d_value[i]
    return total, gradient
