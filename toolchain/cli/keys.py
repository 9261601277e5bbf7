"""`edgepack keys [--create]`."""

from __future__ import annotations

import os
from pathlib import Path

import click

from edgepack.toolchain.cli.output import json_option, show_result


@click.command(name="keys", short_help="Show or create the key that signs packages.")
@click.option("--create", is_flag=True, help="Create an Ed25519 key for edgepack if there is none.")
@click.option("--key", type=click.Path(path_type=Path), help="The private key to show or to create.")
@json_option
def command(create: bool, key: Path | None) -> None:
    """Show the OpenSSH key that signs packages, or create one.

    Looked for, in this order: --key, EDGEPACK_KEY, [sign] key in edgepack.toml,
    ~/.config/edgepack/id_ed25519, ~/.ssh/id_ed25519.
    """
    from edgepack.toolchain.packaging.signature import create_key, default_key_path, find_key, public_key
    from edgepack.toolchain.project import load_project

    if create:
        path = key or default_key_path(os.environ)
        create_key(path)
    else:
        configured = load_project().settings.sign.key
        path = find_key(key, os.environ, project=Path(configured) if configured else None)
    public = public_key(path)
    show_result(
        {"key": str(path), "public_key": public},
        f"Private key: {path}\nPublic key:  {public}",
        "Let a device accept packages signed by it: edgepack devices trust NAME",
    )
