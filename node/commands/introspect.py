"""COMMAND and its subcommands."""
