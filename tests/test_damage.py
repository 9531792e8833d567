"""Whatever a person, a spreadsheet or an editor does to a study, the check says where, what and how to mend it."""

import csv
import io
from datetime import date, timedelta

import pytest

from forecast.checks import check_study
from forecast.data import load_data
from forecast.errors import DataError
from forecast.schema import TABLES
from forecast.tables import read_table, validate_row

FREE_TEXT = {"name", "note", "leader"}
DATES = {"start", "end", "entered", "observed_on", "known_on"}


def read_cells(folder, file):
    return list(csv.reader(io.StringIO((folder / file).read_text(encoding="utf-8"))))


def write_cells(folder, file, lines):
    buffer = io.StringIO()
    csv.writer(buffer, lineterminator="\n").writerows(lines)
    (folder / file).write_text(buffer.getvalue(), encoding="utf-8")


def change_bytes(folder, file, change):
    (folder / file).write_bytes(change((folder / file).read_bytes()))


def set_cells(file, row, **values):
    """Return damage that writes values into the named columns of a row, which counts the header as row 1."""

    def damage(folder):
        lines = read_cells(folder, file)
        for column, value in values.items():
            lines[row - 1][lines[0].index(column)] = value
        write_cells(folder, file, lines)

    return damage


def swap_text(file, old, new):
    def damage(folder):
        text = (folder / file).read_text(encoding="utf-8")
        assert old in text
        (folder / file).write_text(text.replace(old, new, 1), encoding="utf-8")

    return damage


def on_bytes(file, change):
    return lambda folder: change_bytes(folder, file, change)


def on_lines(file, change):
    return on_bytes(file, lambda raw: "\n".join(change(raw.decode().split("\n"))).encode())


def on_columns(file, change):
    def damage(folder):
        write_cells(folder, file, [change(list(line)) for line in read_cells(folder, file)])

    return damage


def drop_row(file, row):
    return on_lines(file, lambda lines: lines[: row - 1] + lines[row:])


def double_row(file, row):
    return on_lines(file, lambda lines: [*lines[:row], lines[row - 1], *lines[row:]])


def add_line(file, line):
    return on_bytes(file, lambda raw: raw + line.encode() + b"\n")


def case(name, damage, file, row, column, value, message):
    return pytest.param(damage, file, row, column, value, message, id=name)


def cell_case(name, file, row, column, value, message):
    return case(name, set_cells(file, row, **{column: value}), file, row, column, value, message)


C, L, E, R, B, S = "countries.csv", "leaders.csv", "events.csv", "indicators.csv", "codebook.toml", "sources.bib"

