"""What a node asks of its host: the time, wake-ups, connections, files, the process that it is, its primary."""
