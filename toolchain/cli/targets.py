"""`edgepack targets [NAME]`."""

from __future__ import annotations

import click

from edgepack.toolchain.cli.output import json_option, show_result


@click.command(name="targets", short_help="List the targets, or show one.")
@click.argument("name", required=False)
@json_option
def command(name: str | None) -> None:
    """List the targets, or show what is known of one.

    NAME is a target, the unique start of one, or the path of your own file (./my-board.toml).
    """
    from dataclasses import asdict

    from edgepack.targets.registry import all_targets, find_target
    from edgepack.toolchain.report.target_tables import target_card, target_table

    if name is None:
        targets = all_targets()
        show_result([asdict(target) for target in targets], target_table(targets))
        return
    target = find_target(name)
    show_result(asdict(target), target_card(target))
