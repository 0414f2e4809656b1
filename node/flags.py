"""The bits of Session.flags and Engine.hooks by name, for Python code.

node/engine/session/session.pxd says what each means.
"""

from __future__ import annotations

MULTI = 1
DIRTY_CAS = 2
DIRTY_EXEC = 4
SUBSCRIBED = 8
BLOCKED = 16
CLOSE = 32
NOAUTH = 64
REPLY_OFF = 128
REPLY_SKIP = 256
REPLY_SKIP_NEXT = 512
MONITOR = 1024
READONLY = 2048
ASKING = 4096
TRACKING = 8192
SCRIPT = 16384
RESTRICTED = 32768
NO_TOUCH = 65536
NO_EVICT = 131072
CLOSED = 262144
OBEYED = 524288
REPLICA = 1048576
PAUSED = 2097152
EXEC = 4194304
UNIX = 8388608
REPLAY = 16777216
UNRECORDED = 33554432
DEBUGS = 67108864
UNANSWERED = 134217728
RELAYED = 268435456
SEES_DEAD = 536870912
FOREIGN = 1073741824

PRIMARY = OBEYED | UNANSWERED | RELAYED | SEES_DEAD | FOREIGN
"""What the session that carries out our primary's stream is made with. Whoever asks, asks for one of these bits."""
LOG = OBEYED | REPLAY
"""What the session that repeats the append-only file is made with."""
NEVER_WAITS = EXEC | SCRIPT | OBEYED
"""Whose commands do not wait: they reply at once what they would when time is up."""

HOOK_WATCH = 1
HOOK_NOTIFY = 2
HOOK_BLOCKED = 4
HOOK_TRACKING = 8
HOOK_MISS = 16
HOOK_HELD = 32

# Engine.states, above the bits of Session.flags: what holds for the node. node/requests/gates.py has what follows.
STATES_OF_NODE = ((1 << 32) - 1) << 32
STATE_MONITORED = 1 << 32
"""Some client sees all commands."""
STATE_CLUSTER = 1 << 33
"""Slots decide where a request is served."""
STATE_PROTECTED = 1 << 34
"""DEBUG is not for everybody."""
STATE_MEMORY = 1 << 35
"""The request that runs, or the one before it, found no room below maxmemory."""
STATE_SAVING = 1 << 36
"""The last snapshot could not be written."""
STATE_AOF = 1 << 37
"""The log of writes cannot be written."""
STATE_FEW_REPLICAS = 1 << 38
STATE_READONLY = 1 << 39
"""A replica on which clients may not write."""
STATE_LOADING = 1 << 40
STATE_LOADING_ASIDE = 1 << 41
"""Data is being loaded while the old is served."""
STATE_STALE = 1 << 42
"""A replica without its primary, whose data is not to be shown then."""
STATE_SCRIPT = 1 << 43
"""A script is suspended, and others wait for its end ..."""
STATE_BUSY = 1 << 44
"""... or do so no longer."""
STATE_PAUSED = 1 << 45
STATE_PAUSED_WRITES = 1 << 46
STATE_KEYS_HELD = 1 << 50
"""Keys stand still while they are on their way to another server ..."""
STATE_OPEN_KEYS_HELD = 1 << 51
"""... all of slots about which the engine asks anyway."""

# What holds for the script that runs.
STATE_READING_SCRIPT = 1 << 47
"""It must not write, for it says so or is run by a command that says so."""
STATE_READING_CALL = 1 << 48
"""It is run by a command that must not write."""
STATE_ONE_SLOT = 1 << 49
"""It keeps to the slot of its first key."""
