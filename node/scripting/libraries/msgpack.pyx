"""The table `cmsgpack`: MessagePack (the specification of 2013 without `bin` and `ext`), as lua-cmsgpack 0.4.0 writes it.

A table whose keys are exactly 1 to n becomes an array, any other one a map; a number that is an integer of 64 bits is
written as one, in the fewest bytes. Tables nested deeper than 16 become nil, which is how circular ones end.
"""

from libc.stdint cimport int16_t, int32_t, int64_t, uint8_t, uint16_t, uint32_t, uint64_t
from libc.string cimport memcpy

from node.scripting.libraries.buffer cimport Buffer, buffer_add, buffer_byte, buffer_init, buffer_push, buffer_room
from node.scripting.libraries.lua51 cimport (
    LUA_TBOOLEAN, LUA_TNUMBER, LUA_TSTRING, LUA_TTABLE, add_function, add_text, lua_checkstack, lua_createtable, lua_gettop, lua_insert,
    lua_Integer, lua_next, lua_Number, lua_pushboolean, lua_pushinteger, lua_pushlstring, lua_pushnil, lua_pushnumber,
    lua_pushvalue, lua_rawgeti, lua_rawset, lua_settop, lua_State, lua_toboolean, lua_tolstring, lua_tonumber, lua_type,
    luaL_argerror, luaL_checkinteger, luaL_checklstring, luaL_checkstack, luaL_error, luaL_optinteger, pop,
)

cdef enum:
    MAX_NESTING = 16
    INT_MAX = 0x7FFFFFFF

cdef enum Trouble:
    NO_TROUBLE
    TOO_SHORT
    BAD_FORMAT

cdef struct Reader:
    const unsigned char* at
    size_t left
    Trouble trouble


# ---- writing

cdef inline void write_uint(Buffer* out, uint8_t tag, uint64_t value, int width) noexcept nogil:
    """A tag and `width` bytes of a number, the highest first."""
    cdef char* p = buffer_room(out, width + 1)
    cdef int i
    p[0] = <char>tag
    for i in range(width):
        p[1 + i] = <char>((value >> (8 * (width - 1 - i))) & 255)
    out.used += width + 1


cdef void write_string(Buffer* out, const char* data, size_t length) noexcept nogil:
    if length < 32:
        buffer_byte(out, 0xA0 | <uint8_t>length)
    elif length <= 0xFF:
        write_uint(out, 0xD9, length, 1)
    elif length <= 0xFFFF:
        write_uint(out, 0xDA, length, 2)
    else:
        write_uint(out, 0xDB, length, 4)
    buffer_add(out, data, length)


cdef void write_integer(Buffer* out, int64_t n) noexcept nogil:
    if -32 <= n <= 127:
        buffer_byte(out, <uint8_t>n)
    elif n > 0:
        if n <= 0xFF:
            write_uint(out, 0xCC, n, 1)
        elif n <= 0xFFFF:
            write_uint(out, 0xCD, n, 2)
        elif n <= <int64_t>0xFFFFFFFF:
            write_uint(out, 0xCE, n, 4)
        else:
            write_uint(out, 0xCF, n, 8)
    elif n >= -128:
        write_uint(out, 0xD0, n, 1)
    elif n >= -32768:
        write_uint(out, 0xD1, n, 2)
    elif n >= -<int64_t>2147483648:
        write_uint(out, 0xD2, n, 4)
    else:
        write_uint(out, 0xD3, n, 8)


cdef void write_number(Buffer* out, lua_Number n) noexcept nogil:
    """As an integer where that loses nothing, else as a float, else as a double."""
    cdef float single
    cdef uint32_t raw4
    cdef uint64_t raw8
    if -9223372036854775808.0 <= n < 9223372036854775808.0 and <lua_Number><int64_t>n == n:
        write_integer(out, <int64_t>n)
        return
    single = <float>n
    if <double>single == n:
        memcpy(&raw4, &single, sizeof(raw4))
        write_uint(out, 0xCA, raw4, 4)
    else:
        memcpy(&raw8, &n, sizeof(raw8))
        write_uint(out, 0xCB, raw8, 8)


cdef void write_head(Buffer* out, uint8_t few, uint8_t tag, size_t count) noexcept nogil:
    """How many elements an array or a map has: in the tag itself, or behind it."""
    if count <= 15:
        buffer_byte(out, few | <uint8_t>count)
    elif count <= 0xFFFF:
        write_uint(out, tag, count, 2)
    else:
        write_uint(out, tag + 1, count, 4)


