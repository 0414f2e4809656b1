"""The parts of an RDB file that are not values: bytes that open what stands between the keys."""

MAGIC = b"REDIS"
MAGIC_VALKEY = b"VALKEY"
"""Valkey's from 9.0 on, with a version of three digits."""

SLOT_IMPORT = 243
"""A slot that was on its way here (Valkey 9)."""
SLOT_INFO = 244
"""A slot and how much it holds, a hint (Redis 8, Valkey 9)."""
FUNCTION = 245
FUNCTION_PRE_GA = 246
MODULE_AUX = 247
IDLE = 248
"""Seconds since the last access to the key that follows; FREQ: how often it is used."""
FREQ = 249
AUX = 250
"""A name and a value about the whole file."""
RESIZEDB = 251
"""How many keys the database has, and how many with an expiry: a hint."""
EXPIRE_MS = 252
EXPIRE_S = 253
SELECTDB = 254
EOF = 255
"""The end; eight bytes of checksum follow, zeros if there is none."""
