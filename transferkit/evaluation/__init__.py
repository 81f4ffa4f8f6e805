"""From probabilities to a frozen `Report`: numbers only, nothing is drawn here."""