CELLS = [
    # dates
    cell_case("date-serial", L, 3, "start", "38847", "write 2006-05-10"),
    cell_case("date-serial-decimal", R, 3, "observed_on", "38412.0", "write 2005-03-01"),
    cell_case("date-day-first", E, 2, "start", "01/04/2006", "not an ISO date"),
    cell_case("date-dots", C, 2, "start", "1.1.2000", "not an ISO date"),
    cell_case("date-without-leading-zeros", R, 4, "known_on", "2005-11-3", "not an ISO date"),
    cell_case("date-two-digit-year", E, 3, "known_on", "04-08-30", "not an ISO date"),
    cell_case("date-with-time", L, 2, "end", "2006-05-10 00:00:00", "not an ISO date"),
    cell_case("date-month-and-day-swapped", R, 5, "observed_on", "2006-13-01", "no day of the calendar"),
    cell_case("date-no-leap-year", E, 4, "end", "2013-02-29", "no day of the calendar"),
    cell_case("date-in-words", L, 2, "entered", "March 1998", "not an ISO date"),
    cell_case("date-wide-digits", C, 4, "start", "２０１０-０１-０１", "not an ISO date"),
    cell_case("date-missing", E, 2, "known_on", "", "not an ISO date"),
    cell_case("date-long-dash", R, 6, "observed_on", "2000–01–01", "not an ISO date"),
    # codes, names and flags
    cell_case("country-lower-case", C, 2, "country", "xnl", "not an ISO 3166 code"),
    cell_case("country-two-letters", E, 2, "country", "XN", "not an ISO 3166 code"),
    cell_case("country-by-number", R, 2, "country", "901", "not an ISO 3166 code"),
    cell_case("country-cyrillic-letter", L, 2, "country", "ХNL", "not an ISO 3166 code"),
    cell_case("gw-code-as-decimal", C, 2, "gw_code", "901.0", "not a Gleditsch-Ward code"),
    cell_case("gw-code-four-digits", C, 2, "gw_code", "9010", "not a Gleditsch-Ward code"),
    cell_case("gw-code-negative", C, 3, "gw_code", "-902", "not a Gleditsch-Ward code"),
    cell_case("gw-code-missing", C, 3, "gw_code", "", "not a Gleditsch-Ward code"),
    cell_case("gw-code-of-another", C, 3, "gw_code", "901", "is the number of XNL in row 2"),
    cell_case("group-capitals", C, 2, "group", "North", "not a lower-case name"),
    cell_case("frame-with-space", C, 2, "frame", "my frame", "not a lower-case name"),
    cell_case("name-missing", C, 2, "name", "", "is empty"),
    cell_case("leader-missing", L, 4, "leader", "", "is empty"),
    cell_case("name-with-line-break", E, 2, "name", "Spring\nof the North", "control characters"),
    cell_case("note-with-tab", L, 2, "note", "in power\tbefore", "control character"),
    cell_case("spell-id-as-date", L, 2, "spell_id", "XNL1-Jan-00", "not an identifier"),
    cell_case("spell-id-of-another-year", L, 2, "spell_id", "XNL-2001-adams", "does not begin with XNL-2000-"),
    cell_case("event-id-with-capital", E, 2, "event_id", "XNL-2006-Spring", "not an identifier"),
    cell_case("event-id-of-another-country", E, 2, "event_id", "XSL-2006-spring", "does not begin with XNL-2006-"),
    cell_case("kind-unknown", E, 2, "kind", "revolution", "not an allowed value"),
    cell_case("armed-in-words", E, 2, "armed", "no", "not a flag"),
    cell_case("inherited-as-boolean", E, 4, "inherited", "TRUE", "not a flag"),
    cell_case("result-unknown", E, 2, "result", "success", "not an allowed value"),
    cell_case("exit-unknown", L, 2, "exit", "Regular", "not an allowed value"),
    cell_case("basis-unknown", R, 2, "basis", "guess", "not an allowed value"),
    cell_case("coder-missing", R, 2, "coder", "", "not a coder's name"),
    cell_case("coder-by-number", R, 9, "coder", "2", "not a coder's name"),
    # numbers
    cell_case("decimal-comma", R, 7, "value", "0,4", "decimal comma"),
    cell_case("decimal-comma-in-range", R, 7, "high", "0,6", "decimal comma"),
    cell_case("nan", R, 7, "value", "NaN", "not a finite number"),
    cell_case("infinity", R, 7, "high", "inf", "not a finite number"),
    cell_case("number-missing", R, 7, "low", "", "not a finite number"),
    cell_case("percent", R, 7, "value", "40%", "not a finite number"),
    cell_case("typographic-minus", R, 3, "value", "−0.4", "not a finite number"),
    cell_case("spreadsheet-error", R, 7, "value", "#REF!", "not a finite number"),
    cell_case("number-arabic-digits", R, 7, "value", "٠.٤", "not a finite number"),
    cell_case("number-as-date", R, 7, "value", "2024-04-01", "not a finite number"),
    cell_case("value-out-of-range", R, 3, "low", "-1.5", "outside -1 to 1"),
    cell_case("value-below-low", R, 7, "value", "0.1", "outside its own range 0.2 to 0.6"),
    cell_case("value-above-high", R, 7, "value", "0.95", "outside its own range 0.2 to 0.6"),
    cell_case("negative-on-a-scale-from-zero", R, 6, "low", "-0.1", "outside 0 to 1"),
    # what an editor leaves in a cell
    cell_case("space-before", L, 2, "leader", " Adèle Adams", "space at an end"),
    cell_case("space-after", C, 2, "name", "Northland ", "space at an end"),
    cell_case("no-break-space-after", L, 3, "note", "text\u00a0", "space at an end"),
    cell_case("mojibake-french", L, 2, "leader", "AdÃ¨le Adams", "wrong encoding"),
    cell_case("mojibake-turkish", E, 2, "name", "DÄ±ÅŸ", "wrong encoding"),
    cell_case("mojibake-quotes", R, 2, "note", "no â€œwarâ€\u009d", "wrong encoding"),
    cell_case("replacement-character", L, 2, "leader", "Ad\ufffdle Adams", "wrong encoding"),
    # sources
    cell_case("source-missing", L, 3, "sources", "", "not a list of source keys"),
    cell_case("source-with-spaces", L, 2, "sources", "north_2001; survey_2015", "not a list of source keys"),
    cell_case("sources-by-comma", L, 2, "sources", "north_2001,survey_2015", "not a list of source keys"),
    cell_case("source-separator-at-the-end", E, 2, "sources", "survey_2015;", "not a list of source keys"),
    cell_case("source-unknown-leader", L, 3, "sources", "survey_2016", "not in sources.bib"),
    cell_case("source-unknown-event", E, 3, "sources", "South_2005", "not in sources.bib"),
    cell_case("source-unknown-reading", R, 3, "sources", "north-2001", "not in sources.bib"),
]

