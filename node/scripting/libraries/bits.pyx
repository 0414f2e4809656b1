"""The table `bit`: Lua BitOp, operations on 32 bits. A number is taken modulo 2^32; a result is signed."""

from libc.stdint cimport int32_t, uint32_t, uint64_t
from libc.string cimport memcpy

from node.scripting.libraries.lua51 cimport (
    add_function, lua_createtable, lua_gettop, lua_isnumber, lua_Number, lua_pushlstring, lua_pushnumber, lua_State,
    lua_tonumber, luaL_typerror,
)


cdef uint32_t argument(lua_State* L, int index) noexcept nogil:
    """The low 32 bits of a number, rounded to the nearest integer."""
    # Adding 2^52 + 2^51 leaves the integer in the low bits of the double, whatever its sign.
    cdef lua_Number shifted = lua_tonumber(L, index) + 6755399441055744.0
    cdef uint64_t raw
    memcpy(&raw, &shifted, sizeof(raw))
    if <uint32_t>raw == 0 and not lua_isnumber(L, index):
        luaL_typerror(L, index, "number")
    return <uint32_t>raw


cdef inline int result(lua_State* L, uint32_t bits) noexcept nogil:
    lua_pushnumber(L, <int32_t>bits)
    return 1


cdef inline uint32_t rotated(uint32_t bits, uint32_t count) noexcept nogil:
    """`bits` with the lowest `count` (modulo 32) moved out at the left and in again at the right."""
    return (bits << (count & 31)) | (bits >> (-count & 31))


cdef int tobit(lua_State* L) noexcept nogil:
    return result(L, argument(L, 1))


cdef int bnot(lua_State* L) noexcept nogil:
    return result(L, ~argument(L, 1))


# The operations on any number of arguments look at them from the last one down, which decides whose error is told.
cdef int band(lua_State* L) noexcept nogil:
    cdef uint32_t bits = argument(L, 1)
    cdef int i
    for i in range(lua_gettop(L), 1, -1):
        bits &= argument(L, i)
    return result(L, bits)


cdef int bor(lua_State* L) noexcept nogil:
    cdef uint32_t bits = argument(L, 1)
    cdef int i
    for i in range(lua_gettop(L), 1, -1):
        bits |= argument(L, i)
    return result(L, bits)


cdef int bxor(lua_State* L) noexcept nogil:
    cdef uint32_t bits = argument(L, 1)
    cdef int i
    for i in range(lua_gettop(L), 1, -1):
        bits ^= argument(L, i)
    return result(L, bits)


cdef int lshift(lua_State* L) noexcept nogil:
    cdef uint32_t bits = argument(L, 1)
    return result(L, bits << (argument(L, 2) & 31))


cdef int rshift(lua_State* L) noexcept nogil:
    cdef uint32_t bits = argument(L, 1)
    return result(L, bits >> (argument(L, 2) & 31))


cdef int arshift(lua_State* L) noexcept nogil:
    cdef int32_t bits = <int32_t>argument(L, 1)
    return result(L, <uint32_t>(bits >> (argument(L, 2) & 31)))


cdef int rol(lua_State* L) noexcept nogil:
    cdef uint32_t bits = argument(L, 1)
    return result(L, rotated(bits, argument(L, 2)))


cdef int ror(lua_State* L) noexcept nogil:
    cdef uint32_t bits = argument(L, 1)
    return result(L, rotated(bits, -argument(L, 2)))


cdef int bswap(lua_State* L) noexcept nogil:
    cdef uint32_t bits = argument(L, 1)
    return result(L, (bits >> 24) | ((bits >> 8) & 0xFF00) | ((bits & 0xFF00) << 8) | (bits << 24))


cdef int tohex(lua_State* L) noexcept nogil:
    """As many of the lowest digits as the second argument says (8 without one); a negative number asks for capitals."""
    cdef uint32_t bits = argument(L, 1)
    cdef int32_t wanted = <int32_t>argument(L, 2) if lua_gettop(L) >= 2 else 8
    cdef const char* digits = "0123456789ABCDEF" if wanted < 0 else "0123456789abcdef"
    cdef char text[8]
    cdef int count = 8 if wanted < -8 or wanted > 8 else -wanted if wanted < 0 else wanted
    cdef int i
    for i in range(count - 1, -1, -1):
        text[i] = digits[bits & 15]
        bits >>= 4
    lua_pushlstring(L, text, count)
    return 1


cdef public int luaopen_bit(lua_State* L) noexcept nogil:
    """Push the table."""
    lua_createtable(L, 0, 12)
    add_function(L, "tobit", tobit)
    add_function(L, "bnot", bnot)
    add_function(L, "band", band)
    add_function(L, "bor", bor)
    add_function(L, "bxor", bxor)
    add_function(L, "lshift", lshift)
    add_function(L, "rshift", rshift)
    add_function(L, "arshift", arshift)
    add_function(L, "rol", rol)
    add_function(L, "ror", ror)
    add_function(L, "bswap", bswap)
    add_function(L, "tohex", tohex)
    return 1
