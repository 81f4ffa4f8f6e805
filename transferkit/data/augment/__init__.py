"""Augmentation: policies as data (`policy`, `catalogue`), and what carries them out in tf.data."""
