"""What the sandbox is made of: functions of Lua's own libraries behind a check, as C functions like those.

A table that scripts must not change is hidden behind a *front*, an empty table that looks things up in it; `fronts`, an
argument of several functions here, finds the one by the other. A checked function calls the original in its own place on
the stack, so that the original's errors tell the name and the line that they always tell.
"""

from libc.stddef cimport size_t
from libc.string cimport memcpy

from node.scripting.libraries.buffer cimport BUFFER_MAX
from node.scripting.libraries.lua51 cimport (
    FIRST_UPVALUE, LUA_TNIL, LUA_TSTRING, LUA_TTABLE, REGISTRY, add_function, lua_call, lua_CFunction, lua_concat,
    lua_createtable, lua_error, lua_getfield, lua_gettop, lua_insert, lua_isstring, lua_newuserdata, lua_objlen, lua_pcall,
    lua_pushboolean, lua_pushcclosure, lua_pushlightuserdata, lua_pushlstring, lua_pushnil, lua_pushstring, lua_pushvalue,
    lua_rawget, lua_rawset, lua_remove, lua_replace, lua_setfenv, lua_setfield, lua_sethook, lua_settop, lua_State,
    lua_toboolean, lua_tocfunction, lua_tolstring, lua_type, luaL_checkinteger, luaL_checklstring, luaL_checktype,
    luaL_error, luaL_optinteger, luaL_where, pop,
)

cdef enum:
    SECOND_UPVALUE = FIRST_UPVALUE - 1
    THIRD_UPVALUE = FIRST_UPVALUE - 2
    LUA_TFUNCTION = 6
    LUA_TUSERDATA = 7
    LUA_MULTRET = -1
    MASK_LINE = 4
    MASK_COUNT = 8
    BYTE_CODE = 27                # what dumped functions begin with
    MOST_RESULTS = 8000           # as many values as a C function may have on the stack

cdef char HOOK_KEY                # its address is the key of the hook's function in the registry


cdef inline int original(lua_State* L) noexcept nogil:
    """Go on as the function of the third upvalue, with the same arguments."""
    return lua_tocfunction(L, THIRD_UPVALUE)(L)


cdef bint push_behind(lua_State* L) noexcept nogil:
    """If the first argument is a front, push what is behind it."""
    if lua_type(L, 1) != LUA_TTABLE:
        return False
    lua_pushvalue(L, 1)
    lua_rawget(L, SECOND_UPVALUE)
    if lua_type(L, -1) != LUA_TNIL:
        return True
    pop(L, 1)
    return False


cdef int read(lua_State* L) noexcept nogil:
    if push_behind(L):
        lua_replace(L, 1)
    return original(L)


cdef int write(lua_State* L) noexcept nogil:
    if push_behind(L):
        lua_pushstring(L, "Attempt to modify a readonly table")
        return lua_error(L)
    return original(L)


cdef int checked(lua_State* L, lua_CFunction check) noexcept nogil:
    lua_settop(L, 2)
    lua_pushnil(L)
    lua_insert(L, 1)
    lua_insert(L, 2)              # nil, fronts, function
    lua_pushcclosure(L, check, 3)
    return 1


cdef int reading(lua_State* L) noexcept nogil:
    """(function, fronts) -> the function, which sees what is behind a front that is its first argument."""
    return checked(L, read)


cdef int writing(lua_State* L) noexcept nogil:
    """(function, fronts) -> the function, which refuses a front as its first argument."""
    return checked(L, write)


cdef int pairs_by(lua_State* L) noexcept nogil:
    """(pairs, next) -> a pairs that goes on by this next."""
    lua_settop(L, 2)
    lua_pushcclosure(L, lua_tocfunction(L, 1), 1)
    return 1


