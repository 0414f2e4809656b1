"""redis.call and redis.pcall, around a function of Python that carries commands out; its replies as values of Lua.

    integer -> number          bulk string -> string           null -> false (RESP2), nil (RESP3)
    status  -> {ok=...}        error       -> {err=...}        boolean -> boolean
    array   -> table           map -> {map={...}}              set -> {set={member=true}}
    double  -> {double=...}    big number -> {big_number=...}  verbatim -> {verbatim_string={format=, string=}}

The function gets the words of a command as strings, or, where they are many, as one table. It returns a reply of the
protocol, or `!` and the text of an error that INFO has not counted. As a C function it keeps its caller's frame on the
stack in `return redis.call(...)`, so that errors know their line. See libraries/lua51.pxd for what such a function may do.
"""

from libc.stdlib cimport strtod, strtoll
from libc.string cimport memchr, strlen

from node.engine.structures.numbers cimport DOUBLE_TEXT, score_to_text
from node.scripting.libraries.lua51 cimport (
    FIRST_UPVALUE, LUA_TNIL, LUA_TNUMBER, LUA_TSTRING, lua_call, lua_createtable, lua_error, lua_gettop, lua_insert,
    lua_pushboolean, lua_pushcclosure, lua_pushfstring, lua_pushlstring, lua_pushnil, lua_pushnumber, lua_pushstring,
    lua_pushvalue, lua_rawset, lua_rawseti, lua_replace, lua_setfield, lua_settop, lua_State, lua_tolstring, lua_tonumber,
    lua_type, luaL_checkstack, luaL_error, pop,
)

cdef enum:
    WORDS_DIRECT = 64             # more words than that come as a table
    SLOTS = 6                     # that one level of a reply needs

cdef struct Reader:
    lua_State* L
    const char* p
    const char* end


cdef int call(lua_State* L) noexcept nogil:
    return command(L, True)


cdef int pcall(lua_State* L) noexcept nogil:
    return command(L, False)


cdef int command(lua_State* L, bint raises) noexcept nogil:
    cdef int count = lua_gettop(L), i
    cdef size_t length
    cdef const char* reply
    cdef Reader r
    if count == 0:
        return refuse(L, b"ERR Please specify at least one argument for this redis lib call", raises)
    for i in range(1, count + 1):
        if not as_word(L, i):
            return refuse(L, b"ERR Lua redis lib command arguments must be strings or integers", raises)
    if count > WORDS_DIRECT:
        lua_createtable(L, count, 0)
        lua_insert(L, 1)
        for i in range(count, 0, -1):
            lua_rawseti(L, 1, i)
        count = 1
    lua_pushvalue(L, FIRST_UPVALUE)
    lua_insert(L, 1)
    lua_call(L, count, 1)
    reply = lua_tolstring(L, 1, &length)
    if reply == NULL or length == 0:
        return luaL_error(L, "a command without a reply")
    if reply[0] == 33:  # !
        return refuse(L, reply + 1, raises)
    r.L, r.p, r.end = L, reply, reply + length
    push_value(&r)
    return lua_error(L) if raises and reply[0] == 45 else 1


cdef int refuse(lua_State* L, const char* text, bint raises) noexcept nogil:
    """An error that INFO has not counted."""
    push_error(L, text, strlen(text), False)
    return lua_error(L) if raises else 1


cdef bint as_word(lua_State* L, int index) noexcept nogil:
    """Make a number a string, in full precision. False: it is neither."""
    cdef char digits[DOUBLE_TEXT]
    cdef int kind = lua_type(L, index), length
    if kind == LUA_TNUMBER:
        length = score_to_text(lua_tonumber(L, index), digits)
        lua_pushlstring(L, digits, length)
        lua_replace(L, index)
        return True
    return kind == LUA_TSTRING


cdef void push_error(lua_State* L, const char* text, size_t length, bint counted) noexcept nogil:
    """The table of an error. A text of one word is taken for one without a code."""
    lua_createtable(L, 0, 2)
    lua_pushlstring(L, text, length)
    if memchr(text, 32, length) == NULL:
        lua_pushfstring(L, "ERR %s", lua_tolstring(L, -1, NULL))
        lua_replace(L, -2)
    lua_setfield(L, -2, "err")
    if counted:
        lua_pushboolean(L, True)
        lua_setfield(L, -2, "ignore_error_stats_update")


