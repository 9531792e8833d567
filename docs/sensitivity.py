"""Write docs/sensitivity.md and its pictures from what the commands left in build/sensitivity/results and build/scenario.

    forecast scenario; forecast scenario --grid war_balance,sanctions; forecast scenario --curve all; forecast scenario --tipping
    for kind in priors cases coding check multiverse shares calibration; do forecast sensitivity $kind; done
    python docs/sensitivity.py

Nothing is computed here: a part whose command has not been run is left out and named.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd

import forecast
from forecast.files import write_atomically
from forecast.multiverse import read_family
from forecast.sensitivity import SMALL, SMALL_GATE

HERE = Path(__file__).parent
BUILD = forecast.find_study(HERE.parent).build
RESULTS, SCENARIOS = BUILD / "sensitivity" / "results", BUILD / "scenario"
REMOVALS = ("coup", "revolution")
SIDE = {"supported": 1, "leans towards": 1, "the data cannot tell": 0, "leans against": -1, "contradicted": -1}


def read(name: str, folder: Path = RESULTS) -> pd.DataFrame:
    return pd.read_csv(folder / f"{name}.csv").fillna({"warning": "", "move": ""})


def picture(name: str, words: str, folder: Path = RESULTS) -> str:
    write_atomically(
        HERE / "pictures" / f"sensitivity_{name}.svg", (folder / f"{name}.svg").read_text(encoding="utf-8")
    )
    return f"![{words}](pictures/sensitivity_{name}.svg)"


def pct(value: float) -> str:
    return f"{value:.1%}" if abs(value) >= 0.001 or value == 0 else f"{value:.2%}"


def table(frame: pd.DataFrame, **forms: Callable[[float], str]) -> str:
    """Return a Markdown table; columns with a form are numbers."""
    shown = frame.copy()
    for name, form in forms.items():
        shown[name] = ["" if pd.isna(value) else form(value) for value in frame[name]]
    head = [str(name).replace("_", " ") for name in shown.columns]
    rule = ["---:" if name in forms else "---" for name in shown.columns]
    lines = [head, rule, *(map(str, row) for row in shown.itertuples(index=False))]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def wide(frame: pd.DataFrame, label: str, outcomes: tuple[str, ...] = REMOVALS) -> pd.DataFrame:
    """Return one line per case with each removal's probability and 90% interval in words."""
    own = frame[frame["outcome"].isin(outcomes)]
    told = own.assign(told=[f"{pct(r.probability)} ({pct(r.p05)} to {pct(r.p95)})" for r in own.itertuples()])
    return told.drop_duplicates([label, "outcome"]).pivot(index=label, columns="outcome", values="told").reindex(dict.fromkeys(own[label])).reset_index()  # fmt: skip


def moved_most(frame: pd.DataFrame, count: int) -> pd.DataFrame:
    """Return the changes that move a removal most, with the two probabilities and how they were had."""
    own = frame[(frame["kind"] != "base") & frame["outcome"].isin(REMOVALS) & (frame["method"] != "weights (refused)")]
    pivot = own.pivot(index=["change", "method"], columns="outcome", values="probability")
    base = own.groupby("outcome")["base"].first()
    order = (np.log(pivot / base)).abs().max(axis=1).sort_values(ascending=False, kind="stable").index
    return pivot.loc[order].head(count).reset_index()


def base_of(frame: pd.DataFrame) -> tuple[float, float]:
    own = frame[frame["kind"] == "base"].set_index("outcome")["probability"]
    return float(own["coup"]), float(own["revolution"])


def range_words(frame: pd.DataFrame) -> str:
    own = frame[(frame["kind"] != "base") & (frame["method"] != "weights (refused)")]
    ends = {name: own.loc[own["outcome"] == name, "probability"] for name in REMOVALS}
    return " and ".join(
        f"P({name}) between {pct(values.min())} and {pct(values.max())}" for name, values in ends.items()
    )


# --- parts --------------------------------------------------------------------------------------------------------