TEXTS = [
    case("semicolons", on_bytes(C, lambda raw: raw.replace(b",", b";")), C, 1, None, ";", "not separated by commas"),
    case("tabs", on_bytes(R, lambda raw: raw.replace(b",", b"\t")), R, 1, None, "\t", "not separated by commas"),
    case("byte-order-mark", on_bytes(E, lambda raw: b"\xef\xbb\xbf" + raw), E, 1, None, None, "byte order mark"),
    case("carriage-returns", on_bytes(L, lambda raw: raw.replace(b"\n", b"\r\n")), L, 1, None, None, "CR LF"),
    case("one-carriage-return", on_bytes(L, lambda raw: raw.replace(b"brown", b"br\rown")), L, 3, None, None, "CR LF"),
    case("latin-1", on_bytes(L, lambda raw: raw.decode().encode("latin-1")), L, 2, None, "b'\\xe8'", "not UTF-8"),
    case("utf-16", on_bytes(C, lambda raw: raw.decode().encode("utf-16")), C, 1, None, "b'\\xff'", "not UTF-8"),
    case("zero-bytes", on_bytes(C, lambda raw: raw.replace(b"north,", b"nor\0th,")), C, 2, "group", "nor\0th", "lower"),
    case("cut-off", on_bytes(R, lambda raw: raw[:-1]), R, 21, None, None, "no end"),
    case("cut-off-inside-a-row", on_bytes(R, lambda raw: raw[:-30]), R, 21, None, None, "fields where"),
    case("unclosed-quote", swap_text(L, 'elected, then re-elected"', "elected"), L, 5, None, None, "broken quoting"),
    case("quote-opened-early", swap_text(L, "XNL-2000", '"XNL-2000'), L, 2, None, None, "broken quoting"),
    case("extra-comma", swap_text(E, "Palace coup", "Palace, coup"), E, 3, None, None, "13 fields where"),
    case("lost-comma", swap_text(R, "2005-03-15,", "2005-03-15"), R, 3, None, None, "10 fields where"),
    case("text-on-two-lines", swap_text(L, "before the frame", "\n"), L, 3, None, None, "fields where"),
    case("blank-line", on_lines(E, lambda lines: [*lines[:2], "", *lines[2:]]), E, 3, None, None, "row is empty"),
    case("row-of-commas", add_line(C, ",,,,,,,"), C, 5, None, None, "row is empty"),
    case(
        "conflict-marker", on_lines(E, lambda lines: [*lines[:2], "=======", *lines[2:]]), E, 3, None, None, "1 fields"
    ),
    case("header-lost", drop_row(R, 1), R, 1, "country", None, "column is missing"),
    case("header-twice", double_row(C, 1), C, 2, "country", "country", "not an ISO 3166 code"),
    case("column-doubled", on_columns(C, lambda line: [*line, line[0]]), C, 1, "country", None, "stands twice"),
    case("column-missing", on_columns(E, lambda line: line[:9] + line[10:]), E, 1, "known_on", None, "missing"),
    case("column-unknown", on_columns(R, lambda line: [*line, ""][:12]), R, 1, "(no name)", None, "unknown"),
    case("column-renamed", swap_text(L, "spell_id", "Spell ID"), L, 1, "Spell ID", None, "unknown"),
    case("columns-moved", on_columns(R, lambda line: [line[1], line[0], *line[2:]]), R, 1, "indicator", None, "order"),
]
TEXTS += [
    case(f"missing-{file}", lambda folder, file=file: (folder / file).unlink(), file, None, None, None, "missing")
    for file in (C, L, E, R, B, S)
]
TEXTS += [
    case(f"empty-{file}", on_bytes(file, lambda _: b""), file, None, column, None, message)
    for file, column, message in (
        (C, None, "file is empty"),
        (L, None, "file is empty"),
        (E, None, "file is empty"),
        (R, None, "file is empty"),
        (B, "study.title", "required"),
        (S, None, "no entry"),
    )
]

