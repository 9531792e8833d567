"""Fetching without a network: what comes is held against its digest, and what has no address is said."""

import io
import json
import sys
import zipfile
from pathlib import Path

import pytest
from typer.testing import CliRunner

from forecast import fetching
from forecast.cli import app
from forecast.errors import UsageError
from forecast.fetching import Address, fetch, read_addresses
from forecast.importers import REGISTRY

pytest.importorskip("pooch")
NMC = b"ccode,year,milex,milper,tpop,cinc\n2,1816,1,1,1,0.1\n"


def sending(content):
    """Return a downloader, as pooch wants it, that writes some bytes."""

    def download(url, file, pooch):
        Path(file).write_bytes(content)

    return download


def ask(folder, address, content=NMC, said=None):
    talk = (said if said is not None else []).append
    return fetch("nmc", folder, talk, addresses={"nmc": address}, downloader=sending(content))


def test_a_file_of_its_digest_is_taken(tmp_path):
    import hashlib

    address = Address("page", "https://example.org/nmc.csv", hashlib.sha256(NMC).hexdigest())
    said = []
    assert ask(tmp_path, address, said=said).read_bytes() == NMC
    assert said == []


def test_a_changed_file_is_reported_and_not_taken(tmp_path):
    address = Address("page", "https://example.org/nmc.csv", "0" * 64)
    with pytest.raises(UsageError, match="nmc at https://example.org/nmc.csv is not the file it was"):
        ask(tmp_path, address)
    assert not list(tmp_path.glob("nmc*"))


def test_a_digest_that_nobody_has_checked_is_said_and_kept(tmp_path):
    address = Address("page", "https://example.org/nmc.csv")
    said = []
    path = ask(tmp_path, address, said=said)
    assert "which nobody has checked yet" in said[0]
    assert list(json.loads((tmp_path / "digests.json").read_text())) == [address.url]
    path.unlink()
    with pytest.raises(UsageError, match="is not the file it was"):
        ask(tmp_path, address, content=NMC + b"2,1817,1,1,1,0.1\n")


def test_the_file_of_an_archive_is_unpacked(tmp_path):
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as content:
        content.writestr("folder/nmc_v7.csv", NMC)
    address = Address("page", "https://example.org/nmc.zip", member="folder/nmc")
    path = ask(tmp_path, address, content=archive.getvalue())
    assert (path.name, path.read_bytes()) == ("nmc_v7.csv", NMC)
    with pytest.raises(UsageError, match=r"has no file other; it has folder/nmc_v7.csv"):
        ask(tmp_path, Address("page", "https://example.org/nmc.zip", member="other"), content=archive.getvalue())
    with pytest.raises(UsageError, match="is no archive"):
        ask(tmp_path / "again", address)


def test_what_has_no_address_is_said_with_the_publishers_page(tmp_path):
    with pytest.raises(UsageError, match="get it from https://v-dem.net"):
        fetch("vdem", tmp_path)


def test_pooch_is_an_extra(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "pooch", None)
    with pytest.raises(UsageError, match="install regime-forecast with its extra: fetch"):
        ask(tmp_path, Address("page", "https://example.org/nmc.csv"))


def test_every_data_set_has_a_page_and_every_address_is_of_a_data_set():
    addresses = read_addresses()
    assert set(addresses) == set(REGISTRY)
    assert all(address.page for address in addresses.values())
    assert all(address.url.startswith("http") for address in addresses.values() if address.url)


def test_import_all_fetches_what_the_folder_does_not_hold(tmp_path, monkeypatch):
    asked = []
    monkeypatch.setattr(fetching, "fetch", lambda name, folder, talk: asked.append(name) or tmp_path / "none.csv")
    (tmp_path / "archigos.csv").touch()
    result = CliRunner().invoke(app, ["import", "--all", str(tmp_path), "--fetch"])
    assert result.exit_code == 2  # the study here is coded by hand
    assert "archigos" not in asked
    assert {"powell_thyne", "ucdp"} <= set(asked)
    assert "navco: get it from" in result.stderr
