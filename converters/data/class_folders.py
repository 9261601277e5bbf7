"""A folder of files by class: which files, in which order, with which label.

`folder/<class>/<file>` gives labels, numbered in the project's order of class names, else alphabetically.
`folder/<file>` gives samples without labels. A folder with both is refused: it is not clear what is meant.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from edgepack.targets.errors import nearest

if TYPE_CHECKING:
    from pathlib import Path

    from edgepack.converters.data.request import Request


@dataclass(frozen=True)
class ClassFolders:
    """The files of a folder, sorted, with their labels.

    Attributes:
        files: Paths in the order of the samples.
        labels: One class number a file; None where the folder has no classes.
        class_names: Names in label order.
    """

    files: tuple[Path, ...]
    labels: tuple[int, ...] | None
    class_names: tuple[str, ...]


def list_classes(request: Request, suffixes: frozenset[str]) -> ClassFolders:
    """Return the files with one of these suffixes; hidden files and other suffixes are passed over.

    Raises:
        DataError: There is no such file, the folder mixes loose files and classes, a class is unknown, or a
            link leads out of the folder.
    """
    loose = _files(request, request.path, suffixes)
    folders = [entry for entry in sorted(request.path.iterdir()) if entry.is_dir() and not _hidden(entry)]
    by_class = {entry.name: _files(request, entry, suffixes) for entry in folders}
    by_class = {name: files for name, files in by_class.items() if files}
    if loose and by_class:
        request.refuse(
            f"the folder holds both files ('{loose[0].name}') and classes ('{min(by_class)}').",
            remedy="Move the loose files into the folder of their class.",
        )
    if not loose and not by_class:
        request.refuse(f"no {', '.join(sorted(suffixes))} file in the folder or its sub-folders.")
    if loose:
        return ClassFolders(tuple(loose), None, request.class_names)
    names = request.class_names or tuple(by_class)
    for name in by_class:
        if name not in names:
            request.refuse(f"folder '{name}' is no class of the project." + nearest(name, names))
    files = [file for name in names for file in by_class.get(name, [])]
    labels = tuple(names.index(file.parent.name) for file in files)
    return ClassFolders(tuple(files), labels, names)


def has_suffix(folder: Path, suffixes: frozenset[str]) -> bool:
    """Return whether a file with one of these suffixes lies in the folder or one level below."""
    return any(entry.suffix.lower() in suffixes for pattern in ("*", "*/*") for entry in folder.glob(pattern))


def _files(request: Request, folder: Path, suffixes: frozenset[str]) -> list[Path]:
    files = []
    for entry in sorted(folder.iterdir()):
        if entry.suffix.lower() in suffixes and not _hidden(entry):
            request.check_inside(entry)
            files.append(entry)
    return files


def _hidden(entry: Path) -> bool:
    return entry.name.startswith(".")
