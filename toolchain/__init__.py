"""The host side: from stage to stage, and the command line."""
