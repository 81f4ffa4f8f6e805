"""What a policy makes of some images: a look before training."""

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from transferkit.api.inputs import Data, check_layers, check_source, open_data
from transferkit.api.planning import decided
from transferkit.backbone.catalogue import lookup
from transferkit.data.augment.canvas import canvas_px
from transferkit.data.augment.keys import image_numbers, keys_of, mixing_key
from transferkit.data.augment.policy import Policy, load_policy
from transferkit.data.decode import DecodePolicy, decode
from transferkit.data.index import Index
from transferkit.errors import DataError, UnreadableImage, UsageError
from transferkit.planning import Plan
from transferkit.planning.augmenting import check_asked
from transferkit.planning.resizing import decide_resize
from transferkit.recipe import AUTO, Asking, Recipe, recipe_of

if TYPE_CHECKING:
    from transferkit.data.augment.pipeline import Pipeline

# Of a sheet: images, and versions of each beside itself.
ROWS, VERSIONS = 8, 7
BLENDED = (
    "the images of a column are the batch that is blended; a cell may be mostly another row's image, and its "
    "label goes with it"
)
# Images whose colours, and whose sizes are looked at.
SAMPLE, SIZED = 64, 1000


@dataclass(frozen=True)
class Augmented:
    """Some images and what a policy makes of them.

    Attributes:
        policy: the one in force.
        why: a sentence on what was measured for it; "" where it was stated.
        cut_from: a sentence on the images that crops are cut out of; "" where they are as large as always,
            or `why` says it.
        names: of the images.
        originals: uint8 `(n, S, S, 3)`.
        versions: uint8 `(n, V, S, S, 3)`.
    """

    policy: Policy
    why: str
    names: list[str]
    originals: np.ndarray
    versions: np.ndarray
    cut_from: str = ""

    @property
    def lines(self) -> list[str]:
        """The policy's steps, numbered, and why they are these."""
        steps = [f"{number}. {step}" for number, step in enumerate(self.policy.steps, start=1)]
        mixing = ", ".join(step.name for step in self.policy.mixing)
        mixed = [f"{mixing}: {BLENDED}"] if mixing else []
        return [*steps, *filter(None, (self.why, self.cut_from)), *mixed]

    def save(self, target: str | Path) -> None:
        """Draw the contact sheet, a PNG: each image, what the policy makes of it, the steps below.

        Raises:
            UsageError: a name that does not end in .png, or a folder that is not there.
        """
        from transferkit.reports.augmented import draw_augmented

        check_sheet(Path(target))
        named = f"auto, here {self.policy.name}" if self.why else self.policy.name
        title = f"policy {named}: each image as it is, then {self.versions.shape[1]} versions"
        draw_augmented(self.originals, self.versions, title=title, lines=self.lines, target=Path(target))

    def __repr__(self) -> str:
        return "\n".join([f"policy {self.policy.name} on {len(self.names)} images", *self.lines])


def check_sheet(target: Path, option: str = "") -> None:
    """Whether a sheet can be written there.

    Args:
        target: the file.
        option: what a message begins with, such as `--sheet `.

    Raises:
        UsageError: a name that does not end in .png, or a folder that is not there.
    """
    if target.suffix.lower() != ".png":
        raise UsageError(f"{option}{target}: the sheet is a PNG; give a name that ends in .png.")
    if not target.absolute().parent.is_dir():
        raise UsageError(f"{option}{target}: no such folder.")


