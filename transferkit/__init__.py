"""transferkit: the best image classifier that a folder of photos allows.

For example::

    import transferkit as tk

    run = tk.finetune("photos/")
    run.report
    run.predict(["new.jpg"])

Everything is imported when it is asked for: `import transferkit` costs nothing.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from transferkit._version import __version__

if TYPE_CHECKING:
    from transferkit.api import (
        Augmented,
        BackboneFeatures,
        Evaluation,
        Explanation,
        Planned,
        ReportView,
        Run,
        TransferClassifier,
        audit,
        augment,
        backbones,
        build_model,
        compare,
        datasets,
        evaluate,
        explain,
        fetch_dataset,
        find_weights,
        finetune,
        inspect,
        load,
        plan,
        predict,
        recipes,
        report,
        resume,
        split_backbone,
        verify_weights,
    )
    from transferkit.data.audit import Audit
    from transferkit.data.augment.called import Augmentation
    from transferkit.errors import (
        DataError,
        DeviceError,
        FetchError,
        OutputExists,
        RecipeError,
        TrackingError,
        TrainingError,
        TransferkitError,
        UnknownName,
        UnreadableImage,
        UsageError,
        WeightsError,
    )
    from transferkit.evaluation.comparison import Comparison
    from transferkit.progress import show as show_progress
    from transferkit.recipe import Recipe
    from transferkit.training.callbacks import Diagnose, FreezeProof, KeepBest

# Names that are not of the API.
_PLACES = {
    "data.audit": ("Audit",),
    "data.augment.called": ("Augmentation",),
    "training.callbacks": ("Diagnose", "FreezeProof", "KeepBest"),
    "errors": (
        "DataError", "DeviceError", "FetchError", "OutputExists", "RecipeError", "TrackingError",
        "TrainingError", "TransferkitError", "UnknownName", "UnreadableImage", "UsageError", "WeightsError",
    ),
    "evaluation.comparison": ("Comparison",),
    "recipe": ("Recipe",),
}  # fmt: skip

__all__ = [
    "Augmentation",
    "Augmented",
    "Audit",
    "BackboneFeatures",
    "Comparison",
    "DataError",
    "DeviceError",
    "Diagnose",
    "Evaluation",
    "Explanation",
    "FetchError",
    "FreezeProof",
    "KeepBest",
    "OutputExists",
    "Planned",
    "Recipe",
    "RecipeError",
    "ReportView",
    "Run",
    "TrackingError",
    "TrainingError",
    "TransferClassifier",
    "TransferkitError",
    "UnknownName",
    "UnreadableImage",
    "UsageError",
    "WeightsError",
    "__version__",
    "audit",
    "augment",
    "backbones",
    "build_model",
    "compare",
    "datasets",
    "evaluate",
    "explain",
    "fetch_dataset",
    "find_weights",
    "finetune",
    "inspect",
    "load",
    "plan",
    "predict",
    "recipes",
    "report",
    "resume",
    "show_progress",
    "split_backbone",
    "verify_weights",
]


def __getattr__(name: str) -> Any:
    if name == "show_progress":
        from transferkit.progress import show

        return show
    for place, names in _PLACES.items():
        if name in names:
            return getattr(import_module(f"{__name__}.{place}"), name)
    if name in __all__:
        return getattr(import_module(f"{__name__}.api"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return __all__
