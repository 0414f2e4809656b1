"""The append-only file: every write, in files that a manifest lists, so that a node that starts again repeats them."""
