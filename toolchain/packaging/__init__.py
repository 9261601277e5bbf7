"""A model becomes one signed file: manifest, archive, signature."""
