"""Native commands: PING, ECHO, and what the native commands of all groups share (hot.pxd).

A native command is the one implementation of its command: it handles every option and writes every error. It gets the
arguments as pointers into the request and writes its reply into the session. Its entry in the command table stands with
its group in node/commands, marked native.
"""

from node.engine.session.session cimport HOOK_NOTIFY, register_native, touched
from node.engine.session.wire cimport w_bulk, w_status, w_value, w_header

from node.replies import CommandError, wrong_arity


cdef int drop_key(Session s, Arg* key) except -1:
    s.db.remove(key.p, <unsigned int>key.n, s.slot, False)
    return touched(s, key.p, key.n, "del", "g", 0)


cdef int fallback(Session s, Arg* a, int argc) except -1:
    argv = [PyBytes_FromStringAndSize(a[i].p, a[i].n) for i in range(argc)]
    try:
        value = s.command.spec.handler(s, argv)
    except CommandError as error:
        s.error(error)
        return 0
    w_value(&s.out, value, s.proto)
    return 0


cdef int cmd_ping(Session s, Arg* a, int argc) except -1:
    if argc > 2:
        s.error(wrong_arity("ping"))
    elif s.subscriptions is not None and s.proto == 2 and s.flags & 8:
        w_header(&s.out, 42, 2)
        w_bulk(&s.out, "pong", 4)
        if argc == 2:
            w_bulk(&s.out, a[1].p, a[1].n)
        else:
            w_bulk(&s.out, "", 0)
    elif argc == 2:
        w_bulk(&s.out, a[1].p, a[1].n)
    else:
        w_status(&s.out, "PONG", 4)
    return 0


cdef int cmd_echo(Session s, Arg* a, int argc) except -1:
    w_bulk(&s.out, a[1].p, a[1].n)
    return 0


register_native("ping", cmd_ping)
register_native("echo", cmd_echo)

# The other groups register themselves when they are imported.
import node.engine.native.hot_bits  # noqa: E402
import node.engine.native.hot_hash  # noqa: E402
import node.engine.native.hot_keys  # noqa: E402
import node.engine.native.hot_list  # noqa: E402
import node.engine.native.hot_set  # noqa: E402
import node.engine.native.hot_strings  # noqa: E402
import node.engine.native.hot_zset  # noqa: E402, F401
