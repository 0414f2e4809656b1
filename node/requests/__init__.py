"""One request's way through a node: what may stop it, what runs it, and where it may have to wait."""
