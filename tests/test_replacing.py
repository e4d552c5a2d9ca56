"""What takes a file's or a folder's place, and what a failure leaves."""

from __future__ import annotations

import pytest

from models.replacing import replacing, replacing_folder


def test_a_file_is_the_new_one_when_the_block_ends(tmp_path):
    path = tmp_path / "figures.json"
    path.write_text("old")
    with replacing(path, durable=True) as beside:
        beside.write_text("new")
        assert path.read_text() == "old"
    assert path.read_text() == "new"
    assert list(tmp_path.iterdir()) == [path]


def test_a_folder_is_the_new_one_when_the_block_ends(tmp_path):
    folder = tmp_path / "deep" / "model"
    folder.mkdir(parents=True)
    (folder / "of-the-old").write_text("old")
    with replacing_folder(folder) as beside:
        (beside / "of-the-new").write_text("new")
        assert (folder / "of-the-old").exists()
    assert [path.name for path in folder.iterdir()] == ["of-the-new"]
    assert list(folder.parent.iterdir()) == [folder]


def test_a_folder_is_made_with_those_above_it(tmp_path):
    with replacing_folder(tmp_path / "a" / "b") as beside:
        (beside / "file").write_text("new")
    assert (tmp_path / "a" / "b" / "file").read_text() == "new"


@pytest.mark.parametrize("replaced", [replacing, replacing_folder])
def test_a_failure_leaves_what_was_there(tmp_path, replaced):
    place = tmp_path / "model"
    place.mkdir() if replaced is replacing_folder else place.write_text("old")
    with pytest.raises(KeyboardInterrupt), replaced(place):
        raise KeyboardInterrupt
    assert list(tmp_path.iterdir()) == [place]


def test_what_a_killed_process_left_is_no_part_of_a_folder(tmp_path, monkeypatch):
    monkeypatch.setattr("os.getpid", lambda: 7)
    (tmp_path / ".model.7.writing").mkdir()
    (tmp_path / ".model.7.writing" / "half").write_text("half")
    with replacing_folder(tmp_path / "model") as beside:
        (beside / "whole").write_text("new")
    assert [path.name for path in (tmp_path / "model").iterdir()] == ["whole"]
