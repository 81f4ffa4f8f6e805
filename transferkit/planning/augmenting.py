"""How training images are changed, resolved against one data set."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from transferkit.data.augment.canvas import canvas_px
from transferkit.data.augment.policy import NONE, Policy, load_policy, policy_from, policy_names
from transferkit.data.decode import DecodePolicy
from transferkit.errors import UsageError
from transferkit.recipe import AUTO, Recipe
from transferkit.strategies import Phase
from transferkit.strategies.augmenting import MOST_MAPS, choose_policy, linear_views
from transferkit.strategies.evidence import Evidence


@dataclass(frozen=True, kw_only=True)
class Augment:
    """What is done to training images.

    Attributes:
        name: of the policy.
        steps: as in YAML; none is left out any more.
        views: of each training image that linear classifiers see.
        maps: views of its activations at a cut that fine-tuning draws among, if so many fit.
        side_px: of the images that its crops are cut out of, see `data.augment.canvas.canvas_px`; 0 where
            nothing is changed.
        reason: why, in a sentence; "" where nothing was asked for.
    """

    name: str = NONE
    steps: tuple[Any, ...] = ()
    views: int = 0
    maps: int = MOST_MAPS
    side_px: int = 0
    reason: str = ""

    @property
    def policy(self) -> Policy:
        """The policy."""
        return policy_from(self.steps, self.name)


def decide_augment(
    recipe: Recipe,
    *,
    cell: tuple[str, str],
    sides: np.ndarray,
    plain: DecodePolicy,
    evidence: Evidence | None,
) -> Augment:
    """The policy in force.

    Args:
        recipe: what is asked.
        cell: of the matrix, as `similar`, `little`.
        sides: width and height `(n, 2)` in pixels of the images of train.
        plain: how images are decoded for evaluation.
        evidence: what was measured; without it `auto` is not decided yet.

    Raises:
        UsageError, RecipeError: see `load_policy`; or views are asked for of which there can be none.
    """
    if recipe.augment == AUTO and evidence is None:
        return Augment(name=AUTO)
    if recipe.augment == AUTO:
        chosen = choose_policy(*cell, evidence.safety if evidence else {}, _makes())
        start = load_policy(chosen.policy)
        policy = start.without(chosen.left_out, chosen.policy) if chosen.left_out else start
        reason = chosen.sentence
    else:
        policy = load_policy(recipe.augment)
        reason = f"Augmentation stated: {policy.name}: {'; '.join(map(str, policy.steps))}." if policy else ""
    images = len(sides)
    views, side = _views(recipe, policy, images), canvas_px(policy, plain, sides) if policy else 0
    if side > plain.canvas.size_px:
        reason += f" Crops are cut out of images of {side} px for the network's {plain.size_px}."
    if views:
        reason += f" Linear classifiers are tried with {views} views of each training image."
    elif policy.own and recipe.views == AUTO:
        reason += (
            f" Linear classifiers see the {images:,} training images as they are: of so many, views are not "
            "worth their time (--set views=4 asks for them)."
        )
    return Augment(name=policy.name, steps=tuple(policy.as_data()), views=views, side_px=side, reason=reason)


def _makes() -> dict[str, frozenset[str]]:
    """Which changes the steps of each policy make that ships."""
    return {name: load_policy(name).changes for name in policy_names()}


def check_asked(recipe: Recipe, policy: Policy) -> None:
    """Refuse what the recipe alone shows to be impossible, before any work.

    Raises:
        UsageError: blended labels for a stated linear strategy, or views of nothing.
    """
    _views(recipe, policy, 0)
    mixing = ", ".join(step.name for step in policy.mixing)
    if mixing and recipe.strategy in ("linear", "multistage"):
        raise UsageError(_whole_labels(recipe.strategy, mixing) + _INSTEAD)


def _whole_labels(strategy: str, mixing: str) -> str:
    return (
        f"strategy {strategy} fits linear classifiers, which take image by image, and {mixing} mixes batches"
    )


_INSTEAD = ". Use finetune-top, finetune-deep or full, or a policy without it."


def _views(recipe: Recipe, policy: Policy, images: int) -> int:
    if not policy.own:
        if recipe.views not in (AUTO, 0):
            raise UsageError(
                f"views {recipe.views} says nothing to policy {policy.name}, which changes no single image. "
                "Give one that does, such as --augment light, or leave views at auto."
            )
        return 0
    return linear_views(images) if recipe.views == AUTO else int(recipe.views)


def check_labels(augment: Augment, strategy: str, phases: tuple[Phase, ...], stated: bool) -> str:
    """A sentence where mixing has to be left out, or "".

    Raises:
        UsageError: a stated strategy cannot take the labels that the policy blends.
    """
    mixing = ", ".join(step.name for step in augment.policy.mixing)
    if not mixing or phases[-1].kind != "linear":
        return ""
    told = _whole_labels(strategy, mixing)
    if stated:
        raise UsageError(told + _INSTEAD)
    return f"Left out of the policy: {mixing}; {told}."
