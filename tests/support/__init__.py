"""What several kinds of tests share: a raw RESP client, servers as processes, comparison, stories."""
