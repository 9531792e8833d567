"""Read one CSV table as bytes, line by line, and say everything that is wrong with it.

A damaged file is never guessed at: what a spreadsheet, an editor or a broken download does to a
table is named with its row, and the typed rows that could be read are returned beside the problems.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Sequence
from contextlib import suppress
from itertools import repeat
from pathlib import Path
from typing import Annotated, Any

from pydantic import ConfigDict, TypeAdapter, ValidationError

from forecast.errors import Problem
from forecast.schema import TABLES, WORKINGS, Row, faults

Numbered = tuple[int, Row]

ROWS = {**TABLES, **WORKINGS}
BAD = object()  # stands for a cell that cannot be read

BOM = b"\xef\xbb\xbf"
MOJIBAKE = ("Ã©", "Ã¤", "Ã¶", "Ã¼", "Ã¨", "â€", "Â ", "\ufffd")


def read_table(path: Path) -> tuple[list[Numbered], list[Problem]]:
    """Return the rows of a table with their line numbers, and every problem found on the way.

    Parameters
    ----------
    path : Path
        A file named as one of the tables of `schema.TABLES`.
    """
    if not path.is_file():
        return [], [
            Problem(path.name, None, None, None, "the file is missing", "restore it, or start with forecast init")
        ]
    return parse_table(path.name, path.read_bytes())


def parse_table(file: str, raw: bytes) -> tuple[list[Numbered], list[Problem]]:
    """Return the rows of a table's bytes with their line numbers, and every problem found on the way.

    Parameters
    ----------
    file : str
        Name of one of the tables of `schema.TABLES`: its header and types are expected.
    raw : bytes
    """
    text, problems = decode(file, raw)
    if text is None:
        return [], problems
    lines, torn = _split(file, text)
    problems += torn
    if not lines:
        problems.append(
            Problem(file, None, None, None, "the file is empty", "restore it; a table has at least its header")
        )
        return [], problems
    header_problems = check_header(file, lines[0][1])
    if header_problems:
        return [], problems + header_problems
    rows, row_problems = parse_rows(file, lines[0][1], lines[1:])
    return rows, problems + row_problems


def decode(file: str, raw: bytes) -> tuple[str | None, list[Problem]]:
    """Return the text of a file's bytes, or None when they are not UTF-8, and what an editor did to it."""
    problems = []
    if raw.startswith(BOM):
        problems.append(
            Problem(file, 1, None, None, "the file starts with a byte order mark", "save it as UTF-8 without BOM")
        )
        raw = raw[len(BOM) :]
    try:
        text = raw.decode("utf-8")
    except UnicodeDecodeError as error:
        row = raw.count(b"\n", 0, error.start) + 1
        bad = ascii(raw[error.start : error.end])
        problems.append(Problem(file, row, None, bad, "the bytes are not UTF-8", "save the file as UTF-8"))
        return None, problems
    if "\r" in text:
        row = text.count("\n", 0, text.index("\r")) + 1
        problems.append(Problem(file, row, None, None, "lines end in CR LF or CR", "save the file with LF line ends"))
        text = text.replace("\r\n", "\n").replace("\r", "\n")
    if text and not text.endswith("\n"):
        row = text.count("\n") + 1
        problems.append(
            Problem(file, row, None, None, "the last line has no end, so the file may be cut off", "restore the rest")
        )
    return text, problems


def _split(file: str, text: str) -> tuple[list[tuple[int, list[str]]], list[Problem]]:
    reader = csv.reader(io.StringIO(text), strict=True)
    lines: list[tuple[int, list[str]]] = []
    row = 1  # where a row begins; the reader only knows where it has got to
    try:
        for fields in reader:
            lines.append((row, fields))
            row = reader.line_num + 1
    except csv.Error as error:
        return lines, [
            Problem(
                file,
                row,
                None,
                None,
                f"broken quoting ({error})",
                "close the quotation mark, double inner ones",
            )
        ]
    return lines, []


def check_header(file: str, header: list[str]) -> list[Problem]:
    """Return what is wrong with a header: wrong separator, missing, unknown, doubled or moved columns."""
    expected = list(ROWS[file].model_fields)
    if len(header) == 1 and (separator := next((s for s in ";\t|" if s in header[0]), None)):
        return [Problem(file, 1, None, separator, "columns are not separated by commas", "save as comma-separated CSV")]
    problems = [
        Problem(file, 1, name, None, "the column stands twice", "delete one of the two")
        for name in dict.fromkeys(header)
        if header.count(name) > 1
    ]
    problems += [
        Problem(file, 1, name, None, "the column is missing", f"add it; the header is {','.join(expected)}")
        for name in expected
        if name not in header
    ]
    problems += [
        Problem(
            file,
            1,
            name or "(no name)",
            None,
            "the column is unknown",
            f"remove or rename it; the header is {','.join(expected)}",
        )
        for name in dict.fromkeys(header)
        if name not in expected
    ]
    if not problems and header != expected:
        moved = next(name for name, right in zip(header, expected, strict=True) if name != right)
        problems.append(
            Problem(file, 1, moved, None, "columns are out of order", f"use the order {','.join(expected)}")
        )
    return problems


