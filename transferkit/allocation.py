"""The C library's memory: kept rather than given back to the system after every array."""

import ctypes
import os
import platform

# Numbers of `mallopt` in glibc's malloc.h.
M_TOP_PAD, M_MMAP_THRESHOLD = -2, -3
# Kept at the top of each thread's memory: as large as glibc lets that of a thread grow.
KEPT = 64 * 2**20
# Arrays up to here come from what is kept: 18 MB are a batch of 32 float images of 224 pixels, and more
# than this was refused by glibc before 2.35.
LARGEST = 32 * 2**20
_state = {"kept": 0}


def keep_memory() -> bool:
    """Let this process keep up to 64 MiB a thread of what is freed; whether that was done.

    Threads of TensorFlow free an array for each step that an image goes through, and glibc gives each back:
    the system then clears its pages anew, which was over half of what `standard` took
    (benchmarks/augmentation/cost.py). It holds for the whole process, so it is for who owns it: the command
    line, not the library. Whoever has set malloc up by the environment is left alone.
    """
    chosen = any(name.startswith("MALLOC_") for name in os.environ)
    if chosen or "glibc.malloc" in os.environ.get("GLIBC_TUNABLES", ""):
        return False
    if platform.libc_ver()[0] != "glibc":
        return False
    mallopt = ctypes.CDLL(None).mallopt
    done = bool(mallopt(M_MMAP_THRESHOLD, LARGEST) and mallopt(M_TOP_PAD, KEPT))
    _state["kept"] = KEPT if done else 0
    return done


def kept_bytes() -> int:
    """What a thread of this process keeps at most because of `keep_memory`; 0 where it was not called."""
    return _state["kept"]