RULES = [
    # keys
    case("row-doubled-country", double_row(C, 2), C, 3, "start", "2000-01-01", "repeats the key"),
    case("row-doubled-leader", double_row(L, 3), L, 4, "spell_id", "XNL-2006-brown", "of row 3"),
    case("row-doubled-event", double_row(E, 2), E, 3, "event_id", "XNL-2006-spring", "of row 2"),
    case("row-doubled-reading", double_row(R, 8), R, 9, "observed_on", "2006-01-01", "of row 8"),
    case(
        "reading-of-one-coder-twice",
        set_cells(R, 9, coder="A", known_on="2006-01-10"),
        R,
        9,
        "observed_on",
        "2006-01-01",
        "of row 8",
    ),
    cell_case("spell-id-of-another-spell", L, 6, "spell_id", "XSL-2004-davis", "of row 5"),
    # countries and frames
    case(
        "country-of-another-spell", set_cells(L, 3, country="XSL"), L, 3, "spell_id", "XNL-2006-brown", "with XSL-2006-"
    ),
    case(
        "country-of-another-event",
        set_cells(E, 2, country="XSL"),
        E,
        2,
        "event_id",
        "XNL-2006-spring",
        "with XSL-2006-",
    ),
    case(
        "unknown-country-leader",
        set_cells(L, 3, country="XWL", spell_id="XWL-2006-brown"),
        L,
        3,
        "country",
        "XWL",
        "not in countries.csv",
    ),
    cell_case("unknown-country-reading", R, 3, "country", "XLN", "not in countries.csv"),
    cell_case("unknown-country-event", E, 4, "country", "XLS", "not in countries.csv"),
    case(
        "country-without-leaders",
        add_line(C, "XWL,2000-01-01,,903,Westland,west,invented,"),
        C,
        5,
        "country",
        "XWL",
        "no leader spell",
    ),
    case("country-renamed", set_cells(C, 2, country="XWL"), C, 2, "country", "XWL", "no leader spell"),
    case(
        "periods-overlap",
        set_cells(C, 3, end="2011-01-01"),
        C,
        4,
        "start",
        "2010-01-01",
        "period before ends 2011-01-01",
    ),
    case("period-left-open", set_cells(C, 3, end=""), C, 4, "start", "2010-01-01", "period before ends never"),
    cell_case("period-ends-before-it-starts", C, 3, "end", "1999-01-01", "not after the start"),
    case("no-countries", on_lines(C, lambda lines: [lines[0], ""]), C, None, None, None, "nothing to forecast"),
    case(
        "frame-begins-earlier", set_cells(C, 2, start="1999-01-01"), L, 2, "start", "2000-01-01", "begins on 1999-01-01"
    ),
    case("frame-ends-earlier", set_cells(C, 4, end="2015-01-01"), L, 6, "end", "", "ends 2015-01-01"),
    # spells
    cell_case("spell-begins-late", L, 3, "start", "2006-05-11", "leaves a gap after the spell XNL-2000-adams"),
    cell_case("spell-begins-early", L, 3, "start", "2006-05-09", "overlaps the spell XNL-2000-adams"),
    case("spell-ends-early", set_cells(L, 5, end="2012-02-28"), L, 6, "start", "2012-03-01", "leaves a gap"),
    case("spell-ends-late", set_cells(L, 5, end="2012-03-02"), L, 6, "start", "2012-03-01", "overlaps"),
    case("spell-lost", drop_row(L, 5), L, 5, "start", "2012-03-01", "leaves a gap"),
    case(
        "spell-before-the-frame",
        set_cells(L, 2, start="1999-01-01", spell_id="XNL-1999-adams"),
        L,
        2,
        "start",
        "1999-01-01",
        "outside the frame",
    ),
    cell_case("spell-ends-before-it-starts", L, 4, "end", "1999-09-01", "not after the start"),
    cell_case("spell-of-no-day", L, 5, "end", "2004-09-01", "not after the start"),
    cell_case("exit-while-in-office", L, 3, "exit", "regular", "does not fit the end (empty)"),
    cell_case("in-office-after-the-end", L, 5, "exit", "in_office", "does not fit the end 2012-03-01"),
    case("end-lost", set_cells(L, 5, end=""), L, 5, "exit", "regular", "does not fit the end"),
    cell_case("frame-end-inside-the-frame", L, 5, "exit", "frame_end", "goes on after 2012-03-01"),
    cell_case("entered-after-the-start", L, 2, "entered", "2001-03-01", "not before the start"),
    cell_case("exit-by-coup-without-event", L, 5, "exit", "coup", "no coup_attempt with result removed"),
    cell_case("exit-by-the-other-kind", L, 4, "exit", "revolution", "no uprising with result removed"),
    # challenges
    cell_case("removal-without-exit", E, 4, "result", "removed", "no spell ends by coup or revolution"),
    case("exit-corrected-alone", set_cells(L, 2, exit="regular"), E, 2, "result", "removed", "no spell ends"),
    case("event-lost", drop_row(E, 3), L, 4, "exit", "coup", "no coup_attempt"),
    case("event-of-the-other-kind", set_cells(E, 2, kind="coup_attempt"), L, 2, "exit", "revolution", "no uprising"),
    case(
        "leader-removed-twice",
        add_line(E, "XNL-2006-second,XNL,uprising,0,2006-04-20,2006-05-10,removed,0,Second,2006-05-10,survey_2015,"),
        E,
        5,
        "result",
        "removed",
        "XNL-2006-spring removed the same leader",
    ),
    cell_case("event-before-the-frame", E, 2, "start", "1996-04-01", "no leader of XNL is in office"),
    cell_case("event-after-the-exit", E, 3, "end", "2004-10-01", "after the exit of Cleo Clark"),
    cell_case("event-ends-before-it-starts", E, 4, "end", "2012-02-01", "not after the start"),
    cell_case("ongoing-with-an-end", E, 4, "result", "ongoing", "does not fit the end 2012-06-01"),
    case("result-without-an-end", set_cells(E, 4, end=""), E, 4, "result", "failed", "does not fit the end (empty)"),
    case("inherited-not-at-start", set_cells(E, 4, start="2012-03-02"), E, 4, "inherited", "1", "begins 2012-03-01"),
    cell_case("event-known-before-it-began", E, 3, "known_on", "2004-08-29", "before 2004-08-30, the day of the fact"),
    cell_case("event-known-after-the-last-day", E, 4, "known_on", "2021-01-01", "after the last coded day 2020-12-31"),
    cell_case("event-ends-after-the-last-day", E, 4, "end", "2021-06-01", "after the last coded day"),
    # readings
    cell_case(
        "reading-known-before-observed", R, 3, "known_on", "2005-02-28", "before 2005-03-01, the day of the fact"
    ),
    cell_case("reading-after-the-last-day", R, 21, "observed_on", "2021-01-01", "after the last coded day"),
    cell_case("reading-before-the-frame", R, 2, "observed_on", "1999-01-01", "outside the frame of XNL"),
    case("judgement-without-range", set_cells(R, 7, low="0.4", high="0.4"), R, 7, "low", "0.4", "without a range"),
    case("measured-turned-judgement", set_cells(R, 20, basis="judgement"), R, 20, "low", "0.35", "without a range"),
    case("low-above-high", set_cells(R, 7, low="0.6", high="0.2"), R, 7, "value", "0.4", "outside its own range"),
    cell_case("indicator-unknown", R, 3, "indicator", "war_ballance", "not in codebook.toml"),
    cell_case("indicator-computed", R, 7, "indicator", "tenure", "is computed"),
]
BOOKS = [
    case("toml-broken", swap_text(B, "[war_balance]", "[war_balance"), B, None, None, None, "not TOML"),
    case("toml-bare-word", swap_text(B, '"judgement"', "judgement"), B, None, None, None, "not TOML"),
    case("toml-typographic-quotes", swap_text(B, '"judgement"', "“judgement”"), B, None, None, None, "not TOML"),
    case("toml-section-twice", swap_text(B, "[elite_division]", "[war_balance]"), B, None, None, None, "not TOML"),
    case(
        "toml-latin-1",
        on_bytes(B, lambda raw: raw.replace(b"invented", b"inv\xe9nted")),
        B,
        None,
        None,
        None,
        "not TOML",
    ),
    case(
        "range-reversed",
        swap_text(B, "[-1.0, 1.0]", "[1.0, -1.0]"),
        B,
        None,
        "war_balance.range",
        "[1.0, -1.0]",
        "does not rise",
    ),
    case(
        "range-of-one-number",
        swap_text(B, "[-1.0, 1.0]", "[1.0, 1.0]"),
        B,
        None,
        "war_balance.range",
        "[1.0, 1.0]",
        "does not rise",
    ),
    case("range-without-end", swap_text(B, "[0.0, 4.0]", "[0.0, inf]"), B, None, "tenure.range.1", "inf", "finite"),
    case("role-unknown", swap_text(B, '"judgement"', '"guess"'), B, None, "war_balance.role", "guess", "should be"),
    case(
        "role-of-a-computed-one",
        swap_text(B, '"judgement"', '"computed"'),
        B,
        None,
        "war_balance.role",
        "computed",
        "does not fit",
    ),
    case(
        "role-of-tenure", swap_text(B, '"computed"', '"judgement"'), B, None, "tenure.role", "judgement", "does not fit"
    ),
    case(
        "absent-unknown",
        swap_text(B, '"missing"', '"nothing"'),
        B,
        None,
        "elite_division.absent",
        "nothing",
        "should be",
    ),
    case(
        "codebook-key-unknown", swap_text(B, "unit =", "units ="), B, None, "war_balance.units", None, "not permitted"
    ),
    case(
        "codebook-key-missing",
        swap_text(B, 'label = "War balance"\n', ""),
        B,
        None,
        "war_balance.label",
        None,
        "required",
    ),
    case("last-day-missing", swap_text(B, "coded_to = 2020-12-31", ""), B, None, "study.coded_to", None, "required"),
    case(
        "last-day-no-date",
        swap_text(B, "2020-12-31", '"31.12.2020"'),
        B,
        None,
        "study.coded_to",
        "31.12.2020",
        "valid date",
    ),
    case(
        "last-day-in-the-future",
        swap_text(B, "2020-12-31", "9020-12-31"),
        B,
        None,
        "study.coded_to",
        "9020-12-31",
        "future",
    ),
    case(
        "last-day-too-early",
        swap_text(B, "2020-12-31", "2017-12-31"),
        R,
        21,
        "observed_on",
        "2018-01-01",
        "after the last coded day",
    ),
    case(
        "indicator-renamed",
        swap_text(B, "[elite_division]", "[elite_unity]"),
        R,
        6,
        "indicator",
        "elite_division",
        "not in codebook",
    ),
    case("range-too-narrow", swap_text(B, "[-1.0, 1.0]", "[0.0, 1.0]"), R, 3, "value", "-0.4", "outside 0 to 1"),
    case(
        "bib-key-twice",
        swap_text(S, "south_2005,", "north_2001,"),
        S,
        2,
        "key",
        "north_2001",
        "repeats the key of row 1",
    ),
    case(
        "bib-key-changed",
        swap_text(S, "south_2005,", "south_2006,"),
        L,
        4,
        "sources",
        "south_2005",
        "not in sources.bib",
    ),
    case("bib-entry-lost", drop_row(S, 1), R, 2, "sources", "north_2001", "not in sources.bib"),
    case(
        "bib-key-with-space",
        swap_text(S, "north_2001,", "north 2001,"),
        S,
        1,
        None,
        "@book{north 2001, author={North, Nora}, title={A Chronicle o",
        "BibTeX",
    ),
    case("bib-latin-1", on_bytes(S, lambda raw: raw.replace(b'{\\"u}', b"\xfc")), S, 2, None, "b'\\xfc'", "not UTF-8"),
    case("bib-byte-order-mark", on_bytes(S, lambda raw: b"\xef\xbb\xbf" + raw), S, 1, None, None, "byte order mark"),
    case("bib-cut-off", on_bytes(S, lambda raw: raw[:-1]), S, 3, None, None, "no end"),
]


