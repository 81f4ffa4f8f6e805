from dataclasses import replace
from typing import Any

import pytest

from transferkit.evaluation.curves import Asked, Curves, curves_of
from transferkit.evaluation.diagnosis import diagnose

# Ten epochs that go well: train and val fall together and flatten.
FALLS = (1.0, 0.7, 0.5, 0.4, 0.35, 0.32, 0.31, 0.305, 0.302, 0.3)
WELL = Curves(
    phase="finetune",
    train_top1=(0.7, 0.8, 0.85, 0.9, 0.92, 0.93, 0.94, 0.945, 0.95, 0.95),
    val_top1=(0.7, 0.8, 0.85, 0.9, 0.92, 0.92, 0.93, 0.93, 0.93, 0.93),
    train_loss=FALLS,
    val_loss=FALLS,
    val_images=400,
    start_loss=0.8,
    epochs=10,
    rate=1e-3,
)
RISES = (0.3, 0.35, 0.4, 0.5, 0.6, 0.7, 0.8, 0.85, 0.9)
SWINGS = (1.0, 0.7, 1.4, 0.8, 1.9, 0.7, 2.1, 0.9, 1.8, 1.1)
BLENDED: dict[str, Any] = {
    "train_top1": (0.6,) * 10,
    "val_top1": (0.8,) * 10,
    "asked": Asked(augmented=True, comparable=False, mixed=True, fittable=False),
}
HALF: dict[str, Any] = {"train_top1": (0.6,) * 10}
# Signs, 20 per class, by `strong`: at a rate that breaks the start, as it does with no policy (val 75 %) ...
STRONG = Curves(
    phase="finetune",
    train_top1=(0.44, 0.406, 0.4),
    val_top1=(0.667, 0.667, 0.75),
    train_loss=(2.88, 3.06, 2.48),
    val_loss=(1.579, 0.682, 0.614),
    val_images=36,
    start_loss=0.158,
    epochs=3,
    rate=1e-3,
    asked=Asked(augmented=True),
)
# ... and at a tenth of it.
STEADY: dict[str, Any] = {
    "train_top1": (0.463, 0.457, 0.474),
    "val_top1": (0.944, 0.972, 0.944),
    "train_loss": (2.47, 2.24, 2.24),
    "val_loss": (0.213, 0.226, 0.216),
}
HARD: dict[str, Any] = {"train_top1": (0.386,) * 10, "val_top1": (0.667,) * 10}
AUGMENTED: dict[str, Any] = {"asked": Asked(augmented=True)}
LINEAR = Curves(
    phase="linear", train_top1=(1.0,), val_top1=(0.8,), train_loss=(0.01,), val_loss=(0.6,), val_images=100
)


