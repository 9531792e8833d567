"""The command line: exit codes, what goes to which stream, and nothing sampled for a question that has no answer."""

import io
import json
import subprocess
import sys
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
import typer
import xarray as xr
from typer.testing import CliRunner

from forecast import __version__
from forecast.checks import check_study
from forecast.cli import app
from forecast.prediction import Forecast, ask
from forecast.schema import KINDS, OUTCOMES, TABLES

FINE, USAGE, DATA, SPEC = 0, 2, 10, 11
READING = {
    "country": "XNL",
    "indicator": "elite_division",
    "observed-on": "2019-01-01",
    "value": "0.3",
    "low": "0.2",
    "high": "0.4",
    "known-on": "2019-02-01",
    "sources": "survey_2015",
}
EVENT = {
    "event-id": "XNL-2018-march",
    "country": "XNL",
    "kind": "uprising",
    "start": "2018-03-01",
    "name": "March",
    "known-on": "2018-03-01",
    "sources": "survey_2015",
}
HEADER = ",".join(TABLES["indicators.csv"].model_fields) + "\n"
LINE = "XNL,elite_division,2019-01-01,0.3,0.2,0.4,A,judgement,2019-02-01,survey_2015,\n"
NEXT_LINE = LINE.replace("2019-01-01", "2019-06-01").replace("2019-02-01", "2019-07-01")


def command(*words, given=None):
    return CliRunner().invoke(app, [str(word) for word in words], input=given)


def options(**values):
    return [word for name, value in values.items() for word in (f"--{name.replace('_', '-')}", value)]


def add(study, table, values, *words, given=None):
    return command("add", table, "--study", study.source, *options(**values), *words, given=given)


def table_text(study, file="indicators.csv"):
    return (study.data / file).read_text(encoding="utf-8")


@pytest.fixture(autouse=True)
def no_sampling(monkeypatch):
    def refuse(*_, **__):
        raise AssertionError("a posterior was asked for")

    monkeypatch.setattr("forecast.inference.fit_or_load", refuse)


# help and version


def verbs(group, path=()):
    for name, verb in sorted(group.commands.items()):
        yield from verbs(verb, (*path, name)) if hasattr(verb, "commands") else [(*path, name)]


VERBS = list(verbs(typer.main.get_command(app)))


@pytest.mark.parametrize("verb", VERBS, ids=" ".join)
def test_the_help_of_every_verb_has_an_example_of_itself(verb):
    result = command(*verb, "--help")
    assert result.exit_code == FINE
    assert f"Example: forecast {' '.join(verb)}" in " ".join(result.stdout.split())


def test_help_names_every_verb():
    shown = command("--help").stdout
    for verb in VERBS:
        assert verb[0] in shown


def test_the_version_goes_to_stdout():
    result = command("--version")
    assert (result.exit_code, result.stdout, result.stderr) == (FINE, f"regime-forecast {__version__}\n", "")


@pytest.mark.parametrize("words", [["foretell"], ["check", "--studdy", "x"], ["add", "leader"], ["predict"]])
def test_what_is_no_command_is_a_usage_error(words):
    result = command(*words)
    assert result.exit_code == USAGE
    assert result.stdout == ""


def test_the_module_runs_as_a_program(tiny_tables):
    words = [sys.executable, "-m", "forecast", "check", "--study", str(tiny_tables.source)]
    result = subprocess.run(words, capture_output=True, text=True, timeout=60, check=False)
    assert (result.returncode, result.stdout) == (FINE, "")
    assert "is sound" in result.stderr


def test_asking_for_help_imports_neither_pandas_nor_the_sampler():
    code = "import sys, forecast.cli; print(sorted({'pandas', 'pymc', 'xarray', 'numba'} & set(sys.modules)))"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True)
    assert result.stdout == "[]\n"


# check


def test_a_sound_study_passes_the_check(tiny_tables):
    result = command("check", "--study", tiny_tables.source)
    assert (result.exit_code, result.stdout) == (FINE, "")
    assert "is sound" in result.stderr


