"""Which device computes, and in which precision.

One of the two places that touch a backend by name (the other is data/loader): Keras has no call of its
own for visible devices, memory growth and compute capability.
"""

import contextlib
import os
import shutil
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from transferkit.errors import DeviceError, TrainingError, UsageError
from transferkit.progress import say


@dataclass(frozen=True, kw_only=True)
class Device:
    """What computes.

    Attributes:
        kind: `cpu` or `gpu`.
        name: as its driver calls it.
        backend: of Keras.
        precision: the dtype policy, such as `mixed_bfloat16`.
        jit: whether steps are compiled by XLA.
    """

    kind: str
    name: str
    backend: str
    precision: str
    jit: bool


def prepare(device: str, precision: str) -> Device:
    """Import Keras on the device asked for and set its dtype policy.

    Args:
        device: `auto`, `cpu`, `gpu` or `gpu:N`.
        precision: `auto` or a dtype policy.

    Raises:
        UsageError: no such device name.
        DeviceError: a GPU was asked for and cannot be used; says why.
    """
    _choose(device)
    with quiet_stderr():
        import keras
    backend = keras.backend.backend()
    gpus = _visible_gpus(device, backend)
    if not gpus:
        _explain_absence(device, backend)
    kind = "gpu" if gpus else "cpu"
    policy = pick_precision(precision, kind, _capability(backend, gpus))
    keras.config.set_dtype_policy(policy)
    name = _gpu_name(backend, gpus[0]) if gpus else f"{os.cpu_count()} CPU cores"
    say(f"device: {name}, {policy}, Keras {keras.__version__} on {backend}")
    jit = backend == "jax" or (backend == "tensorflow" and kind == "gpu")
    return Device(kind=kind, name=name, backend=backend, precision=policy, jit=jit)


def pick_precision(asked: str, kind: str, capability: float | None) -> str:
    """The dtype policy: bfloat16 from compute capability 8, float16 at 7, else float32.

    Args:
        asked: `auto` or a policy, which is then taken.
        kind: `cpu` or `gpu`.
        capability: of the GPU, such as 8.6; None where unknown.
    """
    if asked != "auto":
        return asked
    if kind == "cpu" or capability is None or capability < 7:
        return "float32"
    return "mixed_bfloat16" if capability >= 8 else "mixed_float16"


def is_out_of_memory(error: BaseException) -> bool:
    """Whether an exception of TensorFlow, JAX or PyTorch means that the device's memory is full."""
    names = {"ResourceExhaustedError", "OutOfMemoryError"}
    told = any(words in str(error).lower() for words in ("resource_exhausted", "out of memory"))
    return isinstance(error, MemoryError) or type(error).__name__ in names or told


def too_large() -> TrainingError:
    """The error for one image that does not fit into the device's memory."""
    return TrainingError(
        "out of memory with a batch of one image. Use a smaller --image-size or --backbone, or --device cpu."
    )


def check_device_name(device: str) -> None:
    """Refuse what is no name of a device.

    Raises:
        UsageError: with the names there are.
    """
    kind, colon, number = device.partition(":")
    if kind not in ("auto", "cpu", "gpu") or (colon and not (kind == "gpu" and number.isdigit())):
        raise UsageError(f"device {device!r} is not allowed. Allowed: auto, cpu, gpu, gpu:N.")


def _choose(device: str) -> None:
    """Hide devices by environment: this must come before the backend is imported."""
    check_device_name(device)
    kind, _, number = device.partition(":")
    if kind == "cpu":
        os.environ["CUDA_VISIBLE_DEVICES"] = "-1"
        os.environ["JAX_PLATFORMS"] = "cpu"
    elif number:
        os.environ["CUDA_VISIBLE_DEVICES"] = number


def _visible_gpus(device: str, backend: str) -> list[Any]:
    if device != "cpu" and gpu_present():
        return _gpus(backend)  # what a driver has to say is worth reading
    with quiet_stderr():
        import keras

        keras.ops.zeros(1)  # wakes the backend, which complains once that there is no GPU
        return [] if device == "cpu" else _gpus(backend)


