"""Fractals of iterated function systems, after FractalDB (Kataoka et al. 2020, arXiv:2101.08515)."""

import numpy as np

COUNT = 40
# Points walk side by side; so many steps of each are kept.
WALKERS, STEPS, LOST = 512, 50, 10
# Of its frame a figure fills at least this share of 32 x 32 cells: less is a cloud of dust.
LEAST_FILLED = 0.15


def system(number: int) -> np.ndarray:
    """The maps `(k, 2, 3)` of a class: x -> A x + b, contractive.

    Singular values are drawn so that their sum, the smaller of each map counting twice, lies between
    (5 + k) / 2 and (6 + k) / 2, where figures neither vanish nor blur.
    Source: Anderson and Farrell 2022, Improving Fractal Pre-training (arXiv:2110.03091), section 3.1.
    """
    for attempt in range(1000):
        random = np.random.default_rng([7, number, attempt])
        maps = _maps(int(random.integers(2, 5)), random)
        if _filled(_points(maps, np.random.default_rng(0))) >= LEAST_FILLED:
            return maps
    raise AssertionError(f"no figure for class {number}")


def _maps(count: int, random: np.random.Generator) -> np.ndarray:
    while True:
        large = random.uniform(0.0, 1.0, count)
        small = large * random.uniform(0.0, 1.0, count)
        total = float((large + 2 * small).sum())
        if (5 + count) / 2 <= total <= (6 + count) / 2:
            break
    first, second = random.uniform(-np.pi, np.pi, (2, count))
    flips = random.choice([-1.0, 1.0], (count, 2))
    linear = _turn(first) @ (np.stack([large, small], axis=1)[:, :, None] * _turn(second)) * flips[:, None, :]
    return np.concatenate([linear, random.uniform(-1, 1, (count, 2, 1))], axis=2)


def _turn(angles: np.ndarray) -> np.ndarray:
    cosine, sine = np.cos(angles), np.sin(angles)
    return np.stack([np.stack([cosine, -sine], -1), np.stack([sine, cosine], -1)], -2)


def _points(maps: np.ndarray, random: np.random.Generator) -> np.ndarray:
    """`(n, 2)` of the chaos game, all but a percent in 0..1; maps are taken as often as they cover area."""
    weights = np.abs(np.linalg.det(maps[:, :, :2])) + 0.01
    walk = random.uniform(-0.5, 0.5, (WALKERS, 2))
    taken = random.choice(len(maps), (LOST + STEPS, WALKERS), p=weights / weights.sum())
    kept = np.empty((STEPS, WALKERS, 2))
    for step, chosen in enumerate(taken):
        walk = np.einsum("nij,nj->ni", maps[chosen, :, :2], walk) + maps[chosen, :, 2]
        if step >= LOST:
            kept[step - LOST] = walk
    points = kept.reshape(-1, 2)
    low, high = np.percentile(points, 0.5, axis=0), np.percentile(points, 99.5, axis=0)
    return (points - low) / max(float((high - low).max()), 1e-9)


def _filled(points: np.ndarray) -> float:
    cells = np.clip((points * 32).astype(int), 0, 31)
    return len(np.unique(cells[:, 0] * 32 + cells[:, 1])) / 32**2


def fractal(maps: np.ndarray, size: int, random: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """A figure of a class, its maps shaken by up to a tenth.

    Returns:
        mask and shade, float `(size, size)` in 0..1: where it is, and how dense it is there.
    """
    shaken = maps * random.uniform(0.9, 1.1, maps.shape)
    points = _points(shaken, random)
    points = points[((points >= 0) & (points < 1)).all(axis=1)]  # the rest would make an edge of the frame
    spots = (points * size).astype(int)
    dense = np.bincount(spots[:, 1] * size + spots[:, 0], minlength=size * size).reshape(size, size)
    shade = np.log1p(dense) / max(np.log1p(float(np.percentile(dense[dense > 0], 95))), 1e-9)
    return (dense > 0).astype(np.float32), np.clip(shade, 0, 1).astype(np.float32)