def parse_rows(
    file: str, header: list[str], lines: list[tuple[int, list[str]]]
) -> tuple[list[Numbered], list[Problem]]:
    """Return typed rows and the problems of those that do not fit their types.

    A long table repeats its cells, so each different text of a column is read once; a row with a cell that
    cannot be read is then looked at by itself.
    """
    row_type, names = ROWS[file], set(header)
    whole = [len(fields) == len(header) and any(fields) for _, fields in lines]
    columns = zip(*(fields for (_, fields), kept in zip(lines, whole, strict=True) if kept), strict=True)
    typed = zip(*(_read_cells(file, name, texts) for name, texts in zip(header, columns, strict=False)), strict=True)
    rows: list[Numbered] = []
    problems: list[Problem] = []
    for (number, fields), kept in zip(lines, whole, strict=True):
        values = next(typed) if kept else (BAD,)
        if BAD not in values:
            rows.append((number, row_type.trusted(dict(zip(header, values, strict=True)), names)))
            continue
        row, found = _parse_row(file, number, header, fields)
        problems += found
        if row is not None:
            rows.append((number, row))
    return rows, problems


def _read_cells(file: str, column: str, texts: Sequence[str]) -> Iterator[Any]:
    """Return the value of each cell of a column, or BAD."""
    known = _readable_cells(file, column, set(texts))
    return map(known.get, texts, repeat(BAD))


def _readable_cells(file: str, column: str, texts: set[str]) -> dict[str, Any]:
    """Return the value of each text of a column that can be read."""
    field = ROWS[file].model_fields[column]
    typed: Any = Annotated[field.annotation, *field.metadata]
    read = TypeAdapter[Any](typed, config=ConfigDict(allow_inf_nan=False)).validate_python
    values = {}
    for text in texts:
        if _damaged_text(file, None, column, text) is None:
            with suppress(ValidationError):
                values[text] = read(text)
    return values


def _parse_row(file: str, number: int, header: list[str], fields: list[str]) -> tuple[Row | None, list[Problem]]:
    if not any(fields):
        return None, [Problem(file, number, None, None, "the row is empty", "delete it")]
    if len(fields) != len(header):
        message = f"the row has {len(fields)} fields where the header has {len(header)}"
        return None, [Problem(file, number, None, None, message, "add or remove commas; quote a text that holds one")]
    return validate_row(file, number, dict(zip(header, fields, strict=True)))


def _damaged_text(file: str, number: int | None, column: str, text: str) -> Problem | None:
    if text != text.strip():
        return Problem(file, number, column, text, "has a space at an end", "remove it")
    if not text.isascii() and (any(sign in text for sign in MOJIBAKE) or _twice_encoded(text)):
        return Problem(file, number, column, text, "was read in a wrong encoding once", "retype the letters in UTF-8")
    return None


def _twice_encoded(text: str) -> bool:
    """Return whether text reads as UTF-8 when written in a Windows code page: no language looks so."""
    try:
        return text.encode("cp1252").decode("utf-8") != text
    except UnicodeError:
        return False


def validate_row(file: str, number: int | None, cells: dict[str, str]) -> tuple[Row | None, list[Problem]]:
    """Return the typed row, or the problems that keep it from being one."""
    problems = [problem for name, text in cells.items() if (problem := _damaged_text(file, number, name, text))]
    try:
        row = ROWS[file].model_validate(cells)
    except ValidationError as error:
        return None, problems + [Problem(file, number, *fault) for fault in faults(error)]
    return (None if problems else row), problems


def cell(value: Any) -> str:
    """Return a typed value as it stands in a table.

    Examples
    --------
    >>> cell(True), cell(None), cell(("archigos", "hale_2015")), cell(0.5)
    ('1', '', 'archigos;hale_2015', '0.5')
    """
    if value is None:
        return ""
    if isinstance(value, bool):
        return str(int(value))
    if isinstance(value, tuple):
        return ";".join(value)
    if isinstance(value, float):
        return repr(value).removesuffix(".0")  # every digit: what is read back is what was written
    return str(value)


def format_rows(rows: list[Row]) -> str:
    """Return rows as CSV lines without a header, each with its line end."""
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    writer.writerows([cell(value) for _, value in row] for row in rows)
    return buffer.getvalue()