cdef int metatable(lua_State* L) noexcept nogil:
    """getmetatable, which knows metatables that scripts see (first upvalue) instead of those that there are."""
    cdef int count
    if push_behind(L):
        lua_pushvalue(L, 1)
        lua_rawget(L, FIRST_UPVALUE)
        return 1
    count = original(L)
    if lua_type(L, -1) != LUA_TTABLE:
        return count
    lua_pushvalue(L, -1)
    lua_rawget(L, FIRST_UPVALUE)
    if lua_type(L, -1) == LUA_TNIL:
        pop(L, 1)
    return 1


cdef int metatables(lua_State* L) noexcept nogil:
    """(getmetatable, fronts, shown) -> getmetatable; `shown` has, for a front or a metatable, what scripts get."""
    lua_settop(L, 3)
    lua_insert(L, 1)
    lua_insert(L, 2)              # shown, fronts, getmetatable
    lua_pushcclosure(L, metatable, 3)
    return 1


cdef int pcall(lua_State* L) noexcept nogil:
    """As Redis has it: of an error that is a table, its `err`; without arguments it calls its own true."""
    cdef int count = lua_gettop(L)
    lua_pushboolean(L, True)
    lua_insert(L, 1)
    if lua_pcall(L, count - 1 if count else 0, LUA_MULTRET, 0) == 0:
        return lua_gettop(L)
    if count:
        lua_remove(L, 1)
    if lua_type(L, -1) == LUA_TTABLE:
        lua_getfield(L, -1, "err")
        if lua_isstring(L, -1):
            lua_replace(L, -2)
    lua_pushboolean(L, False)
    lua_insert(L, 1)
    return lua_gettop(L)


# ---- compiling

cdef bint hide_byte_code(lua_State* L, int index) noexcept nogil:
    """Nobody checks compiled functions: a blank in front makes them a text with an error in it. True if there was one."""
    cdef size_t length
    cdef const char* code
    if lua_type(L, index) != LUA_TSTRING:
        return False
    code = lua_tolstring(L, index, &length)
    if length == 0 or code[0] != BYTE_CODE:
        return False
    lua_pushlstring(L, " ", 1)
    lua_pushvalue(L, index)
    lua_concat(L, 2)
    lua_replace(L, index)
    return True


cdef int in_environment(lua_State* L, int count) noexcept nogil:
    """The function that was compiled gets the environment of scripts, the second upvalue."""
    if lua_type(L, -count) == LUA_TFUNCTION:
        lua_pushvalue(L, SECOND_UPVALUE)
        lua_setfenv(L, -count - 1)
    return count


cdef int load_string(lua_State* L) noexcept nogil:
    if lua_gettop(L) == 1:
        lua_pushvalue(L, 1)       # its name is the code as it was
    hide_byte_code(L, 1)
    return in_environment(L, original(L))


cdef int piece(lua_State* L) noexcept nogil:
    """The reader of `load`, behind the first upvalue; the second is true after the first piece."""
    lua_settop(L, 0)
    lua_pushvalue(L, FIRST_UPVALUE)
    lua_call(L, 0, 1)
    if not lua_toboolean(L, SECOND_UPVALUE):
        hide_byte_code(L, 1)
        lua_pushboolean(L, True)
        lua_replace(L, SECOND_UPVALUE)
    return 1


cdef int load_pieces(lua_State* L) noexcept nogil:
    if lua_type(L, 1) == LUA_TFUNCTION:
        lua_pushvalue(L, 1)
        lua_pushboolean(L, False)
        lua_pushcclosure(L, piece, 2)
        lua_replace(L, 1)
    return in_environment(L, original(L))


cdef int loadstring(lua_State* L) noexcept nogil:
    """(loadstring, environment) -> one that takes text only, and compiles it for this environment."""
    return checked(L, load_string)


cdef int load(lua_State* L) noexcept nogil:
    """(load, environment) -> the same for load."""
    return checked(L, load_pieces)


# ---- limits

