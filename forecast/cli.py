"""The command line: one function for each verb, each a thin call into the package.

Numbers meant for machines go to stdout, talk goes to stderr. Imports that take time stand inside the verbs,
so that help and checks answer at once.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import replace
from functools import wraps
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from forecast import __version__
from forecast.errors import DataError, ForecastError, Problem, UsageError

if TYPE_CHECKING:
    from forecast.data import Data
    from forecast.inference import Fit
    from forecast.prediction import Forecast
    from forecast.scenarios import Stage
    from forecast.spec import Spec
    from forecast.study import Study

DEFAULTED = ("armed", "basis", "coder", "inherited", "result")  # columns that an added row need not name
SHOWN = 5  # rows shown of one and the same problem, unless --all

app = typer.Typer(
    name="forecast",
    help="Bayesian forecasts of coups, revolutions and leaders' survival.\n\nStart with: forecast run",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)
add_app = typer.Typer(help="Append rows to the study's tables: all of them or none.", no_args_is_help=True)
app.add_typer(add_app, name="add")

StudyOption = Annotated[
    Path | None,
    typer.Option(
        "--study", help="Folder with data/ and models/; default: this folder, or the study the package carries."
    ),
]
SpecOption = Annotated[str, typer.Option("--spec", help="Name of a spec in models/, such as default or baseline.")]
VariationOption = Annotated[str | None, typer.Option("--variation", help="A named variation of the spec.")]
AsOfOption = Annotated[
    str | None,
    typer.Option(
        "--as-of", metavar="DATE", help="Allow only knowledge of this day or before; default: the last coded day."
    ),
]
CountryOption = Annotated[str, typer.Option("--country", help="ISO 3166 code, such as RUS.")]
HorizonOption = Annotated[int, typer.Option("--horizon", help="Months ahead.")]
SetOption = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="INDICATOR=VALUE", help="Hold an indicator at a value; may be repeated."),
]
OutOption = Annotated[
    Path | None,
    typer.Option("--out", metavar="DIR", help="Folder for tables and pictures; default: in the study's build/."),
]
WorkersOption = Annotated[int, typer.Option("--workers", min=0, help="Local processes; 0: one for each core.")]
DaskOption = Annotated[
    str | None, typer.Option("--dask", metavar="ADDRESS", help="A Dask scheduler, or local for a cluster here.")
]
FormatOption = Annotated[str, typer.Option("--format", help="table, json or csv.")]


def talk(text: str) -> None:
    """Write to stderr; what came from a file shows its control characters and does not send them."""
    shown = (sign if sign.isprintable() or sign == "\n" else ascii(sign)[1:-1] for sign in text)
    print("".join(shown), file=sys.stderr)


def guarded(verb: Callable[..., None]) -> Callable[..., None]:
    """Turn the package's errors into a message and an exit code."""

    @wraps(verb)
    def run(*args: Any, **kwargs: Any) -> None:
        try:
            verb(*args, **kwargs)
        except DataError as error:
            show_problems(error.problems, every=False)
            raise typer.Exit(error.exit_code) from None
        except ForecastError as error:
            talk(f"error: {error}")
            raise typer.Exit(error.exit_code) from None

    return run


def show_problems(problems: tuple[Problem, ...], *, every: bool) -> None:
    """Write problems to stderr; of one and the same problem in many rows, only the first few."""
    talk(f"{len(problems)} problem{'s' if len(problems) != 1 else ''} in the data")
    seen: dict[tuple[str, str | None, str], int] = {}
    for problem in problems:
        kind = (problem.file, problem.column, problem.message)
        seen[kind] = seen.get(kind, 0) + 1
        if every or seen[kind] <= SHOWN:
            talk(str(problem))
    for (file, column, message), count in seen.items():
        if count > SHOWN and not every:
            talk(f"{file}, column {column}: {message}: in {count - SHOWN} more rows; forecast check --all lists them")


def version(value: bool) -> None:
    """Print the version and stop."""
    if value:
        print(f"regime-forecast {__version__}")
        raise typer.Exit