def test_a_damaged_study_fails_the_check_with_every_problem(tiny_tables):
    text = table_text(tiny_tables).replace("XNL,elite_division,2009", "XNL,elite_divison,2009")
    (tiny_tables.data / "indicators.csv").write_text(text.replace("0.25,", "0.25x,"), encoding="utf-8")
    result = command("check", "--study", tiny_tables.source)
    assert (result.exit_code, result.stdout) == (DATA, "")
    assert "2 problems in the data" in result.stderr
    assert "indicators.csv, row 10, column indicator: 'elite_divison': is not in codebook.toml" in result.stderr
    assert "indicators.csv, row 11, column value: '0.25x': is not a finite number" in result.stderr
    assert "Traceback" not in result.stderr


def test_one_problem_in_many_rows_is_cut_short_unless_all_are_asked_for(tiny_tables):
    text = table_text(tiny_tables).replace("survey_2015", "survey_2051")
    (tiny_tables.data / "indicators.csv").write_text(text, encoding="utf-8")
    rows = text.count("survey_2051")
    short = command("check", "--study", tiny_tables.source).stderr
    full = command("check", "--all", "--study", tiny_tables.source).stderr
    assert short.count("'survey_2051': is not in sources.bib") == 5
    assert f"in {rows - 5} more rows; forecast check --all lists them" in short
    assert full.count("'survey_2051': is not in sources.bib") == rows


@pytest.mark.parametrize("verb", [["check"], ["fit"], ["predict", "--country", "XNL"], ["record", "--verify"], ["run"]])
def test_a_folder_that_is_no_study_is_a_usage_error(tmp_path, verb):
    result = command(*verb, "--study", tmp_path / "nowhere")
    assert result.exit_code == USAGE
    assert "is not a study: it needs data/codebook.toml and models/; forecast init makes one" in result.stderr


# init


def test_a_new_study_is_made_and_reported_honestly(tmp_path):
    folder = tmp_path / "new"
    made = command("init", folder)
    assert (made.exit_code, made.stdout) == (FINE, "")
    assert "code countries.csv and leaders.csv first" in made.stderr
    for file in TABLES:
        assert (folder / "data" / file).read_text(encoding="utf-8").count("\n") == 1
    checked = command("check", "--study", folder)
    assert checked.exit_code == DATA
    assert "countries.csv: has no rows, so there is nothing to forecast yet" in checked.stderr
    asked = command("predict", "--country", "RUS", "--study", folder)
    assert asked.exit_code == DATA
    assert "Traceback" not in asked.stderr


def test_a_new_study_becomes_sound_once_a_country_and_its_leader_are_coded(tmp_path):
    folder = tmp_path / "new"
    command("init", folder)
    for file, line in (
        ("countries.csv", "XNL,2000-01-01,,901,Northland,north,invented,\n"),
        ("leaders.csv", "XNL-2000-adams,XNL,Ada Adams,2000-01-01,,in_office,,archigos,\n"),
    ):
        with (folder / "data" / file).open("a", encoding="utf-8") as table:
            table.write(line)
    assert command("check", "--study", folder).exit_code == FINE


def test_a_folder_with_something_in_it_is_not_made_a_study(tmp_path):
    (tmp_path / "thesis.txt").write_text("years of work", encoding="utf-8")
    for target in (tmp_path, tmp_path / "thesis.txt"):
        result = command("init", target)
        assert result.exit_code == USAGE
        assert "is not an empty folder" in result.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.txt"]
    assert (tmp_path / "thesis.txt").read_text(encoding="utf-8") == "years of work"


def test_an_empty_folder_is_made_a_study(tmp_path):
    (tmp_path / "empty").mkdir()
    assert command("init", tmp_path / "empty").exit_code == FINE


# add


def test_a_reading_is_added(tiny_tables):
    before = table_text(tiny_tables)
    result = add(tiny_tables, "indicator", READING)
    assert (result.exit_code, result.stdout, result.stderr) == (FINE, "", "1 row added to indicators.csv\n")
    assert table_text(tiny_tables) == before + LINE
    assert check_study(tiny_tables.data) == []


