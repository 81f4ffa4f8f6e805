"""The work: device, feature bank, linear classifier, gradient phases, the model that is saved."""
