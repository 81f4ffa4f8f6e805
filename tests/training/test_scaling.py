import numpy as np

from transferkit.training.scaling import by_block, standard


def test_a_quiet_channel_is_not_made_to_shout():
    # Deviations 1, 1, 0.01 of one block: the third is divided by the median 1, not by 0.01.
    features = np.array([[1, 1, 0.01], [-1, -1, -0.01]]) + 5
    found = by_block(features, (3,))
    assert np.allclose(found.scale, 1)
    assert np.allclose(standard(features).scale, [1, 1, 0.01])


def test_a_block_weighs_as_the_root_of_its_width():
    # Widths 16 and 1, deviations 1: the sums of squares stand 4 to 1, and are 17 together.
    features = np.concatenate([np.ones((1, 17)), -np.ones((1, 17))])
    scaled = by_block(features, (16, 1)).apply(features)
    squares = np.square(scaled).mean(axis=0)
    assert np.allclose([squares[:16].sum(), squares[16:].sum()], [17 * 4 / 5, 17 / 5])


def test_what_never_changes_is_left_alone():
    found = by_block(np.full((4, 3), 7.7), (2, 1))
    assert np.array_equal(found.scale, np.ones(3))
    assert np.allclose(found.apply(np.full((1, 3), 7.7)), 0)


def test_a_folded_head_says_of_features_what_the_other_says_of_scaled_ones():
    random = np.random.default_rng(0)
    features, kernel, bias = random.normal(3, 2, (9, 5)), random.normal(size=(5, 2)), random.normal(size=2)
    scaling = by_block(features, (2, 3))
    folded, folded_bias = scaling.folded(kernel, bias)
    expected = scaling.apply(features) @ kernel + bias
    assert np.allclose(features @ folded + folded_bias, expected, atol=1e-5)
    kept = np.array([0, 3])
    part = scaling.columns(kept)
    assert np.array_equal(part.apply(features[:, kept]), scaling.apply(features)[:, kept])