def test_an_event_is_added_as_ongoing_and_unarmed_unless_said(tiny_tables):
    assert add(tiny_tables, "event", EVENT).exit_code == FINE
    added = table_text(tiny_tables, "events.csv").splitlines()[-1]
    assert added == "XNL-2018-march,XNL,uprising,0,2018-03-01,,ongoing,0,March,2018-03-01,survey_2015,"
    assert check_study(tiny_tables.data) == []


def test_a_dry_run_adds_nothing(tiny_tables):
    before = table_text(tiny_tables)
    result = add(tiny_tables, "indicator", READING, "--dry-run")
    assert result.exit_code == FINE
    assert result.stderr.startswith("1 row would be added to indicators.csv\n")
    assert table_text(tiny_tables) == before


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"country": "xnl"}, "new row for indicators.csv, column country: 'xnl': is not an ISO 3166 code"),
        ({"country": "XWL"}, "new row 1 for indicators.csv, column country: 'XWL': is not in countries.csv"),
        ({"observed-on": "1.1.2019"}, "column observed_on: '1.1.2019': is not an ISO date"),
        ({"value": "0,3"}, "column value: '0,3': has a decimal comma"),
        ({"value": "3"}, "column value: '3': is outside 0 to 1"),
        ({"low": "0.35"}, "column value: '0.3': is outside its own range 0.35 to 0.4"),
        ({"indicator": "tenure"}, "column indicator: 'tenure': is computed"),
        ({"sources": "nobody_2019"}, "column sources: 'nobody_2019': is not in sources.bib"),
        ({"known-on": "2018-12-31"}, "column known_on: '2018-12-31': is before 2019-01-01"),
        ({"note": "a\nb"}, "column note: 'a\\nb': holds a control character"),
        ({"note": "left open "}, "column note: 'left open ': has a space at an end"),
        ({"note": "dÃ©jÃ  vu"}, "was read in a wrong encoding"),
    ],
)
def test_a_wrong_reading_is_refused_and_nothing_is_written(tiny_tables, changes, message):
    before = table_text(tiny_tables)
    result = add(tiny_tables, "indicator", {**READING, **changes})
    assert (result.exit_code, result.stdout) == (DATA, "")
    assert message in result.stderr
    assert "Remedy: " in result.stderr
    assert table_text(tiny_tables) == before


def test_an_empty_reading_is_refused_with_every_column(tiny_tables):
    result = add(tiny_tables, "indicator", {})
    assert result.exit_code == DATA
    for column in ("country", "indicator", "observed_on", "value", "low", "high", "known_on", "sources"):
        assert f"column {column}: ''" in result.stderr


def test_a_wrong_event_is_refused(tiny_tables):
    before = table_text(tiny_tables, "events.csv")
    result = add(tiny_tables, "event", {**EVENT, "result": "removed", "end": "2018-04-01"})
    assert result.exit_code == DATA
    assert "no spell ends by coup or revolution on 2018-04-01" in result.stderr
    assert table_text(tiny_tables, "events.csv") == before


def test_rows_are_added_from_a_file(tiny_tables, tmp_path):
    source = tmp_path / "rows.csv"
    source.write_text(HEADER + LINE + NEXT_LINE, encoding="utf-8")
    before = table_text(tiny_tables)
    result = add(tiny_tables, "indicator", {}, "--from", source)
    assert (result.exit_code, result.stderr) == (FINE, "2 rows added to indicators.csv\n")
    assert table_text(tiny_tables) == before + LINE + NEXT_LINE