def findings(curves: Curves) -> list[str]:
    return [one.finding for one in diagnose(curves)]


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({}, ["sound"]),
        ({"exploded": (1e-2,)}, ["rate too high"]),
        # The first steps broke the start, and nothing came below it.
        ({"start_loss": 0.29}, ["rate too high"]),
        ({"start_loss": 0.29, "val_loss": (0.4,) * 10}, ["sound"]),  # not by half
        ({"start_loss": 0.31}, ["sound"]),  # it came back
        ({"train_loss": (1.0,) * 9 + (0.96,)}, ["rate too low"]),
        ({"train_loss": (1.0,) * 9 + (0.94,)}, ["sound"]),
        ({"train_loss": (0.04,) * 10}, ["sound"]),  # nothing was left to learn
        ({"train_loss": (1.0,) * 9 + (1.1,)}, ["sound"]),  # rising is not too slow
        ({"train_top1": (1.0,) * 10, "val_top1": (0.8,) * 10}, ["overfitting"]),
        # A gap of .1 is over two standard errors at n = 400 (.03), within them at n = 40 (.1).
        ({"train_top1": (1.0,) * 10, "val_top1": (0.9,) * 10}, ["overfitting"]),
        ({"train_top1": (1.0,) * 10, "val_top1": (0.9,) * 10, "val_images": 40}, ["sound"]),
        ({"train_top1": (0.97,) * 10, "val_images": 10**6}, ["sound"]),  # certain, but four points
        ({"train_top1": (0.6,) * 10, "val_top1": (0.6,) * 10}, ["underfitting"]),
        ({"train_top1": (0.6,) * 10, "val_top1": (0.3,) * 10}, ["overfitting"]),
        # Changed images are harder: what counts is what is known of those that are not.
        ({"train_top1": (0.8,) * 10, "val_top1": (0.97,) * 10}, ["sound"]),
        ({"train_top1": (0.5,) * 10, "val_top1": (0.7,) * 10}, ["underfitting"]),
        ({"val_loss": (*FALLS[:8], 0.29, 0.28)}, ["not finished"]),
        ({"val_loss": (*FALLS[:8], 0.29, 0.28), "epochs": 40}, ["sound"]),  # stopped early: it had its chance
        # Answers stay right and grow too sure; by half of the lowest loss it is worth a word.
        ({"val_loss": (0.3, *RISES), "start_loss": 0.4}, ["overfitting"]),
        ({"val_loss": (*FALLS[:7], 0.44, 0.44, 0.44)}, ["sound"]),
        ({"val_loss": (*FALLS[:9], 0.9)}, ["sound"]),  # one bad draw
        ({"val_loss": (0.05,) * 7 + (0.15,) * 3}, ["sound"]),  # three times next to nothing
        # What train loses again while much is left to fit, no smaller gap will mend.
        ({"train_loss": SWINGS, "val_loss": SWINGS, "start_loss": 0.6, **HALF}, ["rate too high"]),
        ({"train_loss": SWINGS, "val_loss": SWINGS, "start_loss": 0.6, "worth": True, **HALF}, ["sound"]),
        (
            {"train_loss": (0.3, *RISES), "val_loss": (0.3, *RISES), "start_loss": 0.31, **HALF},
            ["rate too high"],
        ),
        ({"train_loss": (*FALLS[:7], 0.44, 0.44, 0.44), **HALF}, ["sound"]),
        # A real run of 16 images of val: it swings early on, and comes to rest.
        (
            {
                "train_loss": (0.113, 0.203, 0.1, 0.09, 0.07, 0.06, 0.058, 0.055, 0.058, 0.163, 0.03)
                + (0.011,) * 5,
                "val_loss": (0.3,) * 16,
                "train_top1": (0.99,) * 16,
                "val_top1": (0.98,) * 16,
            },
            ["sound"],
        ),
        # Little was left to learn: the start was fitted.
        (
            {"train_loss": (0.1,) + (0.098,) * 9, "train_top1": (0.97,) * 10, "val_top1": (0.96,) * 10},
            ["sound"],
        ),
        # Weights of classes leave nothing that cannot be learned, blends and a penalty do.
        ({"train_loss": (2.3,) * 10, "asked": Asked(comparable=False)}, ["rate too low"]),
        ({"train_loss": (2.3,) * 10, "asked": Asked(comparable=False, fittable=False)}, ["sound"]),
        # Blended images: train's top-1 is of others, and their loss has a floor that nobody knows.
        ({**BLENDED, "val_loss": (0.3, *RISES), "start_loss": 0.4}, ["overfitting"]),
        ({**BLENDED, "val_loss": (*FALLS[:7], 0.36, 0.4, 0.42)}, ["unclear"]),
        (
            {**BLENDED, "train_top1": (0.1,) * 10, "val_top1": (0.1,) * 10, "train_loss": (2.3,) * 10},
            ["unclear"],
        ),
        ({**BLENDED, "val_top1": (0.95,) * 10, "train_loss": (0.62,) * 9 + (0.6,)}, ["sound"]),
        (
            {"exploded": (1e-2,), "train_top1": (1.0,) * 10, "val_top1": (0.8,) * 10},
            ["rate too high", "overfitting"],
        ),
    ],
)
def test_golden_curves(changes: dict[str, Any], expected: list[str]):
    assert findings(replace(WELL, **changes)) == expected


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        # Train is far from fitted: what val lost, no more of fitting took.
        ({**HARD, **AUGMENTED, "val_loss": (0.3, *RISES), "start_loss": 0.4}, ["underfitting"]),
        ({**HARD, "val_loss": (0.3, *RISES), "start_loss": 0.4}, ["overfitting"]),  # not made harder
        # Changed images fitted as well as val's, and val's loss rises: it is.
        ({**AUGMENTED, "val_loss": (0.3, *RISES), "start_loss": 0.4}, ["overfitting"]),
        # Within chance of 30 images.
        (
            {**AUGMENTED, "train_top1": (0.6,) * 10, "val_top1": (0.7,) * 10, "val_images": 30},
            ["underfitting"],
        ),
    ],
)
def test_images_that_were_made_harder_are_not_fitted_too_much(changes: dict[str, Any], expected: list[str]):
    assert findings(replace(WELL, **changes)) == expected