def scenarios() -> list[str]:
    named, grid = read("scenarios", SCENARIOS), read("grid", SCENARIOS)
    own = named[named["outcome"].isin(REMOVALS)]
    most = own[own["scenario"] != "as it stands"].sort_values("probability").groupby("outcome").last()
    warned = sorted(set(named.loc[named["warning"] != "", "scenario"]))
    first, second = grid.columns[:2]
    removed = grid[grid["outcome"].isin(REMOVALS)]
    widest = removed.groupby("outcome")["probability"].agg(["min", "max"])
    return [
        "## Scenarios", "", ("`forecast scenario` (the scenarios stand in `models/scenarios.toml`; all are answered on the same 1,000 of the fit's draws, so that \"as it stands\" "
        "differs a little from the forecast and differences between them do not)"), "",
        picture("scenarios", "Both removals under each named scenario", SCENARIOS), "",
        table(wide(named, "scenario")), "",
        (f"The scenario that raises P(coup) most is *{most.loc['coup', 'scenario']}* ({pct(most.loc['coup', 'probability'])}), and for a revolution it is "
        f"*{most.loc['revolution', 'scenario']}* ({pct(most.loc['revolution', 'probability'])}). "
        f"Outside what history has shown, and marked so in the result: {', '.join(warned) or 'none'}."),
        "", f"`forecast scenario --grid {first},{second}` (crosses: a warning)", "", picture("grid", f"Every outcome over {first} and {second}", SCENARIOS), "",
        (f"Over the whole grid P(coup) goes from {pct(widest.loc['coup', 'min'])} to {pct(widest.loc['coup', 'max'])} and P(revolution) from "
        f"{pct(widest.loc['revolution', 'min'])} to {pct(widest.loc['revolution', 'max'])}; {(grid['warning'] != '').mean():.0%} of its points carry a warning."),
        "", "`forecast scenario --curve all`", "", picture("curves", "Both removals along each indicator", SCENARIOS), "", curve_words(),
    ]  # fmt: skip


def curve_words() -> str:
    curves = read("curves", SCENARIOS)
    own = curves[curves["outcome"].isin(REMOVALS)]
    ends = own.groupby(["outcome", "indicator"])["probability"].agg(lambda values: values.max() / values.min())
    told = [
        f"{ends[name].idxmax().replace('_', ' ')} moves P({name}) most (by a factor of {ends[name].max():.1f} from its least to its most)"
        for name in REMOVALS
    ]
    return f"Taken alone and through its whole range, {' and '.join(told)}. Dotted stretches are outside what was ever read."


def tipping() -> list[str]:
    found = read("tipping", SCENARIOS)
    whole = found[found["indicator"] == "all together"]
    lines = [f"- {row.outcome}, {row.target} ({pct(row.now)} to {pct(row.goal)}): " + (f"{row.size:.1f} standard deviations of history; {row.verdict}. {row.move}." if np.isfinite(row.size) else f"{row.verdict}; at most {pct(row.reached)}.") for row in whole.itertuples()]  # fmt: skip
    alone = found[(found["indicator"] != "all together") & np.isfinite(found["size"])].sort_values("size")
    told = "No single indicator does any of it." if alone.empty else f"Of single indicators the nearest is {alone.iloc[0]['indicator'].replace('_', ' ')}: {alone.iloc[0]['move']} brings the {alone.iloc[0]['outcome']} to {alone.iloc[0]['target']}, a move of {alone.iloc[0]['size']:.1f} standard deviations."  # fmt: skip
    return [
        "## Tipping points", "", "`forecast scenario --tipping`", "", picture("tipping", "Smallest moves to each goal", SCENARIOS), "",
        "The smallest move of all indicators together, in the metric of how far they have moved in history over as many months. Indicators stay where they are put and do not walk on, so the probabilities to begin with are a little lower than the forecast's:", "", *lines, "",
        f"{told} A move of two standard deviations or less is called credible.",
    ]  # fmt: skip


