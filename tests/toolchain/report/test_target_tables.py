from __future__ import annotations

import io

import pytest
from rich.console import Console

from edgepack.targets.registry import all_targets, find_target
from edgepack.toolchain.report.target_tables import target_card, target_table


def shown(part) -> str:
    console = Console(file=io.StringIO(), width=400, force_terminal=False)
    console.print(part)
    return console.file.getvalue()


def test_every_target_has_a_row() -> None:
    targets = all_targets()
    lines = shown(target_table(targets)).splitlines()
    assert len(lines) == len(targets) + 1
    assert [line.split()[0] for line in lines[1:]] == [target.name for target in targets]
    cortex = next(line for line in lines if line.startswith("cortex-m4 "))
    assert cortex.rstrip().endswith("yes")


@pytest.mark.parametrize("name", [target.name for target in all_targets()])
def test_a_card_shows_every_hard_number_with_its_source(name: str) -> None:
    target = find_target(name)
    text = shown(target_card(target))
    assert target.title in text
    for part in (*target.cores, *target.memory, *target.power_sensors):
        assert part.source in text
    for precision in target.precisions:
        assert precision in text
    assert ("no: " in text) is not target.buildable
    assert "None" not in text