def test_what_a_broken_start_left_behind_is_no_reading_of_the_fit():
    assert findings(STRONG) == ["rate too high"]
    assert findings(replace(STRONG, **STEADY)) == ["underfitting"]  # no epoch came below the start
    assert findings(replace(STRONG, **STEADY, start_loss=0.3)) == ["sound"]
    # But a gap in top-1 is seen whatever came before.
    fitted = replace(STRONG, train_top1=(1.0,) * 3, val_images=400)
    assert findings(fitted) == ["rate too high", "overfitting", "not finished"]


def test_what_made_images_harder_is_what_to_take_less_of():
    hard = replace(WELL, **HARD, asked=Asked(augmented=True, dropout=0.4))
    assert diagnose(hard)[0].sentence == (
        "underfitting: finetune: right on only 38.6% of train and 66.7% of val in its last epoch: train is "
        "harder than val, by what changes its images or drops parts of them, and not fitted. Take less "
        "dropout (--set dropout=0.2) or a weaker policy (down to --augment none), or give it longer (--set "
        "epochs=20)."
    )
    assert diagnose(replace(hard, asked=Asked(augmented=True)))[0].advice.startswith(
        "Take a weaker policy (down to --augment none), or give it longer"
    )
    deep = replace(hard, asked=Asked(stochastic_depth=0.2), epochs=40)
    # It stopped early, so more epochs would change nothing.
    assert diagnose(deep)[0].advice == (
        "Take less stochastic depth (--set stochastic_depth=0.1), or give it longer (--set patience=20)"
    )


def test_a_start_that_dropout_lost_is_told_and_not_called_unfinished():
    """Signs, 20 per class: no policy, dropout .3; the classifier it starts from knows all of train."""
    dropped = replace(
        STRONG, train_top1=(0.7, 0.72, 0.667), val_top1=(0.92, 0.9, 0.919), train_loss=(1.79, 1.35, 1.84),
        val_loss=(0.247, 0.259, 0.239), start_loss=0.178, val_images=37, asked=Asked(dropout=0.3),
    )  # fmt: skip
    (found,) = diagnose(dropped)
    assert "not fitted, and no epoch's val loss came below the start's. Take less dropout" in found.sentence
    assert findings(replace(dropped, asked=Asked())) == ["not finished"]


def test_a_policy_that_is_in_force_may_be_weaker():
    low = replace(WELL, train_top1=(0.7,) * 10, val_top1=(0.65,) * 10, val_images=40, **AUGMENTED)
    assert diagnose(low)[0].advice.endswith("--image-size, a weaker policy (down to --augment none)")


@pytest.mark.parametrize(
    ("asked", "expected"),
    [
        (Asked(freeze_depth=3, stages=5), "Let more stages train (--set freeze_depth=2), or take a larger"),
        (Asked(stages=5), "Give it longer (--set epochs=20), or take a larger"),
    ],
)
def test_what_trains_already_is_not_advised(asked: Asked, expected: str):
    low = replace(WELL, train_top1=(0.6,) * 10, val_top1=(0.6,) * 10, asked=asked)
    assert diagnose(low)[0].advice.startswith(expected)


@pytest.mark.parametrize(
    ("train", "val", "expected"),
    [(1.0, 0.8, "overfitting"), (0.7, 0.68, "underfitting"), (0.95, 0.93, "sound"), (1.0, 0.96, "sound")],
)
def test_a_fitted_classifier_has_one_point_to_read(train: float, val: float, expected: str):
    assert findings(replace(LINEAR, train_top1=(train,), val_top1=(val,))) == [expected]


# Where an image may have several classes losses tell, and the mAP of val how much is left.
SMOOTHED = Asked(multilabel=True, label_smoothing=0.1)
OTHERWISE = Asked(multilabel=True, comparable=False)
SEVERAL = replace(WELL, train_top1=(), val_top1=(), val_map=(0.95,) * 10, asked=Asked(multilabel=True))


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({}, ["sound"]),
        ({"val_map": (0.8,) * 10, "train_loss": (*FALLS[:9], 0.19)}, ["overfitting"]),  # .3 is over 1.5 x .19
        ({"train_loss": (*FALLS[:9], 0.19)}, ["sound"]),  # apart, but next to nothing is missed
        ({"val_map": (0.8,) * 10, "train_loss": (*FALLS[:9], 0.21)}, ["underfitting"]),
        # Labels smoothed by .1 leave .1985: all of the rest is fitted, and val is not.
        ({"val_map": (0.8,) * 10, "train_loss": (*FALLS[:9], 0.205), "asked": SMOOTHED}, ["overfitting"]),
        # Weights, mixed images or a pull on the weights: the losses are of two kinds.
        ({"val_map": (0.8,) * 10, "train_loss": (*FALLS[:9], 0.1), "asked": OTHERWISE}, ["sound"]),
        ({"val_map": (0.8,) * 10, "train_loss": (*FALLS[:9], 0.4), "asked": OTHERWISE}, ["sound"]),
        ({"val_map": (0.8,) * 10, "val_loss": (*FALLS[:9], 0.4), "asked": OTHERWISE}, ["overfitting"]),
        ({"exploded": (1e-2,)}, ["rate too high"]),
        ({"start_loss": 0.29}, ["rate too high"]),
        # What a broken start left behind is no gap.
        ({"start_loss": 0.4, "val_loss": (2.0,) * 10, "val_map": (0.5,) * 10}, ["rate too high"]),
        ({"train_loss": (1.0,) * 9 + (0.96,), "val_map": (0.5,) + (0.95,) * 9}, ["rate too low"]),
        ({"train_loss": (1.0,) * 9 + (0.96,)}, ["sound"]),  # little was left to learn
        ({"val_loss": (*FALLS[:8], 0.29, 0.28)}, ["not finished"]),
    ],
)
def test_golden_curves_of_several_labels(changes: dict[str, Any], expected: list[str]):
    assert findings(replace(SEVERAL, **changes)) == expected