def test_rows_are_added_from_standard_input(tiny_tables):
    before = table_text(tiny_tables)
    given = HEADER + LINE.replace(",\n", ",Erdoğan's visit\n")
    assert add(tiny_tables, "indicator", {}, "--from", "-", given=given).exit_code == FINE
    assert table_text(tiny_tables).removeprefix(before) == given.removeprefix(HEADER)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        pytest.param(HEADER + LINE + NEXT_LINE.replace("0.3", "0.9"), "new row 2 for indicators.csv", id="one-bad-row"),
        pytest.param(
            HEADER + LINE + LINE.replace("0.3", "0.31"),
            "new row 2 for indicators.csv, column observed_on",
            id="a-key-twice",
        ),
        pytest.param(HEADER + LINE.replace("0.3", "x"), "rows.csv, row 2, column value: 'x'", id="no-number"),
        pytest.param(LINE, "rows.csv, row 1, column country: the column is missing", id="no-header"),
        pytest.param("", "rows.csv: the file is empty", id="empty"),
        pytest.param(HEADER + LINE[:-1], "rows.csv, row 2: the last line has no end", id="cut-off"),
        pytest.param(HEADER + LINE.replace("A,", 'A,"'), "rows.csv, row 2: broken quoting", id="quote-left-open"),
        pytest.param(HEADER + LINE.replace(",\n", "\n"), "rows.csv, row 2: the row has 10 fields", id="lost-comma"),
        pytest.param((HEADER + LINE).replace(",", ";"), "not separated by commas", id="semicolons"),
        pytest.param("\ufeff" + HEADER + LINE, "byte order mark", id="byte-order-mark"),
        pytest.param(HEADER + "\n" + LINE, "rows.csv, row 2: the row is empty", id="blank-row"),
    ],
)
def test_a_damaged_file_of_rows_is_refused_as_a_whole(tiny_tables, tmp_path, content, message):
    source = tmp_path / "rows.csv"
    source.write_text(content, encoding="utf-8", newline="")
    before = table_text(tiny_tables)
    result = add(tiny_tables, "indicator", {}, "--from", source)
    assert (result.exit_code, result.stdout) == (DATA, "")
    assert message in result.stderr
    assert table_text(tiny_tables) == before


def test_rows_in_another_encoding_are_refused(tiny_tables, tmp_path):
    (tmp_path / "rows.csv").write_bytes((HEADER + LINE.replace(",\n", ",Nürnberg\n")).encode("latin-1"))
    result = add(tiny_tables, "indicator", {}, "--from", tmp_path / "rows.csv")
    assert result.exit_code == DATA
    assert "rows.csv, row 2: \"b'\\\\xfc'\": the bytes are not UTF-8" in result.stderr


def test_a_file_of_rows_that_does_not_exist_is_a_usage_error(tiny_tables, tmp_path):
    result = add(tiny_tables, "indicator", {}, "--from", tmp_path / "nothing.csv")
    assert result.exit_code == USAGE
    assert "nothing.csv cannot be read" in result.stderr


@pytest.mark.parametrize(
    "text",
    [
        "$(touch {trap})",
        "`touch {trap}`",
        "; touch {trap};",
        "=cmd|' /C touch {trap}'!A1",
        "__import__('os').system('touch {trap}')",
        "{{{{ cycler.__init__.__globals__.os.popen('touch {trap}') }}}}",
        "%s %n {{0.__class__}} ../../etc/passwd",
        "<script>alert(1)</script>",
        "[bold red]not markup[/bold red] [link=https://example.org]x[/link]",
        "'); DROP TABLE leaders; --",
    ],
)
def test_hostile_text_stays_text(tiny_tables, tmp_path, text):
    trap = tmp_path / "trap"
    hostile = text.format(trap=trap)
    result = add(tiny_tables, "indicator", {**READING, "note": hostile})
    assert result.exit_code == FINE
    assert pd.read_csv(tiny_tables.data / "indicators.csv")["note"].iloc[-1] == hostile
    refused = add(tiny_tables, "indicator", {**READING, "country": hostile})
    assert refused.exit_code == DATA
    assert repr(hostile) in refused.stderr
    assert command("check", "--study", tiny_tables.source).exit_code == FINE
    assert not trap.exists()


