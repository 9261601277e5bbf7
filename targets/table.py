"""One TOML table, read key by key, with errors that name file, key, value found and values allowed.

Rules:
    * The file is hostile until read: every value is checked for type, length and printable text before use.
    * An unknown key is an error, so that a typo cannot silently drop a fact.
    * A reader returns a plain value or raises `TargetError`; no other error leaves this module.

`schema.py` builds a `Target` from these readers.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NoReturn, TypeVar

from edgepack.targets.errors import TargetError, nearest

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

_MAX_TEXT = 600
_MAX_ITEMS = 64
_MAX_SHOWN = 60

_SEE = "docs/targets.md explains every key"

_Text = TypeVar("_Text", bound=str)
_Value = TypeVar("_Value")

# What a person calls the TOML types; looked up by exact type, because a `bool` is also an `int` in Python.
_TYPE_NAMES: dict[type, str] = {
    bool: "true or false",
    str: "text",
    int: "a whole number",
    float: "a number",
    list: "an array",
    dict: "a table",
}


@dataclass(frozen=True)
class Table:
    """A table of a TOML file.

    Attributes:
        file: The file, for messages.
        path: Where in the file the table stands, such as "memory[0]"; empty for the whole file.
        values: The table as `tomllib` returned it.
    """

    file: Path
    path: str
    values: Mapping[str, object]

    def allow_only(self, *keys: str) -> None:
        """Refuse any key that is not in `keys`."""
        for key in self.values:
            if key not in keys:
                message = (
                    f"{self.file}: unknown key {_shown(self._dotted(key))}; "
                    f"allowed keys here: {', '.join(keys)}.{nearest(key[:_MAX_SHOWN], keys)}"
                )
                raise TargetError(message, remedy=f"Rename or remove that key; {_SEE}.")

    def refuse(self, key: str, found: str, expected: str, *, hint: str = "") -> NoReturn:
        """Raise the error for a key whose value breaks a promise.

        Args:
            key: The key within this table.
            found: The value found, in words.
            expected: What is allowed, in words.
            hint: What `nearest` returned, where the value is a name.

        Raises:
            TargetError: Always.
        """
        name = self._dotted(key)
        message = f"{self.file}: {name} is {found}; expected {expected}.{hint}"
        raise TargetError(message, remedy=f"Edit {name} in {self.file}; {_SEE}.")

    def text(self, key: str) -> str:
        """Return a required text: not empty, printable, of bounded length."""
        return self._text_of(key, self._typed(key, str, "text"))

    def optional_text(self, key: str) -> str | None:
        """Return a text, or None where the key is absent."""
        return self.text(key) if key in self.values else None

    def choice(self, key: str, allowed: tuple[_Text, ...]) -> _Text:
        """Return a required text that is one of `allowed`."""
        return self._one_of(key, self._typed(key, str, f"one of {', '.join(allowed)}"), allowed)

    def choices(self, key: str, allowed: tuple[_Text, ...]) -> tuple[_Text, ...]:
        """Return a required array whose items are each one of `allowed`, none of them twice."""
        if key not in self.values:
            self.refuse(key, "missing", f"an array of {', '.join(allowed)}")
        return tuple(self._one_of(f"{key}[{i}]", item, allowed) for i, item in enumerate(self.texts(key)))

    def texts(self, key: str) -> tuple[str, ...]:
        """Return an array of texts, none of them twice; empty where the key is absent."""
        if key not in self.values:
            return ()
        items = self._items(key, "an array of texts")
        texts = tuple(self._text_of(f"{key}[{i}]", item) for i, item in enumerate(items))
        for i, text in enumerate(texts):
            if text in texts[:i]:
                self.refuse(f"{key}[{i}]", f"{_shown(text)} again", "each value once")
        return texts

    def flag(self, key: str, *, default: bool) -> bool:
        """Return true or false, or `default` where the key is absent."""
        return self._typed(key, bool, "true or false") if key in self.values else default

    def whole_number(self, key: str, *, low: int, high: int) -> int | None:
        """Return a whole number from `low` to `high`, or None where the key is absent."""
        if key not in self.values:
            return None
        ends = f"{low:#x} to {high:#x}" if high > 0xFFFF else f"{low} to {high}"
        expected = f"a whole number from {ends}"
        value = self._typed(key, int, expected)
        if not low <= value <= high:
            self.refuse(key, _shown(value), expected)
        return value

    def quantity(self, key: str, parse: Callable[[str], int], example: str) -> int | None:
        """Return a quantity in base units, or None where the key is absent.

        Args:
            key: The key within this table.
            parse: One of the `parse_*` functions of `units.py`.
            example: A text that `parse` accepts, for the message.
        """
        if key not in self.values:
            return None
        expected = f'a text with a unit, such as "{example}"'
        text = self._typed(key, str, expected)
        try:
            value = parse(text)
        except TargetError as err:
            name = self._dotted(key)
            message = f"{self.file}: {name}: {err.message}"
            raise TargetError(message, remedy=f"Edit {name} in {self.file}. {err.remedy}") from err
        if value == 0:
            self.refuse(key, _shown(text), "more than zero; leave the key out where the fact is not known")
        return value

    def table(self, key: str) -> Table:
        """Return a required table within this one."""
        return Table(self.file, self._dotted(key), self._typed(key, dict, f"a table [{key}]"))

    def tables(self, key: str) -> tuple[Table, ...]:
        """Return an array of tables; empty where the key is absent."""
        if key not in self.values:
            return ()
        expected = f"an array of tables [[{key}]]"
        return tuple(
            self._item_table(f"{key}[{i}]", item) for i, item in enumerate(self._items(key, expected))
        )

    def _dotted(self, key: str) -> str:
        return f"{self.path}.{key}" if self.path else key

    def _typed(self, key: str, kind: type[_Value], expected: str) -> _Value:
        if key not in self.values:
            self.refuse(key, "missing", expected)
        value = self.values[key]
        if type(value) is not kind:
            self.refuse(key, _described(value), expected)
        return value

    def _items(self, key: str, expected: str) -> list[object]:
        items = self._typed(key, list, expected)
        if len(items) > _MAX_ITEMS:
            self.refuse(key, f"an array of {len(items)} items", f"at most {_MAX_ITEMS}")
        return items

    def _item_table(self, key: str, item: object) -> Table:
        if not isinstance(item, dict):
            self.refuse(key, _described(item), "a table")
        return Table(self.file, self._dotted(key), item)

    def _one_of(self, key: str, text: str, allowed: tuple[_Text, ...]) -> _Text:
        if text not in allowed:
            hint = nearest(text[:_MAX_SHOWN], allowed)
            self.refuse(key, _shown(text), f"one of {', '.join(allowed)}", hint=hint)
        return allowed[allowed.index(text)]

    def _text_of(self, key: str, value: object) -> str:
        if not isinstance(value, str):
            self.refuse(key, _described(value), "text")
        if not value.strip():
            self.refuse(key, "empty", "text, or leave the key out where it may be absent")
        if len(value) > _MAX_TEXT:
            self.refuse(key, f"a text of {len(value)} characters", f"at most {_MAX_TEXT}")
        # A control character could drive the terminal that the text is shown in.
        if not value.isprintable():
            self.refuse(key, _shown(value), "one line of printable text")
        return value


def _described(value: object) -> str:
    name = _TYPE_NAMES.get(type(value), "a date or time")
    return f"{name} ({_shown(value)})" if isinstance(value, (bool, str, int, float)) else name


def _shown(value: object) -> str:
    # A huge number is not shown: turning it into text is slow, and Python refuses past 4300 digits.
    if isinstance(value, int) and value.bit_length() > 64:
        return f"a number of {value.bit_length()} bits"
    text = repr(value)
    return text if len(text) <= _MAX_SHOWN else f"{text[:_MAX_SHOWN]}…"
