"""Errors of the converters, by whose move it is."""

from __future__ import annotations

from edgepack.targets.errors import EdgepackError


class ConversionError(EdgepackError):
    """The model file cannot be read, converted or quantized: the user's model or options must change."""

    exit_code = 5


class DataError(ConversionError):
    """Representative or evaluation data cannot be used: the message names the file and the index."""


class UnsupportedOpError(ConversionError):
    """The model holds an operator that the step or target does not support."""


class QualityError(EdgepackError):
    """The quantized model failed the quality gate of the project."""

    exit_code = 6


class MissingExtraError(EdgepackError):
    """A verb needs an optional dependency that is not installed.

    Args:
        what: What was asked for, such as "Importing a Keras model".
        extra: The extra that brings the dependency, such as "tensorflow".
    """

    exit_code = 11

    def __init__(self, what: str, *, extra: str) -> None:
        super().__init__(
            f"{what} needs the '{extra}' extra, which is not installed.",
            remedy=f'Run: pip install "edgepack[{extra}]"',
        )


class CompilerError(EdgepackError):
    """There is no C compiler for the target, or it failed: a program must be installed, or it is a bug."""

    exit_code = 15
