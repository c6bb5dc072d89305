import multiprocessing
import os
import stat
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import pytest

from conf.hash_key import KEY_BYTES, load_hash_key
from conf.settings import SettingsError

KEY = "0123456789abcdef" * 4


def write(path: Path, content: str | bytes, mode: int = 0o600) -> Path:
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    path.chmod(mode)
    return path


def mode_of(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def refused(path: Path) -> str:
    with pytest.raises(SettingsError) as caught:
        load_hash_key(path)
    assert caught.value.__cause__ is None
    assert caught.value.__suppress_context__ or caught.value.__context__ is None
    return str(caught.value)


@pytest.mark.parametrize("umask", [0o000, 0o022, 0o777])
def test_a_missing_key_is_made_once_and_is_private(tmp_path, umask):
    path = tmp_path / "clinspan" / "hash_key"
    if umask == 0o777:  # the folder must exist: such a umask would close it to us too
        path.parent.mkdir(mode=0o700)
    before = os.umask(umask)
    try:
        key = load_hash_key(path)
    finally:
        os.umask(before)
    assert len(key) == KEY_BYTES
    assert path.read_text().strip() == key.hex()
    assert (mode_of(path), mode_of(path.parent)) == (0o600, 0o700)
    assert load_hash_key(path) == key
    assert os.listdir(path.parent) == ["hash_key"]


def test_two_files_get_different_keys(tmp_path):
    assert load_hash_key(tmp_path / "a") != load_hash_key(tmp_path / "b")


@pytest.mark.heavy
def test_racing_processes_all_get_one_key(tmp_path):
    paths = [tmp_path / "new" / f"key{i}" for i in range(10)]
    context = multiprocessing.get_context("spawn")  # other tests leave threads, which forks dislike
    with ProcessPoolExecutor(4, mp_context=context) as pool:
        for path in paths:
            assert len(set(pool.map(load_hash_key, [path] * 8))) == 1
    assert len(os.listdir(tmp_path / "new")) == len(paths)


def test_a_process_that_loses_the_race_takes_the_winners_key(tmp_path, monkeypatch):
    path = tmp_path / "hash_key"
    link = os.link

    def overtaken(source: object, target: Path) -> None:
        write(path, KEY)
        link(source, target)

    monkeypatch.setattr(os, "link", overtaken)
    assert load_hash_key(path) == bytes.fromhex(KEY)
    assert os.listdir(tmp_path) == ["hash_key"]


@pytest.mark.parametrize("content", [KEY, f"{KEY}\n", f"  {KEY.upper()}\r\n"])
@pytest.mark.parametrize("mode", [0o600, 0o400])
def test_an_existing_key_is_read(tmp_path, content, mode):
    path = write(tmp_path / "key", content, mode)
    assert load_hash_key(path) == bytes.fromhex(KEY)
    link = tmp_path / "link"
    link.symlink_to(path)
    assert load_hash_key(link) == bytes.fromhex(KEY)


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o660, 0o610, 0o644])
def test_a_key_open_to_others_is_refused(tmp_path, mode):
    path = write(tmp_path / "the key", KEY, mode)
    message = refused(path)
    assert f"has mode {mode:04o}" in message
    assert f"chmod 600 '{path}'" in message
    assert KEY[:8] not in message


@pytest.mark.parametrize(
    "content", ["", "\n", KEY[:-2], KEY[:-1] + "g", KEY + "a", KEY[:32] + " " + KEY[32:], "ü" * 64]
)
def test_a_key_that_is_short_or_not_hex_is_refused_and_kept(tmp_path, content):
    path = write(tmp_path / "key", content)
    message = refused(path)
    assert f"hash key file {path}: must be at least 64 hexadecimal digits" in message
    assert KEY[:8] not in message
    assert path.read_bytes() == content.encode()


def test_binary_and_huge_files_are_refused(tmp_path):
    refused(write(tmp_path / "binary", bytes(range(256))))
    refused(write(tmp_path / "huge", "ab" * 10_000))


def test_what_is_no_file_is_refused(tmp_path):
    os.mkfifo(tmp_path / "pipe", 0o600)
    assert "plain file" in refused(tmp_path / "pipe")
    write(tmp_path / "file", "x")
    (tmp_path / "dangling").symlink_to(tmp_path / "nowhere")
    for path in (tmp_path, tmp_path / "file" / "key", tmp_path / "dangling"):
        assert str(path) in refused(path)


def test_a_disk_without_links_is_refused_with_a_mend(tmp_path, monkeypatch):
    def no_links(*_: object) -> None:
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(os, "link", no_links)
    message = refused(tmp_path / "key")
    assert "set CLINSPAN_HASH_KEY" in message
    assert os.listdir(tmp_path) == []


def test_the_environment_holds_the_key_on_clusters(tmp_path, monkeypatch):
    monkeypatch.setenv("CLINSPAN_HASH_KEY", f"{KEY}\n")
    assert load_hash_key(tmp_path / "key") == bytes.fromhex(KEY)
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize("value", ["", KEY[:-2], KEY[:-1] + "x"])
def test_a_bad_key_in_the_environment_is_refused_and_no_file_is_used(tmp_path, monkeypatch, value):
    monkeypatch.setenv("CLINSPAN_HASH_KEY", value)
    message = refused(write(tmp_path / "key", KEY))
    assert "CLINSPAN_HASH_KEY: must be at least 64 hexadecimal digits" in message
    assert KEY[:8] not in message