def _gpus(backend: str) -> list[Any]:
    if backend == "tensorflow":
        return _tensorflow_gpus()
    _hide_from_tensorflow()
    if backend == "jax":
        import jax

        return [one for one in jax.devices() if one.platform == "gpu"]
    if backend == "torch":
        import torch

        return list(range(torch.cuda.device_count()))
    return []


def _hide_from_tensorflow() -> None:
    """Keep TensorFlow, which only carries the batches, from taking the other backend's GPU memory."""
    import tensorflow as tf

    with contextlib.suppress(RuntimeError):  # in use already, as in a notebook's second run
        tf.config.set_visible_devices([], "GPU")


def _tensorflow_gpus() -> list[Any]:
    import tensorflow as tf

    gpus = tf.config.list_physical_devices("GPU")
    for gpu in gpus:
        try:
            tf.config.experimental.set_memory_growth(gpu, True)
        except RuntimeError:
            # Growth can only be set before the GPU is first used, as in a notebook's second run.
            say(f"{gpu.name}: in use already, memory growth stays as it was")
    return list(gpus)


def _capability(backend: str, gpus: list[Any]) -> float | None:
    if not gpus:
        return None
    if backend == "tensorflow":
        import tensorflow as tf

        pair = tf.config.experimental.get_device_details(gpus[0]).get("compute_capability")
        return float(f"{pair[0]}.{pair[1]}") if pair else None
    if backend == "jax":
        return float(getattr(gpus[0], "compute_capability", 0)) or None
    import torch

    return float("{}.{}".format(*torch.cuda.get_device_capability(gpus[0])))


def _gpu_name(backend: str, gpu: Any) -> str:
    if backend == "tensorflow":
        import tensorflow as tf

        return str(tf.config.experimental.get_device_details(gpu).get("device_name", gpu.name))
    if backend == "jax":
        return str(gpu.device_kind)
    import torch

    return str(torch.cuda.get_device_name(gpu))


def _explain_absence(device: str, backend: str) -> None:
    """Say loudly that a GPU is there and not used, or fail where one was asked for."""
    if device == "cpu":
        return
    present = gpu_present()
    why = _reason_for_absence(backend) if present else "this machine shows no NVIDIA GPU"
    if device.startswith("gpu"):
        raise DeviceError(f"--device {device}: {backend} sees no GPU: {why}. Use --device cpu, or mend that.")
    if present:
        say(
            f"WARNING: this machine has a GPU ({present}) and {backend} cannot use it: {why}.\n"
            "WARNING: training goes on on the CPU, many times slower. --device cpu hides this."
        )


def gpu_present() -> str:
    """How a GPU shows itself on this machine without any framework, or ""."""
    for path in ("/proc/driver/nvidia/version", "/dev/nvidia0"):
        if Path(path).exists():
            return path
    return shutil.which("nvidia-smi") or ""


def _reason_for_absence(backend: str) -> str:
    if os.environ.get("CUDA_VISIBLE_DEVICES") in ("", "-1"):
        return "CUDA_VISIBLE_DEVICES hides it"
    if backend != "tensorflow":
        return f"this build of {backend} found no CUDA device: is its CUDA build installed?"
    import tensorflow as tf

    if not tf.test.is_built_with_cuda():
        return "this build of TensorFlow has no CUDA"
    return "CUDA libraries are missing; install them with: pip install 'transferkit[gpu]'"


@contextmanager
def quiet_stderr() -> Iterator[None]:
    """Keep what native code writes to stderr while it is imported; show it if that fails."""
    sys.stderr.flush()
    kept = os.dup(2)
    with tempfile.TemporaryFile() as sink:
        os.dup2(sink.fileno(), 2)
        try:
            yield
        except BaseException:
            sink.seek(0)
            os.write(kept, sink.read())
            raise
        finally:
            os.dup2(kept, 2)
            os.close(kept)


def halved(batch_size: int, error: Exception) -> int:
    """Half of a batch that did not fit into the device's memory; another error is raised again.

    Raises:
        TrainingError: not even one image fits.
    """
    if not is_out_of_memory(error):
        raise error
    if batch_size == 1:
        raise too_large() from error
    return batch_size // 2