def test_several_labels_are_told_by_map_and_losses():
    (over,) = diagnose(replace(SEVERAL, val_map=(0.8,) * 10, train_loss=(*FALLS[:9], 0.1)))
    assert over.evidence == (
        "finetune: a mAP of 80.0% on val in its last epoch, a loss of 0.100 on train and 0.300 on val"
    )
    fitted = replace(SEVERAL, start_loss=None, train_loss=(0.4,), val_loss=(0.41,), val_map=(0.5,))
    (under,) = diagnose(fitted)
    assert under.evidence == (
        "finetune: a mAP of only 50.0% on val, a loss of 0.400 on train and 0.410 on val: no gap beyond "
        "chance, but much is not fitted"
    )
    # Two classes that are drawn a tenth of the way to a half cannot be fitted below the entropy of .05.
    assert Asked(multilabel=True, label_smoothing=0.1).floor == pytest.approx(0.1985152)


def test_each_finding_says_its_numbers_and_what_to_change():
    worse = replace(WELL, train_top1=(1.0,) * 10, val_top1=(0.8,) * 10, val_loss=(*FALLS[:9], 0.4))
    (found,) = diagnose(worse)
    assert found.sentence == (
        "overfitting: finetune: right on 100.0% of train and 80.0% of val in its last epoch, and the val "
        "loss rose from 0.302 to 0.400. More images, --augment auto, --set dropout=0.3 or --set "
        "label_smoothing=0.1 work against it."
    )
    deep = Asked(augmented=True, dropout=0.5, freeze_depth=2, stages=5)
    assert diagnose(replace(worse, asked=deep))[0].advice == (
        "More images, fewer stages that train (--set freeze_depth=3) or --set label_smoothing=0.1 work "
        "against it"
    )
    everything = replace(deep, label_smoothing=0.1, freeze_depth=4)
    assert diagnose(replace(worse, asked=everything))[0].advice == "More images work against it"
    (slow,) = diagnose(replace(WELL, train_loss=(1.0,) * 10))
    assert "from 1.000 to 1.000" in slow.evidence and "--set learning_rate=0.003" in slow.advice
    (fast,) = diagnose(replace(WELL, start_loss=0.2, val_loss=(0.4,) * 10))
    assert "--set learning_rate=0.0003" in fast.advice
    (more,) = diagnose(replace(WELL, val_loss=(*FALLS[:8], 0.29, 0.28)))
    assert more.advice == "Give it longer: --set epochs=20"
    (swings,) = diagnose(replace(WELL, train_loss=SWINGS, start_loss=0.6, **HALF))
    assert swings.evidence == (
        "finetune: the train loss went from 0.700 at its lowest up to 1.100 in the last epochs"
    )
    (blended,) = diagnose(replace(WELL, **BLENDED))
    assert blended.sentence == (
        "unclear: finetune: right on 60.0% of blended images of train and 80.0% of val in its last epoch: "
        "blended, so whether too much or too little is fitted is not seen. Train once without what mixes "
        "batches to see it."
    )
    (lost,) = diagnose(replace(WELL, start_loss=0.29, val_loss=(0.4,) * 10))
    assert lost.evidence.endswith("no epoch's val loss came below the 0.290 that it started from")
    (well,) = diagnose(WELL)
    assert well.sentence == (
        "sound: finetune: right on 95.0% of train and 93.0% of val in its last epoch; nothing asks for a "
        "change."
    )