@pytest.mark.parametrize("file", TABLES)
def test_a_terminal_is_never_sent_control_characters_of_a_table(tiny_tables, file):
    for place in ("header", "cell"):
        lines = table_text(tiny_tables, file).splitlines(keepends=True)
        spoilt = "\x1b]0;owned\x07" + lines[0 if place == "header" else 1]
        lines[0 if place == "header" else 1] = spoilt
        (tiny_tables.data / file).write_text("".join(lines), encoding="utf-8")
        result = command("check", "--study", tiny_tables.source)
        assert result.exit_code == DATA
        assert "owned" in result.stderr
        assert "\x1b" not in result.stderr
        (tiny_tables.data / file).write_text("".join(lines).replace("\x1b]0;owned\x07", ""), encoding="utf-8")


# predict


@pytest.mark.parametrize(
    ("words", "code", "message"),
    [
        (["--country", "XWL"], USAGE, "'XWL' is not in the data as of 2020-12-31; known are XNL, XSL"),
        (["--country", "xnl"], USAGE, "'xnl' is not in the data"),
        (["--format", "xml"], USAGE, "--format xml: choose table, json or csv"),
        (["--set", "war_balance"], USAGE, "--set war_balance: write INDICATOR=NUMBER"),
        (["--set", "war_balance=bad"], USAGE, "--set war_balance=bad: write INDICATOR=NUMBER"),
        (["--set", "war_balance=-0,8"], USAGE, "write INDICATOR=NUMBER"),
        (["--set", "war_balance=-1.5"], USAGE, "war_balance=-1.5 is outside its range -1 to 1"),
        (["--set", "war_balance=nan"], USAGE, "war_balance=nan is outside its range"),
        (["--set", "morale=0.5"], USAGE, "morale cannot be set; choose from war_balance, elite_division"),
        (["--set", "tenure=1"], USAGE, "tenure cannot be set"),
        (["--as-of", "2020-13-01"], USAGE, "'2020-13-01' is not a date; write YYYY-MM-DD"),
        (["--as-of", "2021-01-01"], USAGE, "the data end on 2020-12-31"),
        (["--as-of", "1999-12-31"], USAGE, "the data begin on 2000-01-01"),
        (["--horizon", "0"], USAGE, "the horizon is 0 months; ask for 1 to 120"),
        (["--horizon", "121"], USAGE, "the horizon is 121 months"),
        (["--horizon", "two"], USAGE, "Invalid value for '--horizon'"),
        (["--spec", "defualt"], SPEC, "there is no spec defualt.toml"),
        (["--variation", "rosy"], SPEC, "has no variation 'rosy'; it has: sceptical"),
    ],
)
def test_a_question_without_an_answer_is_refused_before_anything_is_sampled(tiny_tables, words, code, message):
    country = [] if "--country" in words else ["--country", "XNL"]
    result = command("predict", "--study", tiny_tables.source, *country, *words)
    assert (result.exit_code, result.stdout) == (code, "")
    assert message in " ".join(result.stderr.split())


@pytest.mark.parametrize("verb", ["report", "run", "claims", "record", "fit"])
def test_other_verbs_refuse_a_wrong_day_and_spec_alike(tiny_tables, verb):
    assert command(verb, "--study", tiny_tables.source, "--as-of", "2021-01-01").exit_code == USAGE
    assert command(verb, "--study", tiny_tables.source, "--spec", "defualt").exit_code == SPEC


@pytest.mark.parametrize("verb", [["predict", "--country", "XNL"], ["fit"]])
def test_a_spec_that_does_not_fit_the_codebook_is_refused(tiny_tables, verb):
    path = tiny_tables.models / "default.toml"
    path.write_text(path.read_text(encoding="utf-8").replace('"elite_division"', '"elite_unity"'), encoding="utf-8")
    result = command(*verb, "--study", tiny_tables.source)
    assert result.exit_code == SPEC
    assert "elite_unity not in the codebook; known are war_balance, elite_division" in result.stderr


@pytest.mark.parametrize(
    "verb", [["predict", "--country", "XNL"], ["fit"], ["run"], ["report"], ["claims"], ["record"]]
)
def test_damaged_data_stop_every_verb(tiny_tables, verb):
    (tiny_tables.data / "events.csv").write_bytes(b"")
    result = command(*verb, "--study", tiny_tables.source)
    assert (result.exit_code, result.stdout) == (DATA, "")
    assert "events.csv: the file is empty" in result.stderr


