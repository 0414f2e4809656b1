"""What a script returns, as the protocol has it. A table with `err`, `ok`, `double` ... stands for such a reply.

`script` and `client` are the versions of the protocol in which the script thinks and which its client speaks.
"""

from libc.stdio cimport snprintf
from libc.string cimport memchr, strlen

from node.engine.structures.numbers cimport DOUBLE_TEXT, double_to_text
from node.scripting.libraries.buffer cimport Buffer, buffer_add, buffer_byte, buffer_init, buffer_push
from node.scripting.libraries.lua51 cimport (
    LUA_TBOOLEAN, LUA_TNIL, LUA_TNUMBER, LUA_TSTRING, LUA_TTABLE, lua_call, lua_checkstack, lua_gettop, lua_next, lua_Number,
    lua_pushboolean, lua_pushcclosure, lua_pushlstring, lua_pushnil, lua_pushstring, lua_pushvalue, lua_rawget, lua_rawgeti,
    lua_settop, lua_State, lua_toboolean, lua_tolstring, lua_tonumber, lua_type, pop,
)

cdef enum:
    COUNT_ERROR = 4               # where on the stack the function is that counts an error
    TEXT = 64
    SLOTS = 12                    # that one level of a result needs

cdef struct Result:
    lua_State* L
    Buffer out
    int script
    int client


cdef void header(Result* r, char kind, long long number) noexcept nogil:
    cdef char text[TEXT]
    buffer_add(&r.out, text, snprintf(text, TEXT, "%c%lld\r\n", <int>kind, number))


cdef void bulk(Result* r, const char* text, size_t length) noexcept nogil:
    header(r, 36, length)
    buffer_add(&r.out, text, length)
    buffer_add(&r.out, b"\r\n", 2)


cdef void one_line(Result* r, char kind, const char* text, size_t length) noexcept nogil:
    """A reply of one line, whatever the text holds."""
    cdef size_t i
    buffer_byte(&r.out, kind)
    for i in range(length):
        buffer_byte(&r.out, 32 if text[i] == 10 or text[i] == 13 else text[i])
    buffer_add(&r.out, b"\r\n", 2)


cdef void error(Result* r, const char* text, bint counted) noexcept nogil:
    """An error as a part of the result. The host hears of its first word, and whether a command has counted it."""
    cdef size_t length = strlen(text)
    cdef const char* blank
    while length and (text[length - 1] == 10 or text[length - 1] == 13):
        length -= 1
    one_line(r, 45, text, length)
    blank = <const char*>memchr(text, 32, length)
    lua_pushvalue(r.L, COUNT_ERROR)
    lua_pushlstring(r.L, text, length if blank == NULL else blank - text)
    lua_pushboolean(r.L, counted)
    lua_call(r.L, 2, 0)


cdef int field(lua_State* L, int table, const char* name) noexcept nogil:
    """Push a field of a table; its type."""
    lua_pushstring(L, name)
    lua_rawget(L, table)
    return lua_type(L, -1)


cdef void put(Result* r) noexcept nogil:
    """Write the value on the top of the stack, and take it away."""
    cdef lua_State* L = r.L
    cdef int kind = lua_type(L, -1)
    cdef size_t length
    cdef const char* text
    if not lua_checkstack(L, SLOTS):
        error(r, "ERR reached lua stack limit", False)
    elif kind == LUA_TSTRING:
        text = lua_tolstring(L, -1, &length)
        bulk(r, text, length)
    elif kind == LUA_TNUMBER:
        header(r, 58, <long long>lua_tonumber(L, -1))
    elif kind == LUA_TBOOLEAN and (r.script == 3 or lua_toboolean(L, -1)):
        put_boolean(r, lua_toboolean(L, -1))
    elif kind == LUA_TTABLE:
        put_table(r, lua_gettop(L))
    elif r.client == 2:
        buffer_add(&r.out, b"$-1\r\n", 5)
    else:
        buffer_add(&r.out, b"_\r\n", 3)
    pop(L, 1)


cdef void put_boolean(Result* r, bint value) noexcept nogil:
    if r.script == 3 and r.client == 3:
        buffer_add(&r.out, b"#t\r\n" if value else b"#f\r\n", 4)
    else:
        header(r, 58, value)


