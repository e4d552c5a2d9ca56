"""`codesearch doctor`: what is wrong is found, and nothing else is called wrong."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

import pytest

from codesearch import doctor
from indexer.storage.store import Store
from models.checkpoint import PRETRAINED, open_checkpoint
from tests.command_line import Place
from tests.git_repositories import write


def findings(place: Place, code: int, **options: object) -> dict[str, dict[str, str]]:
    run = place.run("doctor", "--json", **options)
    assert run.code == code, run
    assert run.err == ""
    return {found["check"]: found for found in map(json.loads, run.lines)}


def index_of(place: Place) -> Path:
    (database,) = (place.home / "repos").glob("*/index.db")
    return database


def test_what_works_is_said_to_work(library):
    found = findings(library, 0)
    assert not [check for check in found.values() if check["hint"]]
    assert "20 languages" in found["grammars"]["state"]
    assert open_checkpoint().fingerprint[:12] in found["model"]["state"]
    assert f"app in {library.root}" in found["repository"]["state"]
    lines = library.run("doctor").lines
    assert len(lines) == len(found)
    assert all(line.startswith("ok ") for line in lines)


def test_nothing_is_changed_where_nothing_is_indexed(tmp_path):
    place = Place(tmp_path / "home", tmp_path)
    assert findings(place, 0)["vectors"]["state"] == "none yet"
    assert not place.home.exists()


def test_a_repository_that_is_gone(own):
    shutil.rmtree(own.root)
    own.root.mkdir()
    os.rmdir(own.root)
    run = Place(own.home, own.home).run("doctor")
    assert run.code == 1
    assert "the repository is gone" in run.out
    assert "run `codesearch clean`" in run.out


def test_an_index_of_another_version_and_one_that_is_damaged(own):
    store = Store(index_of(own))
    store.bind({"schema": "0"})
    store.close()
    found = findings(own, 1)["repository"]
    assert "schema 0" in found["state"]
    assert found["hint"] == f"run `codesearch index {own.root} --rebuild`"
    index_of(own).write_bytes(b"x" * 9000)
    assert "damaged" in findings(own, 1)["repository"]["state"]


def test_a_damaged_store_of_vectors(own):
    (own.home / "vectors.db").write_bytes(b"x" * 9000)
    assert findings(own, 1)["vectors"]["hint"]


def test_texts_without_a_vector(own):
    many = {f"app/tea_{i}.py": f"def brew_tea_{i}():\n    return {i}\n" * 9 for i in range(39)}
    write(own.root, many)
    assert own.run("query", "tea", "-l").code == 0
    found = findings(own, 1)["repository"]
    assert "texts have no vector yet" in found["state"]
    assert found["hint"] == f"run `codesearch index {own.root}`"


def test_files_of_the_model_that_are_not_those_that_were_shipped(library, monkeypatch, tmp_path):
    shutil.copytree(PRETRAINED / "sasa-small", tmp_path / "sasa-small")
    with (tmp_path / "sasa-small" / "tokenizer.json").open("a") as file:
        file.write(" ")
    monkeypatch.setattr("models.checkpoint.PRETRAINED", tmp_path)
    assert "not those that were shipped" in findings(library, 1)["model"]["state"]


@pytest.mark.parametrize("check", ["_git", "_encoder"])
def test_a_check_that_dies_is_a_finding(library, monkeypatch, check):
    def die() -> tuple[str, str]:
        raise RuntimeError("no such instruction")

    monkeypatch.setattr(doctor, check, die)
    found = findings(library, 1)[check.removeprefix("_")]
    assert found["state"] == "RuntimeError: no such instruction"


def test_without_git(library, tmp_path):
    assert findings(library, 1, env={"PATH": str(tmp_path)})["git"]["hint"] == "install git"


def test_a_driver_that_torch_cannot_use(library, monkeypatch):
    monkeypatch.setattr(doctor, "has_cuda_driver", lambda: True)
    monkeypatch.setattr("models.encoder.gpu_names", lambda: [])
    assert "TORCH_INDEX=" in findings(library, 1)["gpu"]["hint"]
