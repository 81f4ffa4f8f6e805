import pytest

from transferkit.strategies.augmenting import CHANGES, Recognised, choose_policy, linear_views, told_apart

MAKES = {"light": frozenset({"mirror"}), "standard": frozenset({"mirror", "colour"})}


@pytest.mark.parametrize(
    ("plain", "changed", "error", "safe"),
    [
        (0.9, 0.9, 0.01, True),
        (0.9, 0.95, 0.01, True),  # better is no loss
        (0.9, 0.84, 0.01, False),  # 6.7 % lost, six errors
        (0.9, 0.84, 0.05, True),  # as much, but it may be chance
        (0.9, 0.9, 0.06, False),  # so few images that a tenth less might be chance
        (0.9, 0.87, 0.001, True),  # no chance, but 3.3 %
    ],
)
def test_a_change_is_unsafe_if_much_is_lost_and_not_by_chance(
    plain: float, changed: float, error: float, safe: bool
):
    assert Recognised(plain, changed, error).safe is safe


def test_digits_are_not_mirrored():
    # Figures of the kind that digits give; `tests/training/test_safety.py` measures real ones.
    safety = {
        "mirror": Recognised(0.89, 0.75, 0.03),
        "upside-down": Recognised(0.89, 0.44, 0.04),
        "rotation": Recognised(0.89, 0.84, 0.04),
        "colour": Recognised(0.89, 0.88, 0.02),
    }
    chosen = choose_policy("different", "little", safety, MAKES)
    assert chosen.left_out == ("mirror",)  # it turns nothing upside down
    assert chosen.sentence == (
        "Augmentation: light, without mirroring. Measured on train (safe is at most 5% fewer recognised of "
        "enough images; NOT safe is more, beyond chance): mirroring: NOT safe (75.0% recognised, 89.0% "
        "unchanged); turning upside down: NOT safe (44.0% recognised, 89.0% unchanged); rotation by up to 15 "
        "degrees: a loss that may be chance (84.0% recognised, 89.0% unchanged); changed colours: safe "
        "(88.0% recognised, 89.0% unchanged)."
    )


@pytest.mark.parametrize(
    ("plain", "images", "guess", "known"),
    [
        (0.8, 100, 0.2, True),
        (0.8, 39, 0.2, False),
        (0.25, 100, 0.2, False),
        (0.55, 40, 0.5, False),
        (0.9, 40, 0.5, True),
        (0.9, 100, 0.9, False),  # always the largest class
    ],
)
def test_few_images_and_a_guessing_classifier_say_nothing(
    plain: float, images: int, guess: float, known: bool
):
    safety = {name: Recognised(plain, plain, 0.01) for name in CHANGES}
    assert (told_apart(safety, images, guess) != {}) is known


def test_everything_safe_leaves_the_policy_whole():
    safety = {name: Recognised(0.8, 0.8, 0.01) for name in CHANGES}
    chosen = choose_policy("similar", "lots", safety, MAKES)
    assert chosen.left_out == () and "without" not in chosen.sentence and "stays" not in chosen.sentence


@pytest.mark.parametrize(("similarity", "mirrored"), [("similar", True), ("different", False)])
def test_what_so_few_images_cannot_show_is_not_taken_for_safe(similarity: str, mirrored: bool):
    safety = {name: Recognised(0.8, 0.8, 0.06) for name in CHANGES}
    chosen = choose_policy(similarity, "lots", safety, MAKES)
    assert chosen.left_out == (("colour",) if mirrored else ("mirror", "colour"))
    assert "mirroring: too few images to tell (80.0% recognised" in chosen.sentence
    assert ("Mirroring stays: data similar to ImageNet" in chosen.sentence) is mirrored


@pytest.mark.parametrize(("similarity", "mirrored"), [("similar", True), ("different", False)])
def test_what_was_not_measured_is_not_taken_for_safe(similarity: str, mirrored: bool):
    chosen = choose_policy(similarity, "lots", {}, MAKES)
    assert chosen.left_out == (("colour",) if mirrored else ("mirror", "colour"))
    assert "what is safe could not be measured" in chosen.sentence
    assert ("Mirroring stays" in chosen.sentence) is mirrored
    assert ("without mirroring" in chosen.sentence) is not mirrored


@pytest.mark.parametrize(("images", "views"), [(50, 4), (500, 4), (700, 2), (1000, 1), (1300, 0), (0, 4)])
def test_views_are_fewer_the_more_images_there_are(images: int, views: int):
    assert linear_views(images) == views
