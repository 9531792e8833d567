"""Fetch the publishers' files that have a stable address; say where the others are to be had.

What is fetched is held against its digest. Where nobody has written one down, the digest is said and kept in the
folder: a later fetch is held against that.
"""

from __future__ import annotations

import json
import tomllib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from forecast.errors import UsageError
from forecast.files import file_digest, write_atomically

ADDRESSES = Path(__file__).parent / "importers" / "addresses.toml"
UNKNOWN = "unknown"
SEEN = "digests.json"


@dataclass(frozen=True)
class Address:
    """Where a data set is: the publisher's page, and the address of the file if it has one that stays.

    `member` is the beginning of the file's name inside an archive.
    """

    page: str
    url: str = ""
    sha256: str = UNKNOWN
    member: str = ""


def read_addresses(path: Path = ADDRESSES) -> dict[str, Address]:
    """Return the address of every public data set."""
    return {name: Address(**entry) for name, entry in tomllib.loads(path.read_text(encoding="utf-8")).items()}


def fetch(
    name: str,
    folder: Path,
    talk: Callable[[str], None] = lambda _: None,
    *,
    addresses: dict[str, Address] | None = None,
    downloader: Any = None,
) -> Path:
    """Fetch a data set into a folder, or find it there, and return its file.

    Parameters
    ----------
    downloader : callable, optional
        As pooch wants it; for tests.

    Raises
    ------
    UsageError
        When the data set has no address, cannot be had, or is not what its digest says; or pooch is not installed.
    """
    address = (addresses or read_addresses()).get(name)
    if address is None or not address.url:
        where = f"; get it from {address.page}" if address else ""
        raise UsageError(f"{name} has no address to fetch it from{where}, and import the file")
    pooch = _pooch()
    digest = address.sha256 if address.sha256 != UNKNOWN else _seen(folder).get(address.url)
    file = address.url.rsplit("/", 1)[-1].split("?", 1)[0] + (".zip" if "downloadformat=csv" in address.url else "")
    try:
        got = Path(pooch.retrieve(address.url, digest, file, folder, downloader=downloader, progressbar=False))
    except ValueError as error:
        raise UsageError(f"{name} at {address.url} is not the file it was ({error}); it was not taken") from None
    except OSError as error:
        raise UsageError(f"{name} cannot be fetched from {address.url}: {error}") from None
    if digest is None:
        digest = file_digest(got)
        write_atomically(folder / SEEN, json.dumps({**_seen(folder), address.url: digest}, indent=1))
        talk(f"{name}: sha256 {digest}, which nobody has checked yet; look at the file before you rely on it")
    return _unpack(got, address.member) if address.member else got


def _seen(folder: Path) -> dict[str, str]:
    """Return the digest of each address as first fetched into a folder."""
    path = folder / SEEN
    seen: dict[str, str] = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}
    return seen


def _pooch() -> Any:
    try:
        import pooch
    except ImportError:
        raise UsageError("--fetch needs pooch; install regime-forecast with its extra: fetch") from None
    pooch.get_logger().setLevel("ERROR")
    return pooch


def _unpack(archive: Path, member: str) -> Path:
    """Return the file of an archive whose name begins so, beside the archive."""
    from zipfile import BadZipFile, ZipFile

    try:
        with ZipFile(archive) as content:
            name = next((name for name in content.namelist() if name.startswith(member)), None)
            if name is None:
                raise UsageError(f"{archive} has no file {member}; it has {', '.join(content.namelist())}")
            target = archive.parent / Path(name).name
            target.write_bytes(content.read(name))
    except BadZipFile:
        raise UsageError(f"{archive} is no archive; delete it and fetch it again") from None
    return target
