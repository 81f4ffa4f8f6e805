"""The recipe: everything that can be asked of a run, stated once.

Each field below is a YAML key, a `--set` key, a line of help and a line of the run's record; those with
a flag are options of the command line too. `auto` leaves the choice to the plan.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields, replace
from pathlib import Path
from typing import Any

from transferkit.errors import RecipeError, UsageError, nearest_first, unknown_name
from transferkit.shipped import shipped

AUTO = "auto"
STRATEGIES = (AUTO, "linear", "multistage", "finetune-top", "finetune-deep", "full")


def _knob(
    default: Any,
    help: str,
    *,
    kind: type = str,
    choices: tuple[str, ...] = (),
    low: float | None = None,
    high: float | None = None,
    auto: bool = False,
    flag: bool = False,
) -> Any:
    """A recipe field: its default and what it may be.

    `low` and `high` bound numbers (both ends allowed), `auto` allows the word, `flag` makes it an
    option of the command line besides `--set`.
    """
    told = {"help": help, "kind": kind, "choices": choices, "low": low, "high": high}
    return field(default=default, metadata={**told, "auto": auto, "flag": flag})


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """What was asked of a run; `auto` where the plan decides. Checked when made by `from_mapping`."""

    backbone: str = _knob(
        "mobilenet_v2", "Pretrained feature extractor; see 'transferkit backbones'.", flag=True
    )
    weights: str = _knob("imagenet", "imagenet, none (random) or a .h5/.weights.h5/.keras file.", flag=True)
    weights_dir: str | None = _knob(None, "Folder that is looked in first for ImageNet weights.", flag=True)
    strategy: str = _knob(AUTO, "How to train; auto decides by the matrix.", choices=STRATEGIES, flag=True)
    similarity: str = _knob(
        AUTO, "How like ImageNet the images are.", choices=(AUTO, "similar", "different"), flag=True
    )
    amount: str = _knob(AUTO, "How many images there are.", choices=(AUTO, "little", "lots"), flag=True)
    seed: int = _knob(
        0, "Of the split, the shuffling and random weights.", kind=int, low=0, high=2**31, flag=True
    )
    image_size: int | str = _knob(
        AUTO,
        "Side in pixels; auto takes the backbone's own.",
        kind=int,
        low=32,
        high=2048,
        auto=True,
        flag=True,
    )
    batch_size: int = _knob(
        32, "Images in a step; halved when memory runs out.", kind=int, low=1, high=65536, flag=True
    )
    resize: str = _knob(
        "crop",
        "crop the middle, pad to a square, or stretch.",
        choices=("crop", "pad", "stretch"),
        flag=True,
    )
    device: str = _knob(AUTO, "auto, cpu, gpu or gpu:N.", flag=True)
    precision: str = _knob(
        AUTO,
        "Of the arithmetic; auto is float32 on CPU.",
        choices=(AUTO, "float32", "mixed_bfloat16", "mixed_float16"),
        flag=True,
    )
    exclude: str | None = _knob(None, "Text or CSV file with the paths to leave out.", flag=True)
    val_fraction: float = _knob(
        0.15, "Part of each class set aside to choose with.", kind=float, low=0.01, high=0.8
    )
    test_fraction: float | str = _knob(
        AUTO,
        "Part of each class set aside to report on; auto is 0.15, or 0 where a val folder is given.",
        kind=float,
        low=0.0,
        high=0.8,
        auto=True,
    )
    augment: str = _knob(
        "none",
        "Random changes of training images: none, or light (mirror and shift).",
        choices=("none", "light"),
    )
    epochs: int | str = _knob(
        AUTO, "At most, in the fine-tuning phase.", kind=int, low=1, high=100_000, auto=True
    )
    patience: int | str = _knob(
        AUTO,
        "Epochs without a better smoothed val loss before stopping.",
        kind=int,
        low=1,
        high=100_000,
        auto=True,
    )
    learning_rate: float | str = _knob(
        AUTO, "Highest rate of the fine-tuning phase.", kind=float, low=1e-9, high=1e6, auto=True
    )
    weight_decay: float = _knob(1e-4, "AdamW's decoupled decay.", kind=float, low=0.0, high=10.0)
    loss_smoothing: float = _knob(
        0.5,
        "Weight of the past in the smoothed val loss; 0 is none.",
        kind=float,
        low=0.0,
        high=0.99,
    )
    freeze_depth: int | str = _knob(
        AUTO, "Stages from the input that do not train.", kind=int, low=0, high=100, auto=True
    )
    strengths: int = _knob(17, "L2 strengths tried for the linear classifier.", kind=int, low=15, high=200)
    bank_limit_gb: float = _knob(
        10.0, "Disk that one bank of activation maps may take.", kind=float, low=0.0, high=1e5
    )

    @classmethod
    def from_mapping(cls, values: Mapping[str, Any], source: str = "recipe") -> "Recipe":
        """A recipe from keys and values.

        Args:
            values: keys are field names.
            source: named in front of each fault, such as the file's name.

        Raises:
            RecipeError: all faults at once, one a line.
        """
        faults, good = [], {}
        for key, value in values.items():
            try:
                good[str(key)] = checked(str(key), value)
            except UsageError as error:
                faults.append(f"{source}: {key}: {error}" if source else f"{key}: {error}")
        if faults:
            head = f"{len(faults)} faults:\n  " if len(faults) > 1 else ""
            raise RecipeError(head + "\n  ".join(faults))
        return cls(**good)

    def updated(self, values: Mapping[str, Any], source: str) -> "Recipe":
        """This recipe with some keys replaced, checked like `from_mapping`."""
        new = Recipe.from_mapping(values, source)
        return replace(self, **{key: getattr(new, key) for key in values})

    def with_absolute_paths(self) -> "Recipe":
        """This recipe with its files and folders named from the root, so that it holds from anywhere."""

        def whole(path: str | None) -> str | None:
            return str(Path(path).resolve()) if path else None

        named = self.weights in ("imagenet", "none")
        weights = self.weights if named else str(Path(self.weights).resolve())
        folder, exclude = whole(self.weights_dir), whole(self.exclude)
        return replace(self, weights=weights, weights_dir=folder, exclude=exclude)

    def as_dict(self) -> dict[str, Any]:
        """All keys and values, in the order they are declared."""
        return asdict(self)

    def to_yaml(self) -> str:
        """The whole recipe as YAML, defaults included, so that later defaults do not change it."""
        import yaml

        return str(yaml.safe_dump(self.as_dict(), sort_keys=False))


KNOBS = {one.name: one for one in fields(Recipe)}


def checked(key: str, value: Any) -> Any:
    """A value in its right type.

    Raises:
        UsageError: no such key, or a value that is not allowed; says what is.
    """
    if key not in KNOBS:
        raise unknown_name("key", key, KNOBS, "'transferkit recipes --keys' lists all keys.")
    told = KNOBS[key].metadata
    if value is None and KNOBS[key].default is None:
        return None
    if told["auto"] and value == AUTO:
        return AUTO
    if told["choices"]:
        return _choice(value, told["choices"])
    if told["kind"] is str:
        return _text(value)
    return _number(value, told)


def _choice(value: Any, choices: tuple[str, ...]) -> str:
    if value not in choices:
        allowed = ", ".join(nearest_first(str(value), choices))
        raise UsageError(f"{value!r} is not allowed. Allowed: {allowed}.")
    return str(value)


def _text(value: Any) -> str:
    if isinstance(value, (str, int, float, Path)) and not isinstance(value, bool) and str(value).strip():
        return str(value)
    raise UsageError(f"{value!r} is not allowed. A name or a path is needed.")


def _number(value: Any, told: Mapping[str, Any]) -> int | float:
    kind, low, high = told["kind"], told["low"], told["high"]
    rule = f"A whole number from {low:,} to {high:,}" if kind is int else f"A number from {low:g} to {high:g}"
    rule += " or auto is needed." if told["auto"] else " is needed."
    try:
        number = float(value)
    except (TypeError, ValueError, OverflowError):
        raise UsageError(f"{value!r} is not allowed. {rule}") from None
    whole = kind is not int or number.is_integer()
    if isinstance(value, bool) or not whole or not low <= number <= high:
        raise UsageError(f"{value!r} is not allowed. {rule}")
    return int(number) if kind is int else number


def parse_settings(settings: tuple[str, ...]) -> dict[str, Any]:
    """`("key=value", ...)` as a mapping, values read as YAML.

    Raises:
        UsageError: one without an equals sign, or whose value is not YAML.
    """
    import yaml

    values = {}
    for setting in settings:
        key, sign, text = setting.partition("=")
        if not sign:
            raise UsageError(f"--set {setting}: key=value is needed, such as epochs=20.")
        try:
            values[key.strip()] = yaml.safe_load(text)
        except yaml.YAMLError as error:
            raise UsageError(f"--set {setting}: the value is not YAML; put it in quotes.") from error
    return values


def recipe_names() -> list[str]:
    """Names of the recipes that come with transferkit."""
    return sorted(path.stem for path in shipped("recipes").glob("*.yaml"))


def recipe_file(name: str) -> Path:
    """The file of a recipe: a path, or the name of one that comes with transferkit.

    Raises:
        UnknownName: neither.
    """
    path = Path(name)
    if path.suffix in (".yaml", ".yml") or path.is_file():
        if not path.is_file():
            raise UsageError(f"--recipe {name}: no such file.")
        return path
    if name not in recipe_names():
        raise unknown_name("recipe", name, recipe_names(), "'transferkit recipes' lists all.")
    return shipped("recipes") / f"{name}.yaml"


def read_recipe(name: str) -> dict[str, Any]:
    """The keys and values of a recipe file, unchecked.

    Raises:
        RecipeError: it is not YAML, or not a list of keys and values.
    """
    import yaml

    path = recipe_file(name)
    try:
        values = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise RecipeError(f"{path}: not YAML: {error}") from error
    if not isinstance(values, dict):
        raise RecipeError(f"{path}: keys and values are needed, such as 'strategy: linear'.")
    return values


def load_recipe(name: str | None, overrides: Mapping[str, Any]) -> Recipe:
    """A recipe file (or the defaults) with the command line's values on top."""
    values = read_recipe(name) if name else {}
    return Recipe.from_mapping(values, source=name or "recipe").updated(overrides, "")
