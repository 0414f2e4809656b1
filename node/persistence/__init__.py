"""What outlives the process: snapshots in Redis' RDB format, and the payloads of DUMP and RESTORE."""