cdef void put_table(Result* r, int table) noexcept nogil:
    """The first of these that fits decides; whatever was pushed for looking is taken away."""
    cdef lua_State* L = r.L
    cdef size_t length
    cdef const char* text
    if field(L, table, "err") == LUA_TSTRING:
        field(L, table, "ignore_error_stats_update")
        error(r, lua_tolstring(L, -2, NULL), lua_toboolean(L, -1))
    elif field(L, table, "ok") == LUA_TSTRING:
        text = lua_tolstring(L, -1, NULL)
        one_line(r, 43, text, strlen(text))
    elif field(L, table, "double") == LUA_TNUMBER:
        put_double(r, lua_tonumber(L, -1))
    elif field(L, table, "big_number") == LUA_TSTRING:
        text = lua_tolstring(L, -1, &length)
        put_big_number(r, text, length)
    elif not put_verbatim(r, table):
        lua_settop(L, table)
        if field(L, table, "map") == LUA_TTABLE:
            put_parts(r, table + 1, True)
        elif field(L, table, "set") == LUA_TTABLE:
            put_parts(r, table + 2, False)
        else:
            lua_settop(L, table)
            put_array(r, table)
    lua_settop(L, table)


cdef void put_double(Result* r, lua_Number value) noexcept nogil:
    cdef char text[DOUBLE_TEXT]
    cdef int length = double_to_text(value, text)
    if r.client == 2:
        bulk(r, text, length)
    else:
        one_line(r, 44, text, length)


cdef void put_big_number(Result* r, const char* text, size_t length) noexcept nogil:
    cdef size_t i
    if r.client == 3:
        one_line(r, 40, text, length)
        return
    header(r, 36, length)
    for i in range(length):
        buffer_byte(&r.out, 32 if text[i] == 10 or text[i] == 13 else text[i])
    buffer_add(&r.out, b"\r\n", 2)


cdef bint put_verbatim(Result* r, int table) noexcept nogil:
    """False: it is none."""
    cdef lua_State* L = r.L
    cdef size_t length
    cdef const char* form
    cdef const char* text
    cdef int inner, i
    if field(L, table, "verbatim_string") != LUA_TTABLE:
        return False
    inner = lua_gettop(L)
    if field(L, inner, "format") != LUA_TSTRING or field(L, inner, "string") != LUA_TSTRING:
        return False
    form = lua_tolstring(L, -2, NULL)
    text = lua_tolstring(L, -1, &length)
    if r.client == 2:
        bulk(r, text, length)
        return True
    header(r, 61, length + 4)
    for i in range(3):
        buffer_byte(&r.out, form[0] if form[0] else 32)
        form += form[0] != 0
    buffer_byte(&r.out, 58)
    buffer_add(&r.out, text, length)
    buffer_add(&r.out, b"\r\n", 2)
    return True


cdef void put_parts(Result* r, int table, bint with_values) noexcept nogil:
    """The keys of a table, or the keys with their values."""
    cdef lua_State* L = r.L
    cdef long long count = 0
    lua_pushnil(L)
    while lua_next(L, table):
        pop(L, 1)
        count += 1
    if r.client == 2:
        header(r, 42, 2 * count if with_values else count)
    else:
        header(r, 37 if with_values else 126, count)
    lua_pushnil(L)
    while lua_next(L, table):
        lua_pushvalue(L, -2)
        put(r)
        if with_values:
            put(r)
        else:
            pop(L, 1)


cdef void put_array(Result* r, int table) noexcept nogil:
    """Up to the first nil."""
    cdef lua_State* L = r.L
    cdef int count = 0, i
    while True:
        lua_rawgeti(L, table, count + 1)
        if lua_type(L, -1) == LUA_TNIL:
            break
        pop(L, 1)
        count += 1
    pop(L, 1)
    header(r, 42, count)
    for i in range(1, count + 1):
        lua_rawgeti(L, table, i)
        put(r)


cdef int write(lua_State* L) noexcept nogil:
    """(value, script, client, count_error) -> bytes"""
    cdef Result r
    lua_settop(L, 4)
    r.L = L
    r.script, r.client = <int>lua_tonumber(L, 2), <int>lua_tonumber(L, 3)
    buffer_init(&r.out, L)
    lua_pushvalue(L, 1)
    put(&r)
    buffer_push(&r.out)
    return 1


cdef public int luaopen_results(lua_State* L) noexcept nogil:
    """Push `write`."""
    lua_pushcclosure(L, write, 0)
    return 1