def augment(data: Data, recipe: Asking = None, **settings: Any) -> Augmented:
    """Up to 8 images, classes in turn, and 7 versions of each by the recipe's policy.

    A version is what an epoch of a run with this seed draws for the image where it changes images anew (all
    stages train, or batches are mixed): of (seed, epoch, the file's content), the first version the first
    epoch's. Views that are kept in the bank are other draws of the policy, the same for all seeds. Where
    batches are mixed, the images are one, anew for each version. The side that crops are cut out of goes by
    up to 1,000 images of all splits here, in a run, and for `auto`, by all of train.

    Args:
        data: as `finetune` takes it.
        recipe: what is asked, as `finetune` takes it: `augment`, `image_size`, `resize` and `seed` of it; for
            `auto` all that a plan needs.
        settings: keys of the recipe that win over it, such as `augment="standard"`.

    Raises:
        UsageError: no such policy; or one that does nothing.
        UnknownName, RecipeError: see `Recipe`.
        DataError: not one image can be read.
    """
    from transferkit.data.augment.own import colour_axes
    from transferkit.data.augment.pipeline import pipeline

    recipe = recipe_of(recipe, settings)
    check_source(data)
    policy, why, plan = _policy(data, recipe)
    check_asked(recipe, policy)
    if not policy.steps:
        raise UsageError(
            f"policy {policy.name} changes no image: there is nothing to draw. Give one such as standard."
        )
    spec = lookup(recipe.backbone)
    check_layers(recipe, spec)
    size = spec.image_size if recipe.image_size == AUTO else int(recipe.image_size)
    index = open_data(data, recipe.exclude)
    plain, side = _decoding(index, recipe, policy, size, plan)
    count = SAMPLE if policy.has("pca_noise") else ROWS
    names, originals, larger = _some(index, (plain, plain.crops_from(side)), recipe.seed, count)
    axes = colour_axes(originals)
    names, originals, larger = names[:ROWS], originals[:ROWS], larger[:ROWS]
    made = pipeline(policy, size, axes, seen=plain.seen, side=side)
    numbers = image_numbers([_sha256(Path(index.root) / name) for name in names])
    versions = [_version(made, larger, keys_of(numbers, recipe.seed, epoch)) for epoch in range(VERSIONS)]
    told = plan or side <= plain.canvas.size_px
    cut_from = "" if told else f"crops are cut out of images of {side} px"
    changed = np.stack(versions, axis=1).round().astype(np.uint8)
    return Augmented(policy, why, names, originals, changed, cut_from)


def _decoding(
    index: Index, recipe: Recipe, policy: Policy, size: int, plan: Plan | None
) -> tuple[DecodePolicy, int]:
    """(how images are decoded for evaluation, side that crops are cut out of): the plan's, if there is."""
    if plan:
        return DecodePolicy(size_px=size, resize=plan.resize), plan.augment.side_px
    sides = _sides(index, recipe.seed)
    plain = DecodePolicy(size_px=size, resize=decide_resize(recipe, sides)[0])
    return plain, canvas_px(policy, plain, sides.to_numpy())


def _sha256(path: Path) -> str:
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def _version(made: "Pipeline", images: np.ndarray, keys: np.ndarray) -> np.ndarray:
    """Float32 `(n, S, S, 3)`: the images as an epoch of these keys has them, in one batch."""
    changed = made.changed(images, keys)
    if not made.mixers:
        return changed
    mixed, _ = made.blended(changed, np.eye(len(images), dtype=np.float32), mixing_key(keys))
    return np.asarray(mixed)[: len(images)]  # a layer that repeats images gives more


def _policy(data: Data, recipe: Recipe) -> tuple[Policy, str, Plan | None]:
    """(policy, why, the plan), the last two where one was made for it."""
    if recipe.augment != AUTO:
        return load_policy(recipe.augment), "", None
    plan = decided(data, recipe)
    return plan.augment.policy, plan.augment.reason, plan


def _sides(index: Index, seed: int) -> pd.DataFrame:
    """Width and height of some of the images, for all that a run decides by them."""
    from PIL import Image

    sides = []
    for name in index.files["path"].sample(min(SIZED, len(index.files)), random_state=seed):
        try:
            with Image.open(Path(index.root) / name) as image:
                sides.append(image.size)
        except Exception:  # Pillow raises many kinds for broken files, which `_some` passes over too
            continue
    return pd.DataFrame(sides or [(1, 1)], columns=["width", "height"])


def _some(
    index: Index, policies: tuple[DecodePolicy, DecodePolicy], seed: int, count: int
) -> tuple[list[str], np.ndarray, np.ndarray]:
    """(paths, images, larger images) of some that can be read, one class after another."""
    files = index.files.sample(frac=1, random_state=seed)
    turn = files.groupby("label").cumcount()
    names: list[str] = []
    originals: list[np.ndarray] = []
    larger: list[np.ndarray] = []
    for name in files.assign(turn=turn).sort_values(["turn", "label"], kind="stable")["path"]:
        path = Path(index.root) / name
        try:
            image, whole = (decode(path, policy) for policy in policies)
        except UnreadableImage:
            continue
        names.append(name)
        originals.append(image)
        larger.append(whole)
        if len(names) == count:
            break
    if not names:
        raise DataError(f"{index.root}: not one of {len(index.files)} files could be read as an image.")
    return names, np.stack(originals), np.stack(larger)