def priors() -> list[str]:
    found, power = read("priors"), read("priors_power")
    coup, revolution = base_of(found)
    forms = dict.fromkeys(["prior", "likelihood", *[c for c in power.columns if c not in ("quantity", "prior", "likelihood", "diagnosis")]], "{:.2f}".format)  # fmt: skip
    removals = power[power["quantity"].isin([f"P({name})" for name in REMOVALS])]
    groups = removals.drop(columns=["quantity", "prior", "likelihood", "diagnosis"]).mean()
    both = power[power["diagnosis"].str.startswith("prior and data")]["quantity"]
    return [
        "## Priors", "", "`forecast sensitivity priors`", "", picture("priors", "Both removals under other priors"), "",
        table(moved_most(found, 12), coup=pct, revolution=pct), "",
        (f"With other priors P(coup), {pct(coup)} as it stands, and P(revolution), {pct(revolution)}, move: {range_words(found)}. "
        f"Of the groups of priors, P(coup) and P(revolution) hang most on {groups.idxmax()} and least on {groups.idxmin()}."), "",
        "Power-scaling (0.05 and more is sensitive); only top-level priors are scaled:", "", table(power, **forms), "",
        (f"Prior and data pull in different directions for {len(both)} of {len(power)} quantities: {', '.join(both)}. There the priors, which keep effects small, "
        "carry part of the answer, because history has few cases."),
    ]  # fmt: skip


def cases() -> list[str]:
    found, readings = read("cases"), read("cases_readings")
    top, coup = moved_most(found, 14), base_of(found)[0]
    one = top.iloc[0]
    refits = found.loc[found["method"] == "refit", "change"].nunique()
    own = found[found["outcome"] == "coup"]
    own = own[(own["kind"] != "base") & (own["method"] != "weights (refused)")]
    challenge = (
        own[own["change"].str.startswith("challenge")]
        .set_index("change")["difference"]
        .abs()
        .sort_values(ascending=False)
    )
    columns = ["country", "indicator", "observed_on", "coder", "value", "coup", "revolution"]
    signed = "{:+.3%}".format
    return [
        "## Cases", "", "`forecast sensitivity cases`", "", picture("cases", "Both removals without single cases"), "",
        table(top, coup=pct, revolution=pct), "",
        (f"Of {own['change'].nunique()} countries, wars, decades, challenges and named groups left out one at a time, *{one['change']}* moves the answer most "
        f"(P(coup) {pct(one['coup'])}, P(revolution) {pct(one['revolution'])}); {refits} of them had to be refitted, because their weights did not hold. "
        f"The single challenge on which P(coup) ({pct(coup)}) leans most is {challenge.index[0].removeprefix('challenge ')}: without it {pct(float(own.set_index('change').loc[challenge.index[0], 'probability']))}."),
        "", "The twenty most influential readings (change of the probability if the reading goes up by one standard deviation of its range):", "",
        table(readings[columns], coup=signed, revolution=signed, value="{:g}".format),
    ]  # fmt: skip


def coding() -> list[str]:
    found = read("coding")
    top = moved_most(found, 14)
    coder = found[found["change"].str.startswith("coder") & found["outcome"].isin(REMOVALS)]
    told = "; ".join(f"{name}: P(coup) {pct(own.set_index('outcome').loc['coup', 'probability'])}, P(revolution) {pct(own.set_index('outcome').loc['revolution', 'probability'])}" for name, own in coder[coder["method"] != "weights (refused)"].groupby("change"))  # fmt: skip
    return [
        "## Coding", "", "`forecast sensitivity coding` (contested events and rules of the frame stand in `models/patches.toml`)", "",
        picture("coding", "Both removals under other codings"), "", table(top, coup=pct, revolution=pct), "",
        f"Every recoding leaves {range_words(found)}. What moves them most is *{top.iloc[0]['change']}*; {told}.",
    ]  # fmt: skip


def check() -> list[str]:
    found = read("check")
    good, bad = found[found["trusted"]], found[~found["trusted"]]
    z, far = good["z"].abs(), bad["z"].abs()
    shown = found[found["outcome"] == "coup"].drop(columns="outcome")
    return [
        "## Weights against refits", "", "`forecast sensitivity check`", "",
        table(shown.assign(trusted=shown["trusted"].map({True: "yes", False: "no, refitted"})), k="{:.2f}".format, weights=pct, refit=pct, error="{:.2%}".format, z="{:+.1f}".format), "",
        (f"{found['change'].nunique()} prior changes and deletions were answered both ways (the table has P(coup); the numbers below count both removals). Where the weights are trusted (Pareto k at most 0.7 and at least 400 "
        f"effective draws: {good['change'].nunique()} changes, {len(good)} answers), {(z <= 2).mean():.0%} of answers agree within two standard errors and the largest difference is {z.max():.1f}. "
        f"Where they are not ({bad['change'].nunique()} changes), the tool refits; had it not, {(far > 2).mean():.0%} of answers would have been off by more than two standard errors."),
    ]  # fmt: skip


