# Bytes that are being put together. A short text stays within the struct, on C's stack; a longer one is in a userdata that
# Lua's collector frees, at a stack slot of its own, so that an error may jump away at any time.

from libc.string cimport memcpy

from node.scripting.libraries.lua51 cimport (
    lua_gettop, lua_newuserdata, lua_pushlstring, lua_pushnil, lua_replace, lua_State, luaL_error,
)

cdef enum:
    BUFFER_FIRST = 512
    # Redis' limit for a string. Tables that contain each other twice make texts of any length out of a few bytes.
    BUFFER_MAX = 512 << 20

cdef struct Buffer:
    lua_State* L
    int slot
    char* data
    size_t used
    size_t size
    char first[BUFFER_FIRST]


cdef inline void buffer_init(Buffer* b, lua_State* L) noexcept nogil:
    """Takes one slot on the top of the stack."""
    lua_pushnil(L)
    b.L = L
    b.slot = lua_gettop(L)
    b.data = b.first
    b.used = 0
    b.size = BUFFER_FIRST


cdef inline char* buffer_room(Buffer* b, size_t extra) noexcept nogil:
    """Where to write up to `extra` bytes; the caller adds what it wrote to `used`. Uses one slot of the stack meanwhile."""
    cdef size_t size
    cdef char* grown
    if extra > b.size - b.used:
        if extra > BUFFER_MAX - b.used:
            luaL_error(b.L, "not enough memory")
        size = min(<size_t>BUFFER_MAX, 2 * (b.used + extra))
        grown = <char*>lua_newuserdata(b.L, size)
        memcpy(grown, b.data, b.used)
        lua_replace(b.L, b.slot)
        b.data = grown
        b.size = size
    return b.data + b.used


cdef inline void buffer_add(Buffer* b, const void* data, size_t length) noexcept nogil:
    memcpy(buffer_room(b, length), data, length)
    b.used += length


cdef inline void buffer_byte(Buffer* b, unsigned char byte) noexcept nogil:
    buffer_room(b, 1)[0] = <char>byte
    b.used += 1


cdef inline void buffer_push(Buffer* b) noexcept nogil:
    """The bytes as a Lua string on the top of the stack."""
    lua_pushlstring(b.L, b.data, b.used)