def found(folder, file, row, column):
    return [p for p in check_study(folder) if (p.file, p.row, p.column) == (file, row, column)]


def test_the_invented_study_is_sound(tiny_tables):
    assert check_study(tiny_tables.data) == []


def test_comments_and_abbreviations_of_a_bibliography_are_no_damage(tiny_tables):
    path = tiny_tables.data / "sources.bib"
    extra = '@comment{by hand}\n@string{jpr = "Journal of Peace Research"}\n% a remark\n'
    path.write_text(extra + path.read_text(encoding="utf-8"), encoding="utf-8")
    assert check_study(tiny_tables.data) == []


def test_the_real_study_is_sound(repository):
    assert check_study(repository / "data") == []


@pytest.mark.parametrize(("damage", "file", "row", "column", "value", "message"), [*CELLS, *TEXTS, *RULES, *BOOKS])
def test_damage_is_named_with_place_value_and_remedy(tiny_tables, damage, file, row, column, value, message):
    damage(tiny_tables.data)
    problems = [p for p in found(tiny_tables.data, file, row, column) if message in f"{p.message}; {p.remedy}"]
    assert problems, check_study(tiny_tables.data)
    for problem in problems:
        assert problem.remedy
        if value is not None:
            assert problem.value == value
            assert repr(value) in str(problem)


