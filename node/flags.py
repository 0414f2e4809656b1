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
PRIMARY = 524288
REPLICA = 1048576
PAUSED = 2097152
EXEC = 4194304
UNIX = 8388608
REPLAY = 16777216
UNRECORDED = 33554432
DEBUGS = 67108864

NEVER_WAITS = EXEC | SCRIPT | PRIMARY | REPLAY
"""Whose commands do not wait: they reply at once what they would when time is up."""

HOOK_WATCH = 1
HOOK_NOTIFY = 2
HOOK_BLOCKED = 4
HOOK_TRACKING = 8
HOOK_MISS = 16

# Engine.gates: each bit is a reason why no command may run natively.
GATE_MONITOR = 1
GATE_PAUSE = 2
GATE_LOADING = 4
GATE_MIN_REPLICAS = 32
GATE_STALE = 64
GATE_SAVING = 128
GATE_AOF = 256
GATE_SCRIPT = 512

# Those that concern the stream of our primary too.
STREAM_GATES = GATE_MONITOR
