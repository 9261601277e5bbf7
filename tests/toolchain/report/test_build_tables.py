from __future__ import annotations

import io

from rich.console import Console

from edgepack.toolchain.report.build_tables import build_table
from tests.toolchain.report.builds import make_build


def shown(*builds) -> str:
    console = Console(file=io.StringIO(), width=220, force_terminal=False)
    console.print(build_table(builds))
    return console.file.getvalue()


def test_a_row_a_package() -> None:
    lines = shown(make_build("int8"), make_build("float16", name="kws")).splitlines()
    assert lines[0].split()[:2] == ["package", "precision"]
    assert lines[1].startswith("fashion for rpi") and "int8" in lines[1]
    for figure in ("35.4 KiB", "74.4 KiB", "top1 of 10000", "0.9213", "0.9148", "0.9090 to 0.9200", "98.0%"):
        assert figure in lines[1]
    assert lines[2].startswith("kws for rpi")
    assert len(lines) == 3


def test_what_was_not_measured_is_a_dash() -> None:
    unknown = dict.fromkeys(("metric", "float_value", "deployed_value", "low", "high", "top1_agreement"))
    line = shown(make_build("int8", **unknown)).splitlines()[1]
    assert line.count("—") == 5
    assert "0.0" not in line


def test_auto_shows_its_path_with_verdicts() -> None:
    text = shown(make_build("auto"))
    assert "The path of auto, fashion for rpi" in text
    rows = [line.rstrip() for line in text.splitlines()]
    assert [row.endswith("kept") for row in rows if row.endswith(("kept", "too much"))] == [True, False, True]
    assert "int8 with 2 layers in int16x8" in text and "+0.0165" in text and "may lose too much" in text


def test_markup_in_names_is_text() -> None:
    assert "[bold]x[/bold]" in shown(make_build("int8", name="[bold]x[/bold]"))
