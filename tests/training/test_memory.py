from pathlib import Path

import pytest

from transferkit.training import memory
from transferkit.training.memory import free_bytes, limit_bytes


@pytest.fixture
def system(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A system that has 8,000 kB available, and no container around us."""
    monkeypatch.setattr(memory, "_MEMINFO", tmp_path / "meminfo")
    monkeypatch.setattr(memory, "_CGROUP", tmp_path)
    (tmp_path / "meminfo").write_text("MemTotal:       16000 kB\nMemAvailable:    8000 kB\nHugePages: 0\n")
    return tmp_path


def contain(system: Path, limit: str, used: int, cached: int = 0) -> None:
    (system / "memory.max").write_text(limit + "\n")
    (system / "memory.current").write_text(f"{used}\n")
    (system / "memory.stat").write_text(f"anon 5\ninactive_file {cached}\nactive_file 7\n")


def test_a_stated_limit_is_taken_as_it_is(system: Path):
    assert limit_bytes(1.5) == 1_500_000_000
    assert limit_bytes(0) == 0


def test_auto_is_a_quarter_of_what_is_free(system: Path):
    assert limit_bytes("auto") == 2_048_000


def test_free_is_what_the_system_has_available(system: Path):
    assert free_bytes() == 8_192_000


def test_a_container_may_allow_less(system: Path):
    contain(system, "1000000", used=400_000)
    assert free_bytes() == 600_000


def test_files_that_the_container_has_cached_make_room(system: Path):
    contain(system, "1000000", used=900_000, cached=500_000)
    assert free_bytes() == 600_000


def test_a_container_over_its_limit_leaves_nothing(system: Path):
    contain(system, "1000000", used=1_200_000)
    assert free_bytes() == 0


@pytest.mark.parametrize("limit", ["max", "100000000000"])
def test_a_container_cannot_give_what_the_system_lacks(system: Path, limit: str):
    contain(system, limit, used=400_000)
    assert free_bytes() == 8_192_000


@pytest.mark.parametrize("meminfo", [None, "MemTotal: 16000 kB\n", "nothing of the kind\n"])
def test_without_meminfo_the_free_pages_count(
    system: Path, meminfo: str | None, monkeypatch: pytest.MonkeyPatch
):
    (system / "meminfo").unlink() if meminfo is None else (system / "meminfo").write_text(meminfo)
    pages = {"SC_AVPHYS_PAGES": 3, "SC_PAGE_SIZE": 4096}
    monkeypatch.setattr(memory.os, "sysconf", pages.__getitem__)
    assert free_bytes() == 12_288


def test_a_system_that_tells_nothing_has_one_gigabyte(system: Path, monkeypatch: pytest.MonkeyPatch):
    (system / "meminfo").unlink()
    monkeypatch.delattr(memory.os, "sysconf")
    assert free_bytes() == 1_000_000_000


def test_this_machine_has_some_memory():
    assert free_bytes() > 1_000_000