def multiverse() -> list[str]:
    found, claims = read("multiverse"), read("multiverse_claims")
    own = found[found["outcome"].isin(REMOVALS)]
    ends = own.groupby("outcome")["probability"].agg(["min", "max"])
    mixed = (own["weight"] * own["probability"]).groupby(own["outcome"]).sum()
    count = len(found) // 5
    best = found.drop_duplicates("elpd").sort_values("weight", ascending=False)
    forms = {name: "{:.0%}".format for name in claims.columns if name not in ("id", "specs")}
    heavy = best[best["weight"] > 0.01]
    survive, fall = (
        list(claims.loc[(claims[f"{word}_equal"] >= 0.8) & (claims[f"{word}_stacked"] >= 0.8), "id"])
        for word in ("holds", "fails")
    )
    declared = len(read_family(HERE.parent / "models" / "multiverse.toml").patches)
    return [
        "## Multiverse", "", "`forecast sensitivity multiverse` (the family stands in `models/multiverse.toml`)", "",
        picture("multiverse", "Specification curve of both removals"), "",
        (f"{count} of {declared} specs were fitted and passed their gate. Over them P(coup) goes from {pct(ends.loc['coup', 'min'])} to {pct(ends.loc['coup', 'max'])} ({pct(mixed['coup'])} by stacking weight) and P(revolution) from "
        f"{pct(ends.loc['revolution', 'min'])} to {pct(ends.loc['revolution', 'max'])} ({pct(mixed['revolution'])}). {len(heavy)} specs hold {heavy['weight'].sum():.0%} of the stacking weight; "
        f"sums of log predictive densities lie between {found['elpd'].min():.1f} and {found['elpd'].max():.1f}."),
        "", "The claims over the family (support is the mean posterior probability; holds and fails are shares of the specs that can answer, by stacking weight and by equal weight):", "",
        table(claims, **forms), "",
        f"Claims that hold in at least 80% of the family by both weightings: {', '.join(survive) or 'none'}. Claims that fail so: {', '.join(fall) or 'none'}. For all others the data cannot tell, or the answer depends on the spec.",
    ]  # fmt: skip


def variance() -> list[str]:
    found = read("shares")
    pivot = found.assign(told=[f"{r.share:.0%} ({r.p05:.0%} to {r.p95:.0%})" for r in found.itertuples()]).pivot(
        index="outcome", columns="source", values="told"
    )
    pivot = pivot[list(dict.fromkeys(found["source"]))].reindex(dict.fromkeys(found["outcome"])).reset_index()
    most = found.sort_values("share").groupby("outcome").last()
    told = " and ".join(
        f"that of P({name}) is {most.loc[name, 'source']} ({most.loc[name, 'share']:.0%})" for name in REMOVALS
    )
    return [
        "## Shares of the spread", "", "`forecast sensitivity shares`", "", picture("shares", "Parts of the variance of each probability"), "", table(pivot), "",
        f"The largest part of the variance: {told}. Shares add to one; intervals are 90% bootstrap intervals over draws, countries and specs.",
    ]  # fmt: skip


def calibrated() -> list[str]:
    found, coverage = read("calibration"), read("calibration_coverage")
    top = found[found["group"] != "outcome probabilities"]
    count = int(coverage["count"].iloc[0])
    chance = int(np.ceil(0.05 * len(top) + 2 * np.sqrt(0.05 * 0.95 * len(top))))
    out = coverage[(coverage["nominal"] == 0.9) & coverage["group"].str.startswith("outcome probabilities")]
    forms = dict.fromkeys(("nominal", "observed", "low", "high"), "{:.0%}".format)
    outside = found.loc[found["outside"], "quantity"]
    return [
        "## Calibration", "", "`forecast sensitivity calibration`", "", picture("calibration", "Ranks of planted values"), "", table(coverage, **forms), "",
        (f"In {count} replications {int(top['outside'].sum())} of {len(top)} top-level parameters leave their simultaneous 95% envelope (chance allows {0.05 * len(top):.1f} on average and up to {chance}); outside are: {', '.join(outside) or 'none'}. "
        f"90% intervals of outcome probabilities hold the truth in {out['observed'].min():.0%} to {out['observed'].max():.0%} of replications."),
    ]  # fmt: skip


