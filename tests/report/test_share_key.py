from __future__ import annotations

import os
import stat
import threading
from pathlib import Path

import pytest

from leakaudit.errors import StoreError
from leakaudit.records.manifest import SHARE_KEY
from leakaudit.report.share.share_key import share_key


def test_a_key_is_made_once_and_is_its_owners_alone(tmp_path: Path) -> None:
    key = share_key(tmp_path)
    assert len(key) == 32
    path = tmp_path / SHARE_KEY
    assert path.read_text() == key.hex() + "\n"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert share_key(tmp_path) == key
    assert [one.name for one in tmp_path.iterdir()] == [SHARE_KEY]


def test_two_runs_have_two_keys(tmp_path: Path) -> None:
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
    assert share_key(tmp_path / "one") != share_key(tmp_path / "two")


def test_who_makes_it_at_once_gets_the_same(tmp_path: Path) -> None:
    keys: list[bytes] = []
    threads = [threading.Thread(target=lambda: keys.append(share_key(tmp_path))) for _ in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(keys) == 16
    assert len(set(keys)) == 1


def test_a_key_that_others_could_read_is_closed(tmp_path: Path) -> None:
    key = share_key(tmp_path)
    (tmp_path / SHARE_KEY).chmod(0o644)
    assert share_key(tmp_path) == key
    assert stat.S_IMODE((tmp_path / SHARE_KEY).stat().st_mode) == 0o600


@pytest.mark.parametrize("content", [b"", b"00" * 31, b"00" * 33, b"x" * 64, b"\xff" * 400])
def test_what_is_no_key_is_refused_and_left(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / SHARE_KEY
    path.write_bytes(content)
    with pytest.raises(StoreError, match=r"share\.key: expected 64 hexadecimal digits; delete it"):
        share_key(tmp_path)
    assert path.read_bytes() == content


def test_links_pipes_and_folders_are_no_keys(tmp_path: Path) -> None:
    path = tmp_path / SHARE_KEY
    path.symlink_to(tmp_path / "elsewhere")
    with pytest.raises(StoreError, match="cannot be read or made"):
        share_key(tmp_path)
    path.unlink()
    os.mkfifo(path)
    with pytest.raises(StoreError, match="no regular file"):
        share_key(tmp_path)
    path.unlink()
    path.mkdir()
    with pytest.raises(StoreError, match=r"share\.key"):
        share_key(tmp_path)


def test_a_folder_that_is_not_there_is_a_store_error(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="No such file"):
        share_key(tmp_path / "nowhere")