cdef int rep(lua_State* L) noexcept nogil:
    """string.rep, which refuses what is longer than any value may be."""
    cdef size_t length, total, i
    cdef const char* text = luaL_checklstring(L, 1, &length)
    cdef int times = <int>luaL_checkinteger(L, 2)
    cdef char* out
    if times <= 0 or length == 0:
        lua_pushlstring(L, "", 0)
        return 1
    if length > BUFFER_MAX or <size_t>times > BUFFER_MAX // length:
        return luaL_error(L, "resulting string too large")
    total = length * times
    out = <char*>lua_newuserdata(L, total)
    for i in range(<size_t>times):
        memcpy(out + i * length, text, length)
    lua_pushlstring(L, out, total)
    return 1


cdef int unpack_some(lua_State* L) noexcept nogil:
    cdef long first, last
    luaL_checktype(L, 1, LUA_TTABLE)
    first = <int>luaL_optinteger(L, 2, 1)
    last = <int>luaL_optinteger(L, 3, <ssize_t>lua_objlen(L, 1))
    if last - first >= MOST_RESULTS:
        return luaL_error(L, "too many results to unpack")
    return original(L)


cdef int unpack(lua_State* L) noexcept nogil:
    """(unpack) -> one that survives bounds whose distance fits no int."""
    return checked(L, unpack_some)


# ---- the host

cdef int call_host(lua_State* L) noexcept nogil:
    cdef int count = lua_gettop(L)
    lua_pushvalue(L, FIRST_UPVALUE)
    lua_insert(L, 1)
    if lua_pcall(L, count, LUA_MULTRET, 0) == 0:
        return lua_gettop(L)
    if lua_type(L, -1) != LUA_TUSERDATA:
        return lua_error(L)
    lua_pushvalue(L, SECOND_UPVALUE)
    lua_insert(L, -2)
    lua_call(L, 1, 3)             # the text, was it counted, is it enough
    if lua_toboolean(L, -1):
        pop(L, 2)
        luaL_where(L, 1)
        lua_insert(L, -2)
        lua_concat(L, 2)
        return lua_error(L)
    lua_createtable(L, 0, 2)
    lua_pushvalue(L, -4)
    lua_setfield(L, -2, "err")
    if lua_toboolean(L, -3):
        lua_pushboolean(L, True)
        lua_setfield(L, -2, "ignore_error_stats_update")
    return lua_error(L)


cdef int host(lua_State* L) noexcept nogil:
    """(function of Python, explain) -> a C function. An exception becomes an error of Lua: `explain` says which."""
    lua_settop(L, 2)
    lua_pushcclosure(L, call_host, 2)
    return 1


cdef void run_hook(lua_State* L, void* event) noexcept nogil:
    lua_pushlightuserdata(L, &HOOK_KEY)
    lua_rawget(L, REGISTRY)
    lua_call(L, 0, 0)


cdef int hook(lua_State* L) noexcept nogil:
    """(function) What the hook calls."""
    lua_settop(L, 1)
    lua_pushlightuserdata(L, &HOOK_KEY)
    lua_insert(L, 1)
    lua_rawset(L, REGISTRY)
    return 0


cdef int arm(lua_State* L) noexcept nogil:
    """(instructions) Hook after every so many; 0: at every line. Coroutines made from now on inherit this."""
    cdef int instructions = <int>luaL_checkinteger(L, 1)
    lua_sethook(L, run_hook, MASK_COUNT if instructions else MASK_LINE, instructions)
    return 0


cdef public int luaopen_guards(lua_State* L) noexcept nogil:
    """Push the table."""
    lua_createtable(L, 0, 13)
    add_function(L, "reading", reading)
    add_function(L, "writing", writing)
    add_function(L, "pairs_by", pairs_by)
    add_function(L, "metatables", metatables)
    add_function(L, "pcall", pcall)
    add_function(L, "loadstring", loadstring)
    add_function(L, "load", load)
    add_function(L, "rep", rep)
    add_function(L, "unpack", unpack)
    add_function(L, "host", host)
    add_function(L, "hook", hook)
    add_function(L, "arm", arm)
    return 1
