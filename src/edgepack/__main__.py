"""`python -m edgepack`: the command line."""

from edgepack.toolchain.cli.main import main

main()
