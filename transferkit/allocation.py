"""The C library's memory: that of small arrays is kept rather than given back to the system after each."""

import ctypes
import os
import platform

# Numbers of `mallopt` in glibc's malloc.h.
M_TOP_PAD, M_MMAP_THRESHOLD = -2, -3
# Free memory that is left at the top of each heap: as large as glibc lets a heap of a thread grow, so that
# none is given back. (A quarter of it leaves half of the page faults.)
TOP = 64 * 2**20
# Larger arrays go straight to the system and back: a float image of 400 pixels is as large as this, batches
# and activations of batches are larger. Without it what is large would be kept as well.
LARGEST = 2 * 2**20
_state = {"kept": 0}


def keep_memory() -> bool:
    """Let this process keep what arrays of up to 2 MiB took; whether that was done.

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
    done = bool(mallopt(M_MMAP_THRESHOLD, LARGEST) and mallopt(M_TOP_PAD, TOP))
    _state["kept"] = TOP if done else 0
    return done


def kept_bytes() -> int:
    """What `plan` allows a thread for what is kept by `keep_memory`; 0 where it was not called."""
    return _state["kept"]
