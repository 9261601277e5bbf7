"""The command line: a thin layer over `edgepack.toolchain.api`, one file a command."""