cdef size_t line(Reader* r) noexcept nogil:
    """The length of the line that begins here."""
    cdef const char* end = <const char*>memchr(r.p, 13, r.end - r.p)
    if end == NULL:
        luaL_error(r.L, "a reply that does not end")
    return end - r.p


cdef void push_table_of(Reader* r, const char* field, size_t length) noexcept nogil:
    """A table with one field, a string."""
    lua_createtable(r.L, 0, 1)
    lua_pushlstring(r.L, r.p, length)
    lua_setfield(r.L, -2, field)


cdef void push_value(Reader* r) noexcept nogil:
    cdef lua_State* L = r.L
    cdef char kind
    cdef size_t length
    cdef long long n
    luaL_checkstack(L, SLOTS, "reply")
    kind = r.p[0]
    r.p += 1
    length = line(r)
    if kind == 36 or kind == 61:  # $ =
        n = strtoll(r.p, NULL, 10)
        r.p += length + 2
        if n < 0:
            lua_pushboolean(L, False)
            return
        if kind == 36:
            lua_pushlstring(L, r.p, n)
        else:
            push_verbatim(r, n)
        r.p += n + 2
        return
    if kind == 58:  # :
        lua_pushnumber(L, <double>strtoll(r.p, NULL, 10))
    elif kind == 43:  # +
        push_table_of(r, "ok", length)
    elif kind == 45:  # -
        push_error(L, r.p, length, True)
    elif kind == 95:  # _
        lua_pushnil(L)
    elif kind == 35:  # #
        lua_pushboolean(L, r.p[0] == 116)
    elif kind == 44:  # ,
        lua_createtable(L, 0, 1)
        lua_pushnumber(L, strtod(r.p, NULL))
        lua_setfield(L, -2, "double")
    elif kind == 40:  # (
        push_table_of(r, "big_number", length)
    else:
        n = strtoll(r.p, NULL, 10)
        r.p += length + 2
        push_parts(r, kind, n)
        return
    r.p += length + 2


cdef void push_verbatim(Reader* r, size_t length) noexcept nogil:
    """`txt:` and a text."""
    lua_createtable(r.L, 0, 1)
    lua_createtable(r.L, 0, 2)
    lua_pushlstring(r.L, r.p, 3)
    lua_setfield(r.L, -2, "format")
    lua_pushlstring(r.L, r.p + 4, length - 4)
    lua_setfield(r.L, -2, "string")
    lua_setfield(r.L, -2, "verbatim_string")


cdef void push_parts(Reader* r, char kind, long long count) noexcept nogil:
    """A reply that has others within it, so many as its first line says."""
    cdef lua_State* L = r.L
    cdef long long i
    if count < 0:
        lua_pushboolean(L, False)
    elif kind == 42:  # *
        lua_createtable(L, <int>count, 0)
        for i in range(1, count + 1):
            push_value(r)
            lua_rawseti(L, -2, <int>i)
    elif kind == 37 or kind == 126:  # % ~
        lua_createtable(L, 0, 1)
        lua_createtable(L, 0, <int>count)
        for i in range(count):
            push_value(r)
            if kind == 37:
                push_value(r)
            else:
                lua_pushboolean(L, True)
            if lua_type(L, -2) == LUA_TNIL:
                pop(L, 2)  # Lua has no such key
            else:
                lua_rawset(L, -3)
        lua_setfield(L, -2, "map" if kind == 37 else "set")
    elif kind == 124:  # |, which scripts are not shown
        for i in range(2 * count):
            push_value(r)
            pop(L, 1)
        push_value(r)
    else:
        luaL_error(L, "a reply of unknown kind")


cdef int wrap(lua_State* L) noexcept nogil:
    """(carry_out) -> call, pcall"""
    lua_settop(L, 1)
    lua_pushvalue(L, 1)
    lua_pushcclosure(L, call, 1)
    lua_pushvalue(L, 1)
    lua_pushcclosure(L, pcall, 1)
    return 2


cdef public int luaopen_calls(lua_State* L) noexcept nogil:
    """Push `wrap`."""
    lua_pushcclosure(L, wrap, 0)
    return 1
