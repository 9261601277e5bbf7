"""From a model file to what the device runs."""
