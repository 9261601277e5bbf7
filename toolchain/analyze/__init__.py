"""Static analysis of a model: what it costs, and whether a target can hold it."""
