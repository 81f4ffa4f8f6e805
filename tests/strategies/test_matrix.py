import pytest

from transferkit.strategies import STRATEGIES
from transferkit.strategies.matrix import MATRIX, place


@pytest.mark.parametrize(
    ("similarity", "amount", "strategy"),
    [
        ("similar", "little", "linear"),
        ("different", "little", "multistage"),
        ("similar", "lots", "finetune-top"),
        ("different", "lots", "finetune-deep"),
    ],
)
def test_each_cell_has_its_strategy(similarity: str, amount: str, strategy: str) -> None:
    cell = place(similarity=similarity, amount=amount, per_class=50)
    assert cell.quadrant == f"{similarity}-{amount}"
    assert cell.strategy == strategy


def test_every_cell_names_a_strategy_that_there_is() -> None:
    assert set(MATRIX.values()) <= set(STRATEGIES)


@pytest.mark.parametrize(
    ("similarity", "per_class", "amount"),
    [
        (None, 0.5, "little"),
        ("similar", 199.5, "little"),
        ("similar", 200, "lots"),
        ("different", 49.5, "little"),
        ("different", 50, "lots"),
    ],
)
def test_lots_begins_earlier_for_images_unlike_imagenet(
    similarity: str | None, per_class: float, amount: str
) -> None:
    assert place(similarity=similarity, amount=None, per_class=per_class).amount == amount


def test_similar_is_assumed_and_said_to_be() -> None:
    cell = place(similarity=None, amount=None, per_class=20)
    assert cell.similarity == "similar"
    assert cell.reasons[0].startswith("Similarity not stated: taken as similar to ImageNet")


def test_a_measured_amount_gives_the_number_and_the_limit() -> None:
    told = [place(similarity=None, amount=None, per_class=n).reasons[1] for n in (20.5, 240)]
    assert told == [
        "20.5 training images per class (median), fewer than 200: little.",
        "240 training images per class (median), at least 200: lots.",
    ]


def test_stated_axes_win_and_are_called_stated() -> None:
    cell = place(similarity="different", amount="little", per_class=5000)
    assert cell.quadrant == "different-little"
    assert cell.reasons == ("Similarity stated: different.", "Amount stated: little (5000 per class).")
