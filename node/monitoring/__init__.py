"""What a node tells about itself: its log, slow log, latency events and statistics."""