@app.callback()
def main(
    _version: Annotated[
        bool, typer.Option("--version", callback=version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    """Options of the command as a whole."""


@app.command()
@guarded
def check(
    study: StudyOption = None,
    every: Annotated[bool, typer.Option("--all", help="List every row of every problem.")] = False,
    against: Annotated[
        Path | None, typer.Option("--against", metavar="DIR", help="Compare with the public data sets in a folder.")
    ] = None,
    out: Annotated[
        Path | None, typer.Option("--out", metavar="FILE", help="With --against: write all that was compared as CSV.")
    ] = None,
) -> None:
    """Validate every table; report all problems at once.

    With --against, each difference from a public data set needs a reason in concordance.csv; one without is a problem.

    Example: forecast check --study my-study --against public-data --out concordance.csv
    """
    from forecast.checks import check_study
    from forecast.study import find_study

    if out and not against:
        raise UsageError("--out goes with --against; name the folder of the public data sets")
    place = find_study(study)
    if problems := check_study(place.data):
        show_problems(tuple(problems), every=every)
        raise typer.Exit(DataError.exit_code)
    talk(f"{place.data} is sound")
    if against:
        _check_against(place, against, out)


def _check_against(place: Study, folder: Path, out: Path | None) -> None:
    """Print how far a study and the public data sets agree; fail where a difference has no reason."""
    from forecast import concordance
    from forecast.data import load_data
    from forecast.files import write_atomically

    table = concordance.compare(load_data(place.data), folder, concordance.read_reasons(place.data / "concordance.csv"))
    if out:
        write_atomically(out, table.to_csv(index=False))
    print(concordance.summarise(table).to_string(formatters={"agreement": "{:.1%}".format}))
    print(*concordance.headlines(table), sep="\n")
    rest = concordance.unexplained(table)
    for row in rest.itertuples():
        talk(f"no reason: {row.dataset},{row.item},{row.country},{row.key}: {row.verdict}; {row.detail}")
    if len(rest):
        talk(f"{len(rest)} differences without a reason: correct the row, or give one in concordance.csv")
        raise typer.Exit(DataError.exit_code)


def _cells(row: str, **given: str | None) -> dict[str, str]:
    from forecast.schema import TABLES

    return {name: given.get(name) or "" for name in TABLES[row].model_fields}


def _append(study: Path | None, file: str, source: str | None, cells: dict[str, str], *, dry_run: bool) -> None:
    from forecast.data import append_rows
    from forecast.study import find_study
    from forecast.tables import parse_table, validate_row

    if source and (given := sorted(name for name, cell in cells.items() if cell and name not in DEFAULTED)):
        raise UsageError(
            f"--from brings whole rows; leave out {', '.join('--' + name.replace('_', '-') for name in given)}"
        )
    if source:
        numbered, problems = parse_table(file, _read_source(source))
        problems = [replace(problem, file=source) for problem in problems]
        rows = [row for _, row in numbered]
    else:
        row, problems = validate_row(file, None, cells)
        problems = [replace(problem, file=f"new row for {file}") for problem in problems]
        rows = [row] if row is not None else []
    if problems:
        raise DataError(problems)
    place = find_study(study)
    added, tables = append_rows(place.data, file, rows, dry_run=dry_run, kept=place.build)
    would = "would be " if dry_run else ""
    talk(f"{added} row{'s' if added != 1 else ''} {would}added to {file}")
    if known := len(rows) - added:
        talk(f"{known} row{'s are' if known != 1 else ' is'} there already")
    if dry_run and added:
        _show_effect(place, tables, sorted({str(dict(row)["country"]) for row in rows}))


def _show_effect(place: Study, tables: Any, countries: list[str]) -> None:
    """Print what new rows would do to the probabilities of the leaders in office, by the default spec's latest fit."""
    from forecast.changes import preview
    from forecast.data import load_data, view_tables
    from forecast.inference import load_fit
    from forecast.spec import load_spec
    from forecast.update import latest_fit

    before, after = load_data(place.data, place.build), view_tables(tables)
    path = latest_fit(place.build, load_spec(place.models / "default.toml", known_to=before.known_to), before.known_to)
    if path is None:
        talk("no fit is kept yet, so the effect on the probabilities is not known; forecast fit makes one")
        return
    fitted = load_fit(path)
    for country in [name for name in countries if name in countries_in_office(after)]:
        effect = preview(fitted, before, after, country)
        talk(f"{country}, 24 months from {after.known_to}, by reweighting the fit of {fitted.provenance['known_to']}:")
        for objection in effect.attrs["objections"]:
            talk(f"not to be trusted, forecast update will refit: {objection}")
        _print_table(effect, "table", {})


def _read_source(source: str) -> bytes:
    """Return the bytes of a file, or of standard input for ``-``."""
    try:
        return sys.stdin.buffer.read() if source == "-" else Path(source).read_bytes()
    except OSError as error:
        raise UsageError(f"{source} cannot be read: {error}") from None


FromOption = Annotated[
    str | None, typer.Option("--from", metavar="FILE", help="CSV file with the table's header; - for standard input.")
]
DryRunOption = Annotated[bool, typer.Option("--dry-run", help="Check only; write nothing.")]


@add_app.command("indicator")
@guarded
def add_indicator(
    source: FromOption = None,
    country: str | None = None,
    indicator: str | None = None,
    observed_on: str | None = None,
    value: str | None = None,
    low: str | None = None,
    high: str | None = None,
    coder: str | None = "A",
    basis: str | None = "judgement",
    known_on: str | None = None,
    sources: str | None = None,
    note: str | None = None,
    dry_run: DryRunOption = False,
    study: StudyOption = None,
) -> None:
    """Append readings to indicators.csv.

    The options are the table's columns: value, low and high in the codebook's unit, days as YYYY-MM-DD, sources as keys of
    sources.bib. A correction is a new row with a later known_on.

    Example: forecast add indicator --country RUS --indicator war_balance --observed-on 2024-12-15 --value 0.4 --low 0.2 --high 0.6 --known-on 2024-12-16 --sources plokhy_2023
    """
    given = {name: cell for name, cell in locals().items() if name not in {"source", "dry_run", "study"}}
    _append(study, "indicators.csv", source, _cells("indicators.csv", **given), dry_run=dry_run)


@add_app.command("event")
@guarded
def add_event(
    source: FromOption = None,
    event_id: str | None = None,
    country: str | None = None,
    kind: str | None = None,
    armed: str | None = "0",
    start: str | None = None,
    end: str | None = None,
    result: str | None = "ongoing",
    inherited: str | None = "0",
    name: str | None = None,
    known_on: str | None = None,
    sources: str | None = None,
    note: str | None = None,
    dry_run: DryRunOption = False,
    study: StudyOption = None,
) -> None:
    """Append challenges to events.csv.

    The options are the table's columns. How one ended, and any other correction, is a new row with the same event-id and a
    later known-on.

    Example: forecast add event --event-id GEO-2024-x --country GEO --kind uprising --start 2024-12-01 --name "..." --known-on 2024-12-01 --sources jones_2012
    """
    given = {name_: cell for name_, cell in locals().items() if name_ not in {"source", "dry_run", "study"}}
    _append(study, "events.csv", source, _cells("events.csv", **given), dry_run=dry_run)


@add_app.command("day")
@guarded
def add_day(
    day: Annotated[str, typer.Argument(metavar="DATE", help="Last day to which the tables are complete.")],
    study: StudyOption = None,
) -> None:
    """State that everything is coded to a later day; what is not in the tables by then did not happen.

    Example: forecast add day 2025-01-31
    """
    from forecast.data import move_coded_to, parse_day
    from forecast.study import find_study

    move_coded_to(find_study(study).data, parse_day(day))
    talk(f"the study is coded to {day}")


def _open(study: Path | None, spec: str, variation: str | None, as_of: str | None) -> tuple[Study, Data, Spec]:
    from forecast.data import load_data
    from forecast.spec import load_spec
    from forecast.study import find_study

    place = find_study(study)
    data = load_data(place.data, place.build)
    view = data.as_of(as_of) if as_of else data
    model = load_spec(place.models / f"{spec}.toml", variation, known_to=view.known_to)
    model.check_terms(data.codebook.indicators)
    return place, view, model


def _fitted(place: Study, data: Data, model: Spec) -> Fit:
    from forecast.inference import fit_or_load, fit_path
    from forecast.update import kept_update

    if (updated := kept_update(place.build, data, model)) is not None:
        talk(f"using the updated fit of {model.name} as of {data.known_to}")
        return updated
    if not fit_path(place.build, data, model).exists():
        talk(f"fitting {model.name} to the data known on {data.known_to} ...")
    result, kept = fit_or_load(place.build, data, model, progress=sys.stderr.isatty())
    if kept:
        talk(f"using the kept fit of {model.name} as of {data.known_to}")
    return result


@app.command()
@guarded
def fit(
    spec: SpecOption = "default",
    variation: VariationOption = None,
    as_of: AsOfOption = None,
    study: StudyOption = None,
) -> None:
    """Sample the posterior, or find it kept, and report its diagnostics.

    Example: forecast fit --spec baseline --as-of 2022-03-31
    """
    place, data, model = _open(study, spec, variation, as_of)
    result = _fitted(place, data, model)
    for name, (value, where) in {
        "worst R-hat": result.diagnostics.rhat,
        "least bulk ESS": result.diagnostics.ess_bulk,
        "least tail ESS": result.diagnostics.ess_tail,
    }.items():
        print(f"{name}: {value:.4g} ({where})")
    print(f"divergences: {result.diagnostics.divergences}")
    result.require_gate()


def _settings(pairs: list[str] | None) -> dict[str, float]:
    settings = {}
    for pair in pairs or []:
        name, sign, value = pair.partition("=")
        try:
            settings[name] = float(value)
        except ValueError:
            raise UsageError(f"--set {pair}: write INDICATOR=NUMBER, such as war_balance=-0.8") from None
        if not sign:
            raise UsageError(f"--set {pair}: write INDICATOR=NUMBER, such as war_balance=-0.8")
    return settings


def _check_format(form: str) -> None:
    if form not in ("table", "json", "csv"):
        raise UsageError(f"--format {form}: choose table, json or csv")


def _predicted(fitted: Fit, data: Data, country: str, horizon: int, settings: dict[str, float]) -> Forecast:
    from forecast.prediction import predict as forecast_for
    from forecast.prediction import require_mixed

    fitted.require_gate()
    result = forecast_for(fitted, data, country, horizon, settings)
    require_mixed(result, fitted.spec.gate)
    return result


@app.command()
@guarded
def predict(
    country: CountryOption,
    horizon: HorizonOption = 24,
    settings: SetOption = None,
    form: FormatOption = "table",
    spec: SpecOption = "default",
    variation: VariationOption = None,
    as_of: AsOfOption = None,
    study: StudyOption = None,
) -> None:
    """Print the probability of each outcome for the leader in office.

    Example: forecast predict --country RUS --as-of 2022-03-31 --horizon 24 --set war_balance=-0.8 --format json
    """
    _check_format(form)
    chosen = _settings(settings)
    place, data, model = _open(study, spec, variation, as_of)
    from forecast.prediction import ask, summarise

    ask(data, country, horizon, chosen)  # a question that cannot be answered is refused before anything is sampled
    result = _predicted(_fitted(place, data, model), data, country, horizon, chosen)
    question = result.question
    talk(f"{question.leader}, {question.name}: {question.as_of} to {question.end}")
    _print_table(
        summarise(result),
        form,
        {
            "country": country,
            "leader": question.leader,
            "as_of": str(question.as_of),
            "horizon_months": horizon,
            "horizon_end": str(question.end),
            "settings": chosen,
        },
    )


def _print_table(table: Any, form: str, facts: dict[str, Any]) -> None:
    """Print a table of numbers in the form asked for."""
    import json

    match form:
        case "json":
            flat = json.loads(table.reset_index().to_json(orient="records", double_precision=12))
            print(json.dumps({**facts, "rows": flat}, indent=1, ensure_ascii=False))
        case "csv":
            print(table.to_csv(float_format="%.6f"), end="")
        case _:
            print(table.to_string(float_format=lambda value: f"{round(value, 3) + 0.0:.3f}"))  # 0.000, not -0.000


@app.command()
@guarded
def claims(
    country: CountryOption = "RUS",
    horizon: HorizonOption = 24,
    form: FormatOption = "table",
    spec: SpecOption = "default",
    variation: VariationOption = None,
    as_of: AsOfOption = None,
    study: StudyOption = None,
) -> None:
    """Say what the posterior says of each claim of the founding article.

    Example: forecast claims --format csv
    """
    _check_format(form)
    place, data, model = _open(study, spec, variation, as_of)
    from forecast.claims import evaluate_claims

    fitted = _fitted(place, data, model)
    result = _predicted(fitted, data, country, horizon, {})
    table = evaluate_claims(fitted, data, result)
    columns = ["estimate", "low", "high", "support", "verdict"] if form == "table" else list(table.columns)
    _print_table(table[columns], form, {"country": country, "as_of": str(data.known_to)})


@app.command()
@guarded
def scenario(
    names: Annotated[
        list[str] | None,
        typer.Argument(metavar="[NAME]...", help="Named scenarios; default: all of models/scenarios.toml."),
    ] = None,
    grid: Annotated[
        str | None,
        typer.Option("--grid", metavar="A,B", help="Every outcome over two indicators, such as war_balance,sanctions."),
    ] = None,
    curve: Annotated[
        list[str] | None,
        typer.Option("--curve", metavar="INDICATOR", help="One-way curve; may be repeated; all: every indicator."),
    ] = None,
    tipping: Annotated[
        bool, typer.Option("--tipping", help="The smallest moves that make a removal likelier than not, or double it.")
    ] = False,
    country: CountryOption = "RUS",
    horizon: HorizonOption = 24,
    points: Annotated[int, typer.Option("--points", min=2, max=101, help="Of a grid's side or a curve.")] = 9,
    form: FormatOption = "table",
    out: OutOption = None,
    spec: SpecOption = "default",
    variation: VariationOption = None,
    as_of: AsOfOption = None,
    study: StudyOption = None,
) -> None:
    """What if: named scenarios, a grid over two indicators, curves, or tipping points; a table and a picture.

    Example: forecast scenario front_collapses; forecast scenario --grid war_balance,sanctions; forecast scenario --tipping
    """
    _check_format(form)
    if sum(map(bool, (names, grid, curve, tipping))) > 1:
        raise UsageError("ask for one thing at a time: names, --grid, --curve or --tipping")
    if grid and "," not in grid:
        raise UsageError(f"--grid {grid}: write two indicators, such as war_balance,sanctions")
    place, data, model = _open(study, spec, variation, as_of)
    from forecast import charts, scenarios

    known = scenarios.read_scenarios(place.models / "scenarios.toml") if not (grid or curve or tipping) else {}
    if unknown := [name for name in names or [] if name not in known]:
        raise UsageError(f"there is no scenario {', '.join(unknown)}; known are {', '.join(known)}")
    fitted = _fitted(place, data, model)
    fitted.require_gate()
    stage = scenarios.set_stage(fitted, data, country, horizon, held=tipping)
    if grid:
        what, (table, picture) = "grid", _grid(stage, grid, points)
    elif curve:
        what, (table, picture) = "curves", _curves(stage, curve, points)
    elif tipping:
        what, table = "tipping", scenarios.tipping_points(stage)
        picture = charts.plot_tipping(table)
    else:
        what, table = "scenarios", scenarios.named_scenarios(stage, {name: known[name] for name in names or known})
        picture = charts.plot_intervals(table, "scenario")
    for warning in dict.fromkeys(table["warning"]) if len(table) < 200 and not tipping else ():
        if warning:
            talk(f"warning: {warning}")
    facts = {
        "country": country,
        "leader": stage.question.leader,
        "as_of": str(data.known_to),
        "horizon_months": horizon,
    }
    _print_table(table.set_index(table.columns[0]), form, facts)
    _save_result(out or place.build / "scenario", what, {"": table}, picture)


def _grid(stage: Stage, pair: str, points: int) -> tuple[Any, str]:
    from forecast import charts, scenarios

    first, _, second = pair.partition(",")
    table = scenarios.scenario_grid(stage, first, second, points)
    return table, charts.plot_grid(table, first, second)


def _curves(stage: Stage, names: list[str], points: int) -> tuple[Any, str]:
    import pandas as pd

    from forecast import charts, scenarios

    chosen = stage.names if names == ["all"] else names
    table = pd.concat([scenarios.scenario_curve(stage, name, points) for name in chosen])
    return table, charts.plot_curves(table)


@app.command()
@guarded
def sensitivity(
    kind: Annotated[str, typer.Argument(help="priors, cases, coding, shares, multiverse, calibration or check.")],
    country: CountryOption = "RUS",
    horizon: HorizonOption = 24,
    workers: WorkersOption = 0,
    dask: DaskOption = None,
    form: FormatOption = "table",
    out: OutOption = None,
    spec: SpecOption = "default",
    variation: VariationOption = None,
    as_of: AsOfOption = None,
    study: StudyOption = None,
) -> None:
    """Say what carries the answer: priors, cases, coding, the choice of model; tables and a picture.

    shares: what the spread is made of. calibration: does the sampler find what the prior planted. check: importance weights held
    against refits. A run that was stopped goes on where it was when the command is given again.

    Example: forecast sensitivity cases; forecast sensitivity multiverse --dask local --workers 2
    """
    _check_format(form)
    place, data, model = _open(study, spec, variation, as_of)
    from forecast.engine import Where
    from forecast.laboratory import KINDS, examine
    from forecast.prediction import ask
    from forecast.sensitivity import Lab

    if kind not in KINDS:
        raise UsageError(f"there is no sensitivity to {kind}; choose from {', '.join(KINDS)}")
    ask(data, country, horizon)
    fitted = _fitted(place, data, model)
    fitted.require_gate()
    lab = Lab(fitted, data, country, horizon)
    found = examine(kind, lab, place.models, place.build / "sensitivity", Where(workers, dask), progress=True)
    for failure in found.failures:
        talk(f"{failure.job.name} failed: {failure.message}")
    table = found.tables[""]
    _print_table(
        table.set_index(table.columns[0]),
        form,
        {"country": country, "as_of": str(data.known_to), "horizon_months": horizon},
    )
    _save_result(out or place.build / "sensitivity" / "results", kind, found.tables, found.picture)


def _save_result(folder: Path, what: str, tables: dict[str, Any], picture: str) -> None:
    """Write tables as CSV and a picture as SVG, and say where."""
    from forecast.files import write_atomically

    for part, table in tables.items():
        path = folder / f"{what}{'_' if part else ''}{part}.csv"
        write_atomically(path, table.to_csv(index=False, float_format="%.6g"))
        talk(f"written: {path}")
    write_atomically(folder / f"{what}.svg", picture)
    talk(f"written: {folder / what}.svg")


@app.command()
@guarded
def record(
    country: Annotated[
        list[str] | None, typer.Option("--country", help="Country to record; may be repeated; default: all in office.")
    ] = None,
    horizon: HorizonOption = 24,
    verify: Annotated[
        bool, typer.Option("--verify", help="Only check that the ledger's chain of digests is whole.")
    ] = False,
    spec: SpecOption = "default",
    as_of: AsOfOption = None,
    study: StudyOption = None,
) -> None:
    """Append forecasts to the ledger of issued forecasts, which is never rewritten.

    Example: forecast record --country RUS --country UKR
    """
    from forecast.ledger import read_ledger
    from forecast.ledger import record as append
    from forecast.study import find_study

    if verify:
        rows = read_ledger(find_study(study).reports / "ledger.csv")
        last = (
            f", the last with digest {rows[-1]['digest']}" if rows else ""
        )  # told elsewhere, it shows a cut at the end
        talk(f"the ledger is whole: {len(rows)} rows{last}")
        return
    place, data, model = _open(study, spec, None, as_of)
    fitted = _fitted(place, data, model)
    results = [_predicted(fitted, data, name, horizon, {}) for name in country or countries_in_office(data)]
    talk(f"{append(results, fitted, place.reports / 'ledger.csv')} new rows in the ledger")


def countries_in_office(data: Data) -> list[str]:
    """Return every country with a leader in office on the last day of a view."""
    return sorted(data.leaders.loc[data.leaders["exit"] == "in_office", "country"].unique())


@app.command()
@guarded
def update(
    country: CountryOption = "RUS",
    horizon: HorizonOption = 24,
    refit: Annotated[bool, typer.Option("--refit", help="Sample anew, started from the latest fit.")] = False,
    form: FormatOption = "table",
    spec: SpecOption = "default",
    as_of: AsOfOption = None,
    study: StudyOption = None,
) -> None:
    """Bring everything new into the latest fit, and print the probabilities of one country.

    The fit's draws are reweighted by the rows that changed; where that cannot be trusted, it is sampled anew.

    Example: forecast update --country RUS --as-of 2022-04-30
    """
    _check_format(form)
    place, data, model = _open(study, spec, None, as_of)
    from forecast.prediction import ask, summarise
    from forecast.prediction import predict as forecast_for
    from forecast.update import describe_update, update_latest

    question = ask(data, country, horizon)
    fitted = update_latest(place.build, data, model, refit=refit, progress=sys.stderr.isatty())
    done = fitted.provenance.get("update")
    talk(describe_update(done) if done else f"the fit is of these data, known to {data.known_to}")
    fitted.require_gate()
    talk(f"{question.leader}, {question.name}: {question.as_of} to {question.end}")
    facts = {"country": country, "leader": question.leader, "as_of": str(question.as_of), "horizon_months": horizon}
    _print_table(summarise(forecast_for(fitted, data, country, horizon)), form, {**facts, "update": done})


@app.command()
@guarded
def changes(
    since: Annotated[str, typer.Option("--since", metavar="DATE", help="Day of the earlier forecast.")],
    country: CountryOption = "RUS",
    horizon: HorizonOption = 24,
    same_end: Annotated[bool, typer.Option("--same-end", help="Let both forecasts end on one day.")] = False,
    form: FormatOption = "table",
    spec: SpecOption = "default",
    as_of: AsOfOption = None,
    study: StudyOption = None,
) -> None:
    """Say what moved each probability since an earlier forecast of the same leader; the parts add up.

    Example: forecast changes --since 2022-03-31 --as-of 2022-04-30
    """
    _check_format(form)
    place, data, model = _open(study, spec, None, as_of)
    before = data.as_of(since)
    from forecast.changes import explain_change
    from forecast.prediction import ask
    from forecast.update import sampled_fit

    elapsed = (data.known_to.year - before.known_to.year) * 12 + data.known_to.month - before.known_to.month
    ask(data, country, horizon - elapsed if same_end else horizon)
    first, last = (sampled_fit(place.build, view, model, progress=sys.stderr.isatty()) for view in (before, data))
    table = explain_change((first, before), (last, data), country, horizon, horizon - elapsed if same_end else None)
    _print_table(table, form, {"country": country, "since": since, "as_of": str(data.known_to)})


@app.command()
@guarded
def score(
    hub: Annotated[
        Path | None,
        typer.Option(
            "--hub", metavar="DIR", help="Write our forecasts and what came true there, and score others' beside ours."
        ),
    ] = None,
    form: FormatOption = "table",
    study: StudyOption = None,
) -> None:
    """Resolve the issued forecasts that are due, score them beside climatology and others, and draw the record.

    Example: forecast score --hub ../hub
    """
    _check_format(form)
    from forecast.data import load_data
    from forecast.files import write_atomically
    from forecast.ledger import read_ledger
    from forecast.plots import plot_track_record
    from forecast.study import find_study
    from forecast.track_record import read_hub, score_record, write_hub

    place = find_study(study)
    ledger, data = read_ledger(place.reports / "ledger.csv"), load_data(place.data, place.build)
    others = read_hub(hub) if hub and (hub / "model-output").is_dir() else None
    found = score_record(ledger, data, others)
    answers, apart = found["answers"], found["apart"]
    if hub:
        talk(f"{len(write_hub(answers, hub))} files written to {hub}")
    talk(f"{len(answers)} answers issued, {int(answers['due'].sum())} due, {len(apart)} of them kept apart")
    for line in apart.itertuples():
        talk(f"apart: {line.country} {line.as_of} to {line.horizon_end}: {line.reason}")
    if len(found["scored"]):
        write_atomically(place.reports / "track_record.svg", plot_track_record(found["scored"]))
        write_atomically(place.reports / "scores.csv", found["scored"].to_csv(index=False))
        talk(f"written: {place.reports / 'track_record.svg'}, {place.reports / 'scores.csv'}")
    if len(found["scored"]) or form != "table":
        _print_table(found["summary"], form, {})


@app.command()
@guarded
def report(
    country: CountryOption = "RUS",
    horizon: HorizonOption = 24,
    settings: SetOption = None,
    every: Annotated[bool, typer.Option("--all", help="Every leader in office, and the page of all of them.")] = False,
    pdf: Annotated[bool, typer.Option("--pdf", help="A PDF too; needs Chromium.")] = False,
    figures: Annotated[bool, typer.Option("--figures", help="Every figure as SVG and PNG too.")] = False,
    causes: Annotated[
        bool,
        typer.Option(
            "--causes", help="Split the change since an issue of an earlier day by cause: a minute or two for each."
        ),
    ] = False,
    show: Annotated[bool, typer.Option("--open", help="Open the page in the browser.")] = False,
    template: Annotated[
        Path | None,
        typer.Option("--template", help="Folder with templates or styles of your own, such as report.html.j2."),
    ] = None,
    spec: SpecOption = "default",
    as_of: AsOfOption = None,
    study: StudyOption = None,
) -> None:
    """Write the probability report of a country: HTML, Markdown, CSV and JSON. Nothing is recorded in the ledger.

    Example: forecast report --country RUS --as-of 2022-03-31 --open
    """
    if template and not template.is_dir():
        raise UsageError(f"--template {template} is not a folder")
    from forecast.engine import warm_up

    if every:
        warm_up("forecast.publishing", "arviz_stats")
    place, data, model = _open(study, spec, None, as_of)
    chosen = _settings(settings)
    from forecast.exports import find_browser, save_figures, save_pdf
    from forecast.prediction import ask
    from forecast.publishing import look_back, publish
    from forecast.report import read_twin, report_path, write_report

    if pdf:
        find_browser()
    questions = [ask(data, name, horizon, chosen) for name in (countries_in_office(data) if every else [country])]
    fitted = _fitted(place, data, model)
    pages = [report_path(place.reports, question) for question in questions]
    split, shown = [question.country for question in questions if causes], sys.stderr.isatty()
    if every:
        edition = publish(fitted, data, questions, place.reports, place.build, split=split, recorded=False, template_folder=template, progress=shown)  # fmt: skip
        first = edition.overview
    else:
        result = _predicted(fitted, data, country, horizon, chosen)
        past = look_back(fitted, data, questions, place.reports, place.build, split=split, progress=shown)
        write_report(fitted, data, result, pages[0], template, past[country])
        first = pages[0]
    for page in pages:
        made = [page, *([save_pdf(page)] if pdf else [])]
        if figures:
            made += save_figures(read_twin(page), page.with_name(f"{page.stem}-figures"))
        print(*made, sep="\n")
    if every:
        print(first)
    if show and first:
        import webbrowser

        webbrowser.open(first.resolve().as_uri())


@app.command()
@guarded
def run(
    country: CountryOption = "RUS",
    horizon: HorizonOption = 24,
    spec: SpecOption = "default",
    as_of: AsOfOption = None,
    study: StudyOption = None,
) -> None:
    """The main job: check, fit or reuse the fit, predict for every leader in office, record, report.

    Ends with the headline of one country and the path of its page.

    Example: forecast run --country UKR
    """
    place, data, model = _open(study, spec, None, as_of)
    talk(f"the data are sound and known to {data.known_to}")
    from forecast.prediction import ask
    from forecast.publishing import publish

    ask(data, country, horizon)
    questions = [ask(data, name, horizon) for name in countries_in_office(data)]
    fitted = _fitted(place, data, model)
    edition = publish(
        fitted, data, questions, place.reports, place.build, split=[country], progress=sys.stderr.isatty()
    )
    talk(f"{edition.reports_made} reports made, {edition.rows_recorded} new rows in the ledger")
    _headline(edition.content[country])
    print(edition.overview)
    print(edition.pages[country])


def _headline(content: dict[str, Any]) -> None:
    question = content["question"]
    print(f"{question['leader']}, {question['name']}: {question['as_of']} to {question['horizon_end']}")
    for item in content["outcomes"]:
        print(f"  {item['label']:<24} {item['probability']:6.1%}   {item['words']}")


@app.command()
@guarded
def backtest(
    first: Annotated[int, typer.Option("--from", metavar="YEAR", help="First origin: 31 December of this year.")],
    last: Annotated[int, typer.Option("--to", metavar="YEAR", help="Last origin.")],
    out: Annotated[
        Path, typer.Option("--out", metavar="FILE.csv", help="Forecasts; scores and the page go beside it.")
    ],
    spec: Annotated[
        str | None,
        typer.Option("--spec", help="Name of a spec in models/; default: panel if there is one, or default."),
    ] = None,
    variation: VariationOption = None,
    workers: WorkersOption = 0,
    dask: DaskOption = None,
    versus: Annotated[
        list[Path] | None,
        typer.Option("--versus", metavar="FILE.csv", help="An outside forecast table; may be repeated."),
    ] = None,
    baselines: Annotated[
        bool, typer.Option("--baselines/--no-baselines", help="Score simple models beside ours.")
    ] = True,
    study: StudyOption = None,
) -> None:
    """Forecast the year after each year's end from what was known then, and score it against what happened.

    A run that was stopped goes on where it was when the command is given again.

    Example: forecast backtest --study panel --from 2000 --to 2009 --out results/backtest.csv
    """
    from forecast.study import find_study

    if out.suffix != ".csv":
        raise UsageError(f"--out {out}: name a file that ends in .csv; the other files are named after it")
    chosen = spec or ("panel" if (find_study(study).models / "panel.toml").exists() else "default")
    place, data, model = _open(study, chosen, variation, None)
    from forecast.backtest import list_origins, run_backtest
    from forecast.baselines import COUNTING, LEARNING, available, run_baselines
    from forecast.engine import Where
    from forecast.evaluation import (
        describe_backtest,
        evaluate,
        read_outsides,
        summarise,
        write_evaluation,
        write_tables,
    )
    from forecast.spec import load_spec

    origins = list_origins(data, first, last)
    # No prior may have learnt from later than the first forecast.
    model = load_spec(place.models / f"{chosen}.toml", variation, known_to=origins[0])
    outside = read_outsides(versus or [], data.countries, (model.name, *COUNTING, *LEARNING))
    kept, where = place.build / "backtest", Where(workers, dask)
    result = run_backtest(data, model, origins, kept, where, progress=True)
    failures, others = list(result.failures), None
    if baselines and len(result.table):
        if absent := set(LEARNING) - set(available()):
            talk(f"without {', '.join(sorted(absent))}: pip install 'regime-forecast[baselines]' for these baselines")
        others, more = run_baselines(data, model, origins, kept, where, progress=True)
        failures += more
    for failure in failures:
        talk(f"{failure.job.name} failed: {failure.message}")
    if len(result.table):
        write_tables(out, result, others)
        evaluation = evaluate(model.name, result, others, outside)
        command = f"forecast backtest --spec {chosen} --from {first} --to {last} --out {out.name}"
        page = write_evaluation(out, evaluation, describe_backtest(data, model, result, failures, command))
        print(summarise(evaluation).to_string(float_format=lambda value: f"{value:.4f}"))
        print(page)
    if failures:
        raise typer.Exit(max(failure.exit_code for failure in failures))


@app.command()
@guarded
def init(
    folder: Annotated[Path, typer.Argument(help="A new or empty folder.")],
    panel: Annotated[bool, typer.Option("--panel", help="The global panel of leaders, from --sources.")] = False,
    sources: Annotated[
        Path | None, typer.Option("--sources", metavar="DIR", help="With --panel: folder of the publishers' files.")
    ] = None,
) -> None:
    """Make a new study: codebook, specs and sources of the default study, with empty tables.

    With --panel, a study of every leader of the world since 1919, built from public data sets.

    Example: forecast init my-study; forecast init --panel my-panel --sources public-data
    """
    from forecast.study import new_study

    if panel != (sources is not None):
        raise UsageError("--panel and --sources go together: forecast init --panel my-panel --sources public-data")
    if sources is not None:
        from forecast.panel import new_panel

        new_panel(folder, sources, talk)
        talk(f"{folder} is the global panel; forecast fit --spec panel --study {folder} fits its model")
        return
    place = new_study(folder)
    talk(
        f"{place.source} is a new study; code countries.csv and leaders.csv first, then forecast check --study {folder}"
    )


@app.command("import")
@guarded
def import_(
    name: Annotated[str | None, typer.Argument(help="Name of the data set, such as archigos.")] = None,
    file: Annotated[Path | None, typer.Argument(help="The publisher's file.")] = None,
    every: Annotated[
        Path | None, typer.Option("--all", metavar="DIR", help="Every data set that a folder holds.")
    ] = None,
    fetched: Annotated[
        bool, typer.Option("--fetch", help="Fetch what has an address (needs the extra fetch).")
    ] = False,
    study: StudyOption = None,
) -> None:
    """Take public data sets into a study that is made from them; all its tables are made anew, or none.

    Example: forecast import archigos archigos.csv --study my-panel; forecast import --all public-data --study my-panel
    """
    from forecast.importers import REGISTRY
    from forecast.panel import find_sources, import_files
    from forecast.study import find_study

    if (name is None) == (every is None) or (name is None and file) or (name and (file is None) != fetched):
        raise UsageError(
            "write forecast import NAME FILE, or NAME --fetch, or --all DIR (with --fetch for what is not in it)"
        )
    if name is not None and name not in REGISTRY:
        raise UsageError(f"{name!r} is no data set that can be imported; known are {', '.join(REGISTRY)}")
    place = find_study(study)
    if every is not None:
        files = {**(_fetch_all(every) if fetched else {}), **find_sources(every)}
    else:
        files = {str(name): file or _fetch(str(name), place.build / "sources")}
    import_files(place, files, talk)
    talk(f"{place.data} is made from {', '.join(files)} and what it had before")


def _fetch(name: str, folder: Path) -> Path:
    from forecast.fetching import fetch

    return fetch(name, folder, talk)


def _fetch_all(folder: Path) -> dict[str, Path]:
    """Fetch the data sets that a folder does not hold, as far as they have an address."""
    from forecast.fetching import read_addresses
    from forecast.importers import REGISTRY

    folder.mkdir(parents=True, exist_ok=True)
    wanted = {name: address for name, address in read_addresses().items() if REGISTRY[name].find(folder) is None}
    for name, address in wanted.items():
        if not address.url:
            talk(f"{name}: get it from {address.page}")
    return {name: _fetch(name, folder) for name, address in wanted.items() if address.url}