cdef void write_table(lua_State* L, Buffer* out, int level) noexcept nogil:
    """The table on the top of the stack."""
    cdef size_t count = 0, highest = 0
    cdef bint is_array = True
    cdef lua_Number key
    cdef int i
    luaL_checkstack(L, 4, "table too deep")
    lua_pushnil(L)
    while lua_next(L, -2):
        pop(L, 1)
        count += 1
        if is_array:
            key = lua_tonumber(L, -1) if lua_type(L, -1) == LUA_TNUMBER else 0
            if 1 <= key <= INT_MAX and <lua_Number><int>key == key:
                highest = max(highest, <size_t>key)
            else:
                is_array = False
    # There are no two equal keys: if the highest is as many as there are, each number up to it is one of them.
    if is_array and highest == count:
        write_head(out, 0x90, 0xDC, count)
        for i in range(1, <int>count + 1):
            lua_rawgeti(L, -1, i)
            write_value(L, out, level + 1)
        return
    write_head(out, 0x80, 0xDE, count)
    lua_pushnil(L)
    while lua_next(L, -2):
        lua_pushvalue(L, -2)
        write_value(L, out, level + 1)
        write_value(L, out, level + 1)


cdef void write_value(lua_State* L, Buffer* out, int level) noexcept nogil:
    """Write the value on the top of the stack, and take it off."""
    cdef int kind = lua_type(L, -1)
    cdef size_t length
    cdef const char* data
    if kind == LUA_TSTRING:
        data = lua_tolstring(L, -1, &length)
        write_string(out, data, length)
    elif kind == LUA_TNUMBER:
        write_number(out, lua_tonumber(L, -1))
    elif kind == LUA_TBOOLEAN:
        buffer_byte(out, 0xC3 if lua_toboolean(L, -1) else 0xC2)
    elif kind == LUA_TTABLE and level < MAX_NESTING:
        write_table(L, out, level)
    else:
        buffer_byte(out, 0xC0)
    pop(L, 1)


cdef int pack(lua_State* L) noexcept nogil:
    """All arguments, one behind the other."""
    cdef int count = lua_gettop(L), i
    cdef Buffer out
    if count == 0:
        return luaL_argerror(L, 0, "MessagePack pack needs input.")
    if not lua_checkstack(L, count):
        return luaL_argerror(L, 0, "Too many arguments for MessagePack pack.")
    luaL_checkstack(L, 4, "too many arguments")
    buffer_init(&out, L)
    for i in range(1, count + 1):
        lua_pushvalue(L, i)
        write_value(L, &out, 0)
    buffer_push(&out)
    return 1


# ---- reading

cdef inline uint64_t read_uint(const unsigned char* p, int width) noexcept nogil:
    cdef uint64_t value = 0
    cdef int i
    for i in range(width):
        value = (value << 8) | p[i]
    return value


cdef inline bint has(Reader* r, size_t count) noexcept nogil:
    """Are so many bytes left? If not, that is the trouble."""
    if r.left >= count:
        return True
    r.trouble = TOO_SHORT
    return False


cdef inline void consume(Reader* r, size_t count) noexcept nogil:
    r.at += count
    r.left -= count


cdef void read_number(lua_State* L, Reader* r, uint8_t tag, int width) noexcept nogil:
    """A number of `width` bytes behind its tag."""
    cdef uint64_t raw
    cdef uint32_t raw4
    cdef float single
    cdef double number
    if not has(r, width + 1):
        return
    raw = read_uint(r.at + 1, width)
    consume(r, width + 1)
    if tag == 0xCA:
        raw4 = <uint32_t>raw
        memcpy(&single, &raw4, sizeof(single))
        lua_pushnumber(L, single)
    elif tag == 0xCB:
        memcpy(&number, &raw, sizeof(number))
        lua_pushnumber(L, number)
    elif tag == 0xD0:
        lua_pushinteger(L, <signed char>raw)
    elif tag == 0xD1:
        lua_pushinteger(L, <int16_t>raw)
    elif tag == 0xD2:
        lua_pushinteger(L, <int32_t>raw)
    else:
        lua_pushinteger(L, <lua_Integer>raw)      # unsigned ones of 64 bits come out negative beyond 2^63


cdef void read_string(lua_State* L, Reader* r, size_t length) noexcept nogil:
    if has(r, length):
        lua_pushlstring(L, <const char*>r.at, length)
        consume(r, length)


cdef void read_array(lua_State* L, Reader* r, size_t count) noexcept nogil:
    cdef size_t index
    lua_createtable(L, 0, 0)
    luaL_checkstack(L, 1, "in function mp_decode_to_lua_array")
    for index in range(1, count + 1):
        lua_pushnumber(L, <lua_Number>index)
        read_value(L, r)
        if r.trouble:
            return
        lua_rawset(L, -3)


cdef void read_map(lua_State* L, Reader* r, size_t count) noexcept nogil:
    cdef size_t index
    lua_createtable(L, 0, 0)
    for index in range(count):
        read_value(L, r)
        if r.trouble:
            return
        read_value(L, r)
        if r.trouble:
            return
        lua_rawset(L, -3)


