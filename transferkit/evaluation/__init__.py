"""From probabilities to a frozen `Report`: numbers only, nothing is drawn here."""

# Kinds of test-time views, cheapest first; here, so that help needs no numpy.
VIEWS = ("none", "flip", "10crop", "multiscale")
