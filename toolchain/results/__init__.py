"""What a run found: one versioned record a run, and the store that keeps them."""
