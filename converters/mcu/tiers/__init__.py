"""Kernels for what a core can do beyond plain C: a tier replaces the calls that it serves, byte for byte."""
