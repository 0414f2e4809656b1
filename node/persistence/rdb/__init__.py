"""Values in Redis' RDB format: the types of today, those that old files hold, and the payloads of DUMP."""
