"""The installed command, `shardis`: one module a command, put together in __main__."""
