"""What a classifier without any network reaches: logistic regression on tiny pictures."""

import numpy as np

from transferkit.api.work import Work
from transferkit.data.decode import DecodePolicy, decode_chunks

SIDE = 16
# More would take longer than what they are told beside.
MOST = 5000


def pixels_score(work: Work) -> dict[str, float]:
    """Top-1 of val and test, 0..1, of logistic regression on 16 x 16 pixels; val chooses its strength.

    Told where the backbone has random weights: a network that has learned nothing has to show that it is
    worth more than the bare pixels. Empty where it has learned, where images have several classes, for over
    5,000 images, and where one cannot be read again.
    """
    if work.recipe.weights != "none" or work.multilabel or len(work.index.files) > MOST:
        return {}
    from transferkit.training.linear import fit_linear, score

    policy = DecodePolicy(size_px=SIDE, resize=work.extractor.policy.resize)
    paths = [work.index.root / path for path in work.index.files["path"]]
    chunks = list(decode_chunks(paths, policy, chunk=256))
    if any(chunk.failed for chunk in chunks):
        return {}
    pixels = np.concatenate([chunk.images for chunk in chunks]).reshape(len(paths), -1).astype(np.float32)
    # As a grey picture where it is one: three equal channels are one.
    grey = pixels.reshape(len(paths), -1, 3)
    pixels = grey[:, :, 0] if (grey == grey[:, :, :1]).all() else pixels
    given = {split: (pixels[rows], work.labels[rows]) for split, rows in work.rows.items() if len(rows)}
    fitted = fit_linear(given["train"], given["val"], len(work.class_names), strengths=8)
    return {
        split: score(fitted.probabilities(features), labels)[0]
        for split, (features, labels) in given.items()
        if split != "train"
    }
