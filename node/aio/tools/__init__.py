"""What a person runs on files of a node that is not running: `shardis check-rdb` and `shardis check-aof`."""
