import os
import sys
from collections.abc import Iterator

import keras
import pytest

from transferkit import progress
from transferkit.errors import DeviceError, UsageError
from transferkit.training import device
from transferkit.training.device import is_out_of_memory, pick_precision, prepare, quiet_stderr

VARIABLES = ("CUDA_VISIBLE_DEVICES", "JAX_PLATFORMS")


@pytest.fixture(autouse=True)
def as_before(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Environment and dtype policy are after each test what they were."""
    for name in VARIABLES:
        monkeypatch.setenv(name, "")  # so that monkeypatch puts it back, whatever the code sets
        monkeypatch.delenv(name)
    policy = keras.config.dtype_policy()
    yield
    keras.config.set_dtype_policy(policy)


def machine(monkeypatch: pytest.MonkeyPatch, *, present: str, usable: tuple[str, ...] = ()) -> None:
    """A machine that shows a GPU or none, and GPUs that the backend can use."""
    monkeypatch.setattr(device, "gpu_present", lambda: present)
    monkeypatch.setattr(device, "_gpus", lambda backend: list(usable))


@pytest.mark.parametrize(
    ("kind", "capability", "policy"),
    [
        ("cpu", None, "float32"),
        ("cpu", 9.0, "float32"),
        ("gpu", None, "float32"),
        ("gpu", 6.1, "float32"),  # Pascal: no tensor cores
        ("gpu", 7.0, "mixed_float16"),  # Volta
        ("gpu", 7.5, "mixed_float16"),  # Turing
        ("gpu", 8.0, "mixed_bfloat16"),  # Ampere
        ("gpu", 9.0, "mixed_bfloat16"),  # Hopper
    ],
)
def test_auto_precision_is_the_fastest_that_is_safe(kind: str, capability: float, policy: str) -> None:
    assert pick_precision("auto", kind, capability) == policy


@pytest.mark.parametrize("asked", ["float32", "mixed_float16", "mixed_bfloat16"])
def test_a_stated_precision_is_taken(asked: str) -> None:
    assert pick_precision(asked, "cpu", None) == asked
    assert pick_precision(asked, "gpu", 6.1) == asked


def named(name: str, text: str, base: type[Exception] = RuntimeError) -> Exception:
    error: Exception = type(name, (base,), {})(text)
    return error


@pytest.mark.parametrize(
    "error",
    [
        named("ResourceExhaustedError", "OOM when allocating tensor with shape[32,112,112,64]"),
        named("InternalError", "RESOURCE_EXHAUSTED: failed to allocate 2147483648 bytes"),
        named("XlaRuntimeError", "RESOURCE_EXHAUSTED: Out of memory while trying to allocate 2 bytes."),
        named("JaxRuntimeError", "RESOURCE_EXHAUSTED: Out of memory allocating 1099511627776 bytes."),
        named("OutOfMemoryError", "CUDA out of memory. Tried to allocate 2.00 GiB."),
        named("AcceleratorError", "CUDA error: out of memory"),
        named("_ArrayMemoryError", "Unable to allocate 1.00 TiB for an array", MemoryError),
        MemoryError(),
    ],
    ids=lambda error: type(error).__name__,
)
def test_full_memory_is_recognised_in_every_backend(error: Exception) -> None:
    assert is_out_of_memory(error)


@pytest.mark.parametrize(
    "error",
    [
        named("InvalidArgumentError", "Incompatible shapes: [32] vs. [31]"),
        named("XlaRuntimeError", "INTERNAL: ptxas exited with non-zero error code"),
        ValueError("wrong shape"),
        KeyboardInterrupt(),
    ],
    ids=lambda error: type(error).__name__,
)
def test_other_errors_are_not_taken_for_full_memory(error: BaseException) -> None:
    assert not is_out_of_memory(error)


@pytest.mark.parametrize("name", ["tpu", "GPU", "", "cpu:0", "auto:1", "gpu:x", "gpu:-1", "cuda:0"])
def test_a_device_name_that_is_none_is_refused(name: str) -> None:
    with pytest.raises(UsageError) as caught:
        prepare(name, "auto")
    assert str(caught.value) == f"device {name!r} is not allowed. Allowed: auto, cpu, gpu, gpu:N."


def test_cpu_hides_the_gpus_before_a_backend_looks() -> None:
    device._choose("cpu")
    assert [os.environ.get(name) for name in VARIABLES] == ["-1", "cpu"]


def test_a_numbered_gpu_hides_the_others() -> None:
    device._choose("gpu:2")
    assert [os.environ.get(name) for name in VARIABLES] == ["2", None]


@pytest.mark.parametrize("name", ["auto", "gpu"])
def test_without_a_number_nothing_is_hidden(name: str) -> None:
    device._choose(name)
    assert [os.environ.get(name) for name in VARIABLES] == [None, None]


def test_without_a_gpu_auto_is_the_cpu_and_no_warning(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    machine(monkeypatch, present="")
    progress.show()
    found = prepare("auto", "auto")
    assert (found.kind, found.precision) == ("cpu", "float32")
    told = capsys.readouterr().err
    assert told.startswith(f"device: {os.cpu_count()} CPU cores, float32, Keras {keras.__version__} on ")
    assert "WARNING" not in told


def test_a_gpu_that_cannot_be_used_is_told_loudly_with_the_reason(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    machine(monkeypatch, present="/dev/nvidia0")
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "-1")
    progress.show()
    assert prepare("auto", "auto").kind == "cpu"
    told = capsys.readouterr().err
    assert "WARNING: this machine has a GPU (/dev/nvidia0) and " in told
    assert "cannot use it: CUDA_VISIBLE_DEVICES hides it." in told
    assert "WARNING: training goes on on the CPU, many times slower." in told


def test_cpu_on_request_is_no_reason_to_warn(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    progress.show()
    machine(monkeypatch, present="/dev/nvidia0", usable=("gpu",))
    assert prepare("cpu", "auto").kind == "cpu"
    assert "WARNING" not in capsys.readouterr().err


def test_a_gpu_that_is_asked_for_and_absent_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    machine(monkeypatch, present="")
    with pytest.raises(DeviceError) as caught:
        prepare("gpu", "auto")
    backend = keras.backend.backend()
    assert str(caught.value) == (
        f"--device gpu: {backend} sees no GPU: this machine shows no NVIDIA GPU. "
        "Use --device cpu, or mend that."
    )


def test_a_gpu_that_is_asked_for_and_cannot_be_used_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    machine(monkeypatch, present="/dev/nvidia0")
    monkeypatch.setattr(device, "_reason_for_absence", lambda backend: "the driver is too old")
    with pytest.raises(DeviceError, match="sees no GPU: the driver is too old. Use --device cpu"):
        prepare("gpu", "auto")


@pytest.mark.parametrize("visible", ["", "-1"])
def test_a_variable_that_hides_the_gpu_is_the_first_reason(
    monkeypatch: pytest.MonkeyPatch, visible: str
) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", visible)
    assert device._reason_for_absence("tensorflow") == "CUDA_VISIBLE_DEVICES hides it"


@pytest.mark.parametrize(
    ("with_cuda", "reason"),
    [(False, "this build of TensorFlow has no CUDA"), (True, "pip install 'transferkit[gpu]'")],
)
def test_tensorflow_tells_a_build_without_cuda_from_missing_libraries(
    monkeypatch: pytest.MonkeyPatch, with_cuda: bool, reason: str
) -> None:
    import tensorflow as tf

    monkeypatch.setattr(tf.test, "is_built_with_cuda", lambda: with_cuda)
    assert reason in device._reason_for_absence("tensorflow")


@pytest.mark.parametrize("backend", ["jax", "torch"])
def test_other_backends_are_named_in_the_reason(backend: str) -> None:
    told = device._reason_for_absence(backend)
    assert told.startswith(f"this build of {backend} found no CUDA device")


def test_a_usable_gpu_sets_its_precision(monkeypatch: pytest.MonkeyPatch) -> None:
    machine(monkeypatch, present="/dev/nvidia0", usable=("first", "second"))
    monkeypatch.setattr(device, "_capability", lambda backend, gpus: 9.0)
    monkeypatch.setattr(device, "_gpu_name", lambda backend, gpu: f"the {gpu}")
    found = prepare("auto", "auto")
    assert (found.kind, found.name, found.precision) == ("gpu", "the first", "mixed_bfloat16")
    assert found.jit == (keras.backend.backend() in ("tensorflow", "jax"))
    assert keras.config.dtype_policy().name == "mixed_bfloat16"


def test_native_words_are_kept_back_where_all_goes_well(capfd: pytest.CaptureFixture[str]) -> None:
    with quiet_stderr():
        os.write(2, b"cpu_feature_guard: to enable the following instructions\n")
        print("and this", file=sys.__stderr__, flush=True)
    os.write(2, b"after\n")
    assert capfd.readouterr().err == "after\n"


def test_native_words_are_shown_where_the_block_fails(capfd: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(ImportError), quiet_stderr():
        os.write(2, b"libcudnn.so.9: cannot open shared object file\n")
        raise ImportError
    assert capfd.readouterr().err == "libcudnn.so.9: cannot open shared object file\n"


def test_what_is_written_to_stderr_after_a_failure_comes_through(capfd: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(ImportError), quiet_stderr():
        raise ImportError
    os.write(2, b"after\n")
    assert capfd.readouterr().err == "after\n"


def test_quiet_blocks_leave_no_descriptor_open() -> None:
    before = os.dup(2)
    os.close(before)
    with quiet_stderr():
        pass
    after = os.dup(2)
    os.close(after)
    assert after == before