def claim_line(name: str, own: pd.Series, changed: pd.DataFrame, family: pd.Series | None) -> dict[str, object]:
    """Return what becomes of a claim under single changes and, where it has been run, over the family."""
    line = {"claim": name, "verdict": own["verdict"], "support": own["support"]}
    if pd.isna(own["support"]):
        return {**line, "so far": "a count of cases"}
    side = SIDE[own["verdict"]]
    same = (changed["verdict"].map(SIDE) == side).mean()
    line |= {"least": changed["support"].min(), "most": changed["support"].max(), "same": same}
    if side == 0:
        return {**line, "so far": "undecided"}
    word, kept = "holds" if side > 0 else "fails", np.nan
    if family is not None:
        kept = min(family[f"{word}_stacked"], family[f"{word}_equal"])
    steady = same >= 0.9 and not kept < 0.8
    return {**line, "family": kept, "so far": f"{word} almost everywhere" if steady else "depends on an assumption"}


def claims() -> list[str]:
    """Return what becomes of each claim: the default fit, every single change that was run, the family if it was."""
    kinds = [kind for kind in ("priors", "cases", "coding") if (RESULTS / f"{kind}_claims.csv").exists()]
    told = pd.concat([read(f"{kind}_claims") for kind in kinds], ignore_index=True)
    run = (RESULTS / "multiverse_claims.csv").exists()
    family = read("multiverse_claims").set_index("id") if run else None
    base = told[told["kind"] == "base"].drop_duplicates("id").set_index("id")
    changed = told[told["kind"] != "base"]
    frame = pd.DataFrame([
        claim_line(str(name), own, changed[(changed["id"] == name) & changed["support"].notna()], family.loc[name] if family is not None else None)
        for name, own in base.iterrows()
    ])  # fmt: skip
    frame = frame.reindex(
        columns=["claim", "verdict", "support", "least", "most", "same", *(["family"] if run else []), "so far"]
    )
    forms = {name: "{:.0%}".format for name in ("support", "least", "most", "same", "family") if name in frame}
    words = "; ".join(f"{word}: {', '.join(own['claim'])}" for word, own in frame.groupby("so far", sort=False))
    family_words = (
        "family is the smaller of the two shares (by stacking and by equal weight) of specs with a verdict on that side; almost everywhere means that same is at least 90% and family at least 80%."
        if run
        else "almost everywhere means that same is at least 90%. The family of specs has not been run, so no claim is said to survive it."
    )
    return [
        "## What becomes of the claims", "", table(frame, **forms), "",
        (f"Support is the posterior probability of what the claim says under the default fit, least and most are over {changed['change'].nunique()} single changes of {' and '.join(kinds)}, same is the share of them with a "
        f"verdict on the same side (a leaning counts as a side), {family_words} {words[:1].upper()}{words[1:]}."),
    ]  # fmt: skip


def main() -> None:
    """Write the page."""
    parts = [
        "# What carries the answer", "",
        ("Made by `python docs/sensitivity.py` from the outputs of the commands named below, on the default study (Russia, 24 months). Each picture has a table of all its numbers, written as CSV by the "
        f"command. A refit has {SMALL.draws * SMALL.chains:,} draws, started from the default fit, and must pass a gate of its own: R-hat at most {SMALL_GATE.rhat:g}, effective sample at least {SMALL_GATE.ess:g}, at most "
        f"{SMALL_GATE.divergences} divergences, over all parameters but the coding errors. That is enough for a difference, not for publishing a probability."),
    ]  # fmt: skip
    absent: list[str] = []
    for make in (claims, scenarios, tipping, priors, cases, coding, multiverse, variance, check, calibrated):
        try:
            parts += ["", *make()]
        except FileNotFoundError as error:
            absent.append(Path(error.filename).stem)
    if absent:
        parts += ["", f"Not run yet on this state of the data and the model: {', '.join(dict.fromkeys(absent))}."]
    write_atomically(HERE / "sensitivity.md", "\n".join(parts) + "\n")


if __name__ == "__main__":
    main()