@pytest.fixture
def answered(monkeypatch):
    """Let every question have a made-up answer: all outcomes equally likely."""

    def made_up(fit, data, country, horizon, settings):
        shape = (2, 5, horizon, len(OUTCOMES))
        months, draws = np.arange(1, horizon + 1), ("chain", "draw", "month")
        equal = xr.DataArray(
            np.full(shape, 1 / len(OUTCOMES)),
            dims=(*draws, "outcome"),
            coords={"month": months, "outcome": list(OUTCOMES)},
        )
        attempt = xr.DataArray(
            np.zeros((*shape[:3], len(KINDS))), dims=(*draws, "kind"), coords={"month": months, "kind": list(KINDS)}
        )
        return Forecast(ask(data, country, horizon, settings), equal, attempt, {})

    fitted = SimpleNamespace(spec=SimpleNamespace(gate=None), require_gate=lambda: None)
    monkeypatch.setattr("forecast.inference.fit_or_load", lambda *_, **__: (fitted, True))
    monkeypatch.setattr("forecast.prediction.predict", made_up)
    monkeypatch.setattr("forecast.prediction.require_mixed", lambda *_: None)


def test_json_alone_is_on_stdout_and_talk_on_stderr(tiny_tables, answered):
    words = ["--country", "XNL", "--horizon", "6", "--set", "war_balance=-0.8", "--format", "json"]
    result = command("predict", "--study", tiny_tables.source, "--as-of", "2006-05-09", *words)
    assert result.exit_code == FINE
    assert "Adèle Adams, Northland: 2006-05-09 to 2006-11-09" in result.stderr
    content = json.loads(result.stdout)
    assert content["leader"] == "Adèle Adams"
    assert (content["as_of"], content["horizon_months"], content["horizon_end"]) == ("2006-05-09", 6, "2006-11-09")
    assert content["settings"] == {"war_balance": -0.8}
    assert [row["outcome"] for row in content["rows"]] == list(OUTCOMES)
    assert sum(row["probability"] for row in content["rows"]) == pytest.approx(1)


def test_csv_alone_is_on_stdout(tiny_tables, answered):
    result = command("predict", "--study", tiny_tables.source, "--country", "XSL", "--format", "csv")
    table = pd.read_csv(io.StringIO(result.stdout))
    assert list(table["outcome"]) == list(OUTCOMES)
    assert table["probability"].tolist() == pytest.approx([0.2] * 5)
    assert "Eve Evans" in result.stderr


def test_a_table_for_people_names_every_outcome(tiny_tables, answered):
    result = command("predict", "--study", tiny_tables.source, "--country", "XSL")
    for outcome in OUTCOMES:
        assert outcome in result.stdout


@pytest.mark.parametrize(("first", "informed"), [("2009", False), ("2010", True)])
def test_a_backtest_has_no_prior_that_learnt_from_later_than_its_first_origin(
    repository, tmp_path, monkeypatch, first, informed
):
    class Seen(Exception):  # noqa: N818
        pass

    def stop(_data, model, *_, **__):
        raise Seen(model.onset.baseline["coup"].mean)

    monkeypatch.setattr("forecast.backtest.run_backtest", stop)
    words = ["--from", first, "--to", "2011", "--out", tmp_path / "b.csv", "--spec", "default", "--study", repository]
    seen = command("backtest", *words).exception
    assert isinstance(seen, Seen)
    assert (seen.args[0] != -3.9) is informed


@pytest.mark.parametrize(("day", "informed"), [("2010-12-30", False), ("2010-12-31", True)])
def test_a_view_has_no_prior_that_learnt_from_later(repository, monkeypatch, day, informed):
    class Seen(Exception):  # noqa: N818
        pass

    def stop(_build, _data, model, **_):
        raise Seen(model.onset.baseline["coup"].mean)

    monkeypatch.setattr("forecast.inference.fit_or_load", stop)
    seen = command("fit", "--as-of", day, "--study", repository).exception
    assert isinstance(seen, Seen)
    assert (seen.args[0] != -3.9) is informed
