"""Kernels for what a core can do beyond plain C: each tier replaces calls that it can serve, byte for byte."""