cdef void read_long(lua_State* L, Reader* r, uint8_t tag) noexcept nogil:
    """A string, an array or a map whose length is in the bytes behind the tag."""
    cdef int width = 1 if tag == 0xD9 else 2 if tag in (0xDA, 0xDC, 0xDE) else 4
    cdef size_t length
    if not has(r, width + 1):
        return
    length = read_uint(r.at + 1, width)
    consume(r, width + 1)
    if tag <= 0xDB:
        read_string(L, r, length)
    elif tag <= 0xDD:
        read_array(L, r, length)
    else:
        read_map(L, r, length)


cdef void read_value(lua_State* L, Reader* r) noexcept nogil:
    """Push the value that the reader stands at; nothing, or a part of it, when there is trouble."""
    cdef uint8_t tag
    if not has(r, 1):
        return
    # This also bounds the nesting: each level holds a slot or two of some eight thousand.
    luaL_checkstack(L, 1, "too many return values at once; use unpack_one or unpack_limit instead.")
    tag = r.at[0]
    if tag <= 0x7F or tag >= 0xE0:
        lua_pushinteger(L, <signed char>tag)
        consume(r, 1)
    elif tag <= 0x8F:
        consume(r, 1)
        read_map(L, r, tag & 15)
    elif tag <= 0x9F:
        consume(r, 1)
        read_array(L, r, tag & 15)
    elif tag <= 0xBF:
        consume(r, 1)
        read_string(L, r, tag & 31)
    elif tag == 0xC0:
        lua_pushnil(L)
        consume(r, 1)
    elif tag == 0xC2 or tag == 0xC3:
        lua_pushboolean(L, tag & 1)
        consume(r, 1)
    elif tag in (0xCC, 0xD0):
        read_number(L, r, tag, 1)
    elif tag in (0xCD, 0xD1):
        read_number(L, r, tag, 2)
    elif tag in (0xCA, 0xCE, 0xD2):
        read_number(L, r, tag, 4)
    elif tag in (0xCB, 0xCF, 0xD3):
        read_number(L, r, tag, 8)
    elif tag >= 0xD9:
        read_long(L, r, tag)
    else:
        r.trouble = BAD_FORMAT


cdef int unpack_some(lua_State* L, lua_Integer limit, lua_Integer offset) noexcept nogil:
    """Up to `limit` values from `offset`, before them the offset of the next (-1: there is none). All, without an
    offset, when both are 0."""
    cdef size_t length
    cdef const char* data = luaL_checklstring(L, 1, &length)
    cdef bint everything = limit == 0 and offset == 0
    cdef Reader r
    cdef int count = 0
    if offset < 0 or limit < 0:
        # The second number is what the original prints: not the limit but the length.
        return luaL_error(
            L, "Invalid request to unpack with offset of %d and limit of %d.", <int>offset, <int>length
        )
    if <size_t>offset > length:
        return luaL_error(L, "Start offset %d greater than input length %d.", <int>offset, <int>length)
    r.at = <const unsigned char*>data + offset
    r.left = length - offset
    r.trouble = NO_TROUBLE
    while r.left > 0 and (everything or count < limit):
        read_value(L, &r)
        if r.trouble == TOO_SHORT:
            return luaL_error(L, "Missing bytes in input.")
        if r.trouble == BAD_FORMAT:
            return luaL_error(L, "Bad data format in input.")
        count += 1
    if everything:
        return count
    luaL_checkstack(L, 1, "in function mp_unpack_full")
    lua_pushinteger(L, -1 if r.left == 0 else <lua_Integer>(length - r.left))
    lua_insert(L, 2)
    return count + 1


cdef int unpack(lua_State* L) noexcept nogil:
    return unpack_some(L, 0, 0)


cdef int unpack_one(lua_State* L) noexcept nogil:
    cdef lua_Integer offset = luaL_optinteger(L, 2, 0)
    lua_settop(L, 1)
    return unpack_some(L, 1, offset)


cdef int unpack_limit(lua_State* L) noexcept nogil:
    cdef lua_Integer limit = luaL_checkinteger(L, 2)
    cdef lua_Integer offset = luaL_optinteger(L, 3, 0)
    lua_settop(L, 1)
    return unpack_some(L, limit, offset)


cdef public int luaopen_cmsgpack(lua_State* L) noexcept nogil:
    """Push the table."""
    lua_createtable(L, 0, 8)
    add_function(L, "pack", pack)
    add_function(L, "unpack", unpack)
    add_function(L, "unpack_one", unpack_one)
    add_function(L, "unpack_limit", unpack_limit)
    add_text(L, "_NAME", "cmsgpack")
    add_text(L, "_VERSION", "lua-cmsgpack 0.4.0")
    add_text(L, "_COPYRIGHT", "Copyright (C) 2012, Salvatore Sanfilippo")
    add_text(L, "_DESCRIPTION", "MessagePack C implementation for Lua")
    return 1
