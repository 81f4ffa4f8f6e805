"""Images on disk: index, decoding, audit, splits, loading, and the public data sets."""