def test_a_problem_reads_as_one_sentence_with_its_place(tiny_tables):
    set_cells(R, 7, value="0,4")(tiny_tables.data)
    assert [str(problem) for problem in check_study(tiny_tables.data)] == [
        "indicators.csv, row 7, column value: '0,4': has a decimal comma. Remedy: write a decimal point."
    ]


@pytest.mark.parametrize("file", TABLES)
def test_rubbish_in_any_one_cell_is_named(tiny_tables, file):
    sound = read_cells(tiny_tables.data, file)
    for row, line in enumerate(sound[1:], start=2):
        for place, column in enumerate(sound[0]):
            rubbish = "\x1b[31m" if column in FREE_TEXT else "?!"
            damaged = [*line[:place], rubbish, *line[place + 1 :]]
            write_cells(tiny_tables.data, file, [*sound[: row - 1], damaged, *sound[row:]])
            problems = found(tiny_tables.data, file, row, column)
            assert [problem.value for problem in problems] == [rubbish], (row, column)


@pytest.mark.parametrize("file", TABLES)
@pytest.mark.parametrize("wrong", ["44616", "24/02/2022", "22-02-24", "2022-2-24", "24.02.2022", "2022-02-30", "2022"])
def test_a_date_in_another_style_is_named_in_every_date_cell(tiny_tables, file, wrong):
    sound = read_cells(tiny_tables.data, file)
    row = len(sound)
    for column in DATES.intersection(sound[0]):
        write_cells(tiny_tables.data, file, sound)
        set_cells(file, row, **{column: wrong})(tiny_tables.data)
        (problem,) = found(tiny_tables.data, file, row, column)
        assert problem.value == wrong


