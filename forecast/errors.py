"""What can go wrong for a user, and the exit code that each kind of trouble has.

Everything here is shown without a traceback: the message names what is wrong, where, and what to do.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing wrong with one place in a file."""

    file: str
    row: int | None
    column: str | None
    value: str | None
    message: str
    remedy: str

    def __str__(self) -> str:
        place = [self.file]
        if self.row is not None:
            place.append(f"row {self.row}")
        if self.column is not None:
            place.append(f"column {self.column}")
        value = "" if self.value is None else f" {self.value!r}:"
        return f"{', '.join(place)}:{value} {self.message}. Remedy: {self.remedy}."


class ForecastError(Exception):
    """Base of every error that is the user's to mend."""

    exit_code = 1


class UsageError(ForecastError):
    """A command or function was called with something that does not exist or does not fit."""

    exit_code = 2


class DataError(ForecastError):
    """The tables of a study are damaged; carries every problem found."""

    exit_code = 10

    def __init__(self, problems: Sequence[Problem]) -> None:
        self.problems = tuple(problems)
        count = len(self.problems)
        head = f"{count} problem{'s' if count != 1 else ''} in the data"
        super().__init__("\n".join([head, *map(str, self.problems)]))


class SpecError(ForecastError):
    """A model spec is missing, malformed or asks for something that the data do not have."""

    exit_code = 11


class GateError(ForecastError):
    """A fit or a forecast did not pass the diagnostics gate, so nothing is published from it."""

    exit_code = 12


class LedgerError(ForecastError):
    """The forecast ledger would be rewritten, or its chain of digests is broken."""

    exit_code = 13
