import os
import platform
import subprocess
import sys

import pytest

from transferkit.allocation import keep_memory, kept_bytes

# A thread that makes and frees six arrays of 600 kB over and over: page faults of each time.
PROGRAM = """
import resource, sys, threading
import numpy as np
from transferkit.allocation import keep_memory, kept_bytes
done = keep_memory() if sys.argv[1] == "kept" else False
assert kept_bytes() == (64 * 2**20 if done else 0)
def work():
    for number in range(120):
        if number == 20:
            first.append(resource.getrusage(resource.RUSAGE_SELF).ru_minflt)
        several = [np.ones((3, 224, 224), np.float32) for _ in range(6)]
        del several
first = []
thread = threading.Thread(target=work); thread.start(); thread.join()
faults = resource.getrusage(resource.RUSAGE_SELF).ru_minflt - first[0]
print(int(done), faults / 100)
"""
GLIBC = pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="mallopt is glibc's")


def started(program: str, *arguments: str, **environment: str) -> str:
    clean = {k: v for k, v in os.environ.items() if not k.startswith(("MALLOC_", "GLIBC_"))}
    command = [sys.executable, "-c", program, *arguments]
    done = subprocess.run(command, env=clean | environment, capture_output=True, text=True, check=True)
    return done.stdout


def ran(how: str, **environment: str) -> tuple[bool, float]:
    kept, faults = started(PROGRAM, how, **environment).split()
    return kept == "1", float(faults)


@GLIBC
def test_freed_arrays_cost_no_page_faults_any_more():
    done, faults = ran("kept")
    assert done
    assert faults < 1
    assert ran("left")[1] > 300  # 147 pages of 4 kB an array


@GLIBC
def test_large_arrays_are_given_back():
    program = """
import threading
import numpy as np
from transferkit.allocation import keep_memory
def held():
    return int(open("/proc/self/statm").read().split()[1]) * 4096
def work():
    several = [np.ones(20_000_000, np.uint8) for _ in range(10)]
    most.append(held())
    del several
assert keep_memory()
before, most = held(), []
thread = threading.Thread(target=work); thread.start(); thread.join()
print((most[0] - before) // 10**6, (held() - before) // 10**6)
"""
    most, after = map(int, started(program).split())
    assert most > 190
    assert after < 70


@GLIBC
def test_the_command_line_alone_asks_for_it():
    program = """
import sys
from transferkit.allocation import kept_bytes
from transferkit.cli import cli, main
from click.testing import CliRunner
assert CliRunner().invoke(cli, ["recipes"]).exit_code == 0
assert not kept_bytes()
sys.argv = ["transferkit", "--version"]
try:
    main()
except SystemExit:
    print(kept_bytes())
"""
    assert int(started(program).split()[-1]) == 64 * 2**20


@GLIBC
@pytest.mark.parametrize(
    "own", [{"MALLOC_ARENA_MAX": "2"}, {"GLIBC_TUNABLES": "glibc.malloc.tcache_count=7"}]
)
def test_who_has_set_malloc_up_is_left_alone(own: dict[str, str]):
    assert not ran("kept", **own)[0]


def test_another_c_library_is_left_alone(monkeypatch: pytest.MonkeyPatch):
    for name in [name for name in os.environ if name.startswith(("MALLOC_", "GLIBC_"))]:
        monkeypatch.delenv(name)
    monkeypatch.setattr(platform, "libc_ver", lambda: ("", ""))
    assert not keep_memory() and not kept_bytes()