@pytest.mark.parametrize("days", [-1, 1])
def test_no_spell_can_move_by_a_day_unseen(tiny_tables, days):
    sound = read_cells(tiny_tables.data, L)
    for row, line in enumerate(sound[1:], start=2):
        for column in ("start", "end"):
            if text := line[sound[0].index(column)]:
                write_cells(tiny_tables.data, L, sound)
                set_cells(L, row, **{column: str(date.fromisoformat(text) + timedelta(days=days))})(tiny_tables.data)
                assert any(problem.file == L for problem in check_study(tiny_tables.data)), (row, column)


def test_several_damages_are_all_reported_at_once(tiny_tables):
    damages = {
        (C, 2, "group"): set_cells(C, 2, group="North"),
        (L, 3, "start"): set_cells(L, 3, start="10.5.2006"),
        (E, 2, "known_on"): set_cells(E, 2, known_on="2006-02-30"),
        (E, 4, "sources"): set_cells(E, 4, sources="survey_2051"),
        (R, 3, "value"): set_cells(R, 3, value="-0,4"),
        (R, 7, "indicator"): set_cells(R, 7, indicator="elite_divison"),
        (R, 8, "known_on"): set_cells(R, 8, known_on="2026-01-10"),
        (R, 12, None): on_lines(R, lambda lines: [*lines[:11], lines[11] + ",", *lines[12:]]),
    }
    for damage in damages.values():
        damage(tiny_tables.data)
    assert {(p.file, p.row, p.column) for p in check_study(tiny_tables.data)} == set(damages)
    with pytest.raises(DataError, match=f"{len(damages)} problems") as caught:
        load_data(tiny_tables.data)
    assert len(caught.value.problems) == len(damages)


def test_one_lost_source_is_reported_in_every_row_that_cites_it(tiny_tables):
    drop_row(S, 2)(tiny_tables.data)
    cited = [
        (file, row)
        for file in (L, E, R)
        for row, line in enumerate(read_cells(tiny_tables.data, file), start=1)
        if "south_2005" in ",".join(line)
    ]
    assert [(p.file, p.row) for p in check_study(tiny_tables.data)] == cited


def test_a_damaged_real_study_is_named(study_copy):
    set_cells(R, 5000, value="7")(study_copy.data)
    assert found(study_copy.data, R, 5000, "value")


def test_rows_read_column_by_column_are_the_rows_read_one_by_one(repository):
    for file in TABLES:
        rows, problems = read_table(repository / "data" / file)
        assert problems == []
        with (repository / "data" / file).open(encoding="utf-8", newline="") as table:
            for (number, row), cells in zip(rows[:2000], csv.DictReader(table), strict=False):
                alone, _ = validate_row(file, number, cells)
                assert row == alone
                assert row.model_dump() == alone.model_dump()
