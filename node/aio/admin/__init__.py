"""HTTP of a node: probes for those who run it, metrics for those who watch it."""