def test_a_rate_that_was_tried_is_not_advised_again():
    (cut,) = diagnose(replace(WELL, exploded=(9e-3, 3e-3)))
    assert cut.sentence == (
        "rate too high: finetune: the loss exploded at the rate 0.009, 0.003 and was trained at 0.001 then. "
        "To begin there: --set learning_rate=0.001, or --set learning_rate=find."
    )
    (gone, _) = diagnose(replace(LINEAR, exploded=(1e-2, 3e-3)))
    assert gone.sentence == (
        "rate too high: fine-tuning: the loss exploded at every rate that was tried (0.01, 0.003), so it was "
        "given up. Take a third of the lowest: --set learning_rate=0.001, or --set learning_rate=find."
    )


def row(phase: str, epoch: int, loss: float, top1: float | None = 0.9, rate: float = 0.0) -> dict[str, Any]:
    return {
        "phase": phase, "epoch": epoch, "loss": loss, "val_loss": loss + 0.1, "top1": top1,
        "val_top1": top1, "learning_rate": rate, "seconds": 1.0,
    }  # fmt: skip


def test_the_curves_are_those_of_fine_tuning_without_the_attempts_that_exploded():
    history = [
        row("linear", 0, 0.5), row("multistage", 0, 0.4),
        row("finetune (exploded)", 1, 0.5, rate=0.2), row("finetune (exploded)", 2, 0.5, rate=0.3),
        row("finetune (exploded)", 1, float("nan"), rate=0.1), row("finetune", 1, 0.3, rate=0.02),
        row("finetune", 2, 0.2, rate=0.03),
    ]  # fmt: skip
    found = curves_of(history, val_images=9, epochs=5)
    assert found is not None
    assert (found.phase, found.train_loss, found.start_loss, found.exploded) == (
        "finetune",
        (0.3, 0.2),
        0.5,
        (0.3, 0.1),
    )
    assert (found.rate, found.epochs, found.val_images) == (0.03, 5, 9)


def test_without_fine_tuning_the_last_classifier_is_read():
    found = curves_of([row("linear", 0, 0.5), row("multistage", 0, 0.4)], val_images=9)
    assert found is not None and (found.phase, found.train_loss) == ("multistage", (0.4,))
    assert found.start_loss is None and found.exploded == ()


def test_fine_tuning_that_was_given_up_leaves_the_curves_of_the_classifier_and_its_rates():
    history = [row("linear", 0, 0.5), row("finetune (exploded)", 1, 9.0, rate=0.1)]
    found = curves_of(history, val_images=9, epochs=5)
    assert found is not None and found.phase == "linear"
    assert found.start_loss is None and found.exploded == (0.1,)


def test_what_is_kept_is_what_is_read_and_what_is_not_is_said_to_be_none():
    history = [row("linear", 0, 0.5), row("multistage", 0, 0.4)]
    found = curves_of(history, val_images=9, kept="linear")
    assert found is not None and found.phase == "linear"
    tried = curves_of([*history, row("finetune", 1, 0.3)], val_images=9, epochs=5, kept="multistage")
    assert tried is not None and tried.name == "finetune (not kept)"
    good = curves_of([*history, row("finetune", 1, 9.0)], val_images=9, epochs=5, kept="fine-tuned")
    assert good is not None and "rate too high" not in findings(good)


def test_an_interrupted_run_asks_to_be_gone_on_with():
    found = curves_of(
        [row("linear", 0, 0.5), row("finetune", 1, 9.0)], val_images=9, epochs=5, interrupted=True
    )
    assert found is not None and diagnose(found)[0].sentence == (
        "not finished: finetune: interrupted after 1 of 5 epochs. Go on with it: transferkit finetune "
        "--resume RUN."
    )


def test_images_of_several_classes_have_map_and_no_top1_to_read():
    given = row("linear", 0, 0.5, top1=None) | {"val_map": 0.7}
    found = curves_of([given], val_images=9, asked=Asked(multilabel=True))
    assert found is not None and (found.val_map, found.train_top1, found.val_top1) == ((0.7,), (), ())
    assert curves_of([], val_images=9) is None


def test_smoothed_labels_have_a_loss_that_nothing_goes_under():
    # .1 spread over five classes: -.92 ln .92 - 4 * .02 ln .02 = .3897
    asked = Asked(label_smoothing=0.1, classes=5)
    assert asked.floor == pytest.approx(0.3897, abs=1e-4)
    assert Asked().floor == 0
    # From .60 to .58 is 3 % of the loss, but 10 % of what can be learned of it.
    slow = replace(WELL, train_loss=(0.60,) * 9 + (0.58,))
    assert "rate too low" in findings(slow)
    assert "rate too low" not in findings(replace(slow, asked=asked))
