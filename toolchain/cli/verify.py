"""`edgepack verify PKG`."""

from __future__ import annotations

from pathlib import Path

import click

from edgepack.toolchain.cli.output import json_option, show_result


@click.command(name="verify", short_help="Check a package: structure, hashes, signature.")
@click.argument("package", type=click.Path(path_type=Path))
@click.option(
    "--allowed-signers",
    type=click.Path(path_type=Path),
    help="Keys that may sign, in the format of ssh-keygen. [default: your own signing key]",
)
@json_option
def command(package: Path, allowed_signers: Path | None) -> None:
    """Check PACKAGE anywhere, with no device: its structure, every file's hash, and who signed it."""
    from edgepack.targets.units import format_bytes
    from edgepack.toolchain.api import verify_package

    checked = verify_package(package, allowed_signers=allowed_signers)
    manifest = checked.manifest
    show_result(
        {
            "package": str(package),
            "package_id": checked.package_id,
            "signer": checked.signer,
            "key": checked.fingerprint,
            "manifest": manifest.model_dump(mode="json"),
        },
        f"{package}: good",
        f"  name       {manifest.name}, {manifest.precision} for {manifest.target}",
        f"  package    {checked.package_id}",
        f"  files      {len(manifest.files)} in {format_bytes(sum(f.size_bytes for f in manifest.files))}",
        f"  signed by  {checked.signer} {checked.fingerprint}",
    )
