# The part of Lua 5.1's C API that the libraries use (Lua 5.1 Reference Manual, sections 3.7 and 4.1). The symbols are those
# of the interpreter within lupa, which `libraries/__init__.py` makes visible before it imports the compiled modules.
#
# Functions marked `raises` below leave by a long jump to the nearest pcall when they fail. So must every function that
# calls them: it holds no Python object and no memory of its own, only what the Lua stack keeps alive.

ctypedef void lua_State
ctypedef double lua_Number
ctypedef ssize_t lua_Integer
ctypedef int (*lua_CFunction)(lua_State*) noexcept nogil
ctypedef void (*lua_Hook)(lua_State*, void* event) noexcept nogil

cdef enum:
    LUA_TNIL = 0
    LUA_TBOOLEAN = 1
    LUA_TLIGHTUSERDATA = 2
    LUA_TNUMBER = 3
    LUA_TSTRING = 4
    LUA_TTABLE = 5
    REGISTRY = -10000
    FIRST_UPVALUE = -10003                # lua_upvalueindex(1); the next ones are below it

cdef extern int lua_gettop(lua_State* L) noexcept nogil
cdef extern void lua_settop(lua_State* L, int index) noexcept nogil
cdef extern void lua_pushvalue(lua_State* L, int index) noexcept nogil
cdef extern void lua_insert(lua_State* L, int index) noexcept nogil
cdef extern void lua_replace(lua_State* L, int index) noexcept nogil
cdef extern void lua_remove(lua_State* L, int index) noexcept nogil
cdef extern int lua_checkstack(lua_State* L, int slots) noexcept nogil           # 0: no room for so many more slots

cdef extern int lua_type(lua_State* L, int index) noexcept nogil
cdef extern const char* lua_typename(lua_State* L, int type) noexcept nogil
cdef extern int lua_isstring(lua_State* L, int index) noexcept nogil              # a number is one, too
cdef extern int lua_isnumber(lua_State* L, int index) noexcept nogil
cdef extern lua_Number lua_tonumber(lua_State* L, int index) noexcept nogil
cdef extern int lua_toboolean(lua_State* L, int index) noexcept nogil
cdef extern const char* lua_tolstring(lua_State* L, int index, size_t* length) noexcept nogil
cdef extern void* lua_touserdata(lua_State* L, int index) noexcept nogil
cdef extern lua_CFunction lua_tocfunction(lua_State* L, int index) noexcept nogil
cdef extern size_t lua_objlen(lua_State* L, int index) noexcept nogil

cdef extern void lua_pushnil(lua_State* L) noexcept nogil
cdef extern void lua_pushnumber(lua_State* L, lua_Number n) noexcept nogil
cdef extern void lua_pushinteger(lua_State* L, lua_Integer n) noexcept nogil
cdef extern void lua_pushboolean(lua_State* L, int b) noexcept nogil
cdef extern void lua_pushlightuserdata(lua_State* L, void* p) noexcept nogil
cdef extern void lua_pushlstring(lua_State* L, const char* s, size_t length) noexcept nogil                # raises
cdef extern void lua_pushstring(lua_State* L, const char* s) noexcept nogil                                # raises
cdef extern const char* lua_pushfstring(lua_State* L, const char* form, ...) noexcept nogil                # raises
cdef extern void lua_pushcclosure(lua_State* L, lua_CFunction f, int upvalues) noexcept nogil              # raises

cdef extern void lua_concat(lua_State* L, int count) noexcept nogil                                        # raises

cdef extern void lua_createtable(lua_State* L, int array_size, int hash_size) noexcept nogil               # raises
cdef extern void* lua_newuserdata(lua_State* L, size_t size) noexcept nogil                                # raises
cdef extern void lua_rawgeti(lua_State* L, int index, int n) noexcept nogil
cdef extern void lua_rawget(lua_State* L, int index) noexcept nogil
cdef extern void lua_rawset(lua_State* L, int index) noexcept nogil                                        # raises
cdef extern void lua_rawseti(lua_State* L, int index, int n) noexcept nogil                                # raises
cdef extern void lua_getfield(lua_State* L, int index, const char* name) noexcept nogil                    # raises
cdef extern void lua_setfield(lua_State* L, int index, const char* name) noexcept nogil                    # raises
cdef extern int lua_next(lua_State* L, int index) noexcept nogil                                           # raises

cdef extern int lua_setfenv(lua_State* L, int index) noexcept nogil
cdef extern int lua_sethook(lua_State* L, lua_Hook hook, int mask, int count) noexcept nogil

cdef extern void lua_call(lua_State* L, int arguments, int results) noexcept nogil                         # raises
cdef extern int lua_pcall(lua_State* L, int arguments, int results, int handler) noexcept nogil            # 0: no error
cdef extern int lua_error(lua_State* L) noexcept nogil                                                     # raises
cdef extern void luaL_where(lua_State* L, int level) noexcept nogil                                        # raises
cdef extern void luaL_checktype(lua_State* L, int argument, int type) noexcept nogil                       # raises
cdef extern int luaL_error(lua_State* L, const char* form, ...) noexcept nogil                             # raises
cdef extern int luaL_argerror(lua_State* L, int argument, const char* why) noexcept nogil                  # raises
cdef extern int luaL_typerror(lua_State* L, int argument, const char* expected) noexcept nogil             # raises
cdef extern void luaL_checkstack(lua_State* L, int slots, const char* why) noexcept nogil                  # raises
cdef extern lua_Number luaL_checknumber(lua_State* L, int argument) noexcept nogil                         # raises
cdef extern lua_Integer luaL_checkinteger(lua_State* L, int argument) noexcept nogil                       # raises
cdef extern lua_Integer luaL_optinteger(lua_State* L, int argument, lua_Integer default) noexcept nogil    # raises
cdef extern const char* luaL_checklstring(lua_State* L, int argument, size_t* length) noexcept nogil       # raises
cdef extern int luaL_checkoption(lua_State* L, int argument, const char* default, const char** options) noexcept nogil   # raises


cdef inline void pop(lua_State* L, int count) noexcept nogil:
    lua_settop(L, -count - 1)


cdef inline void add_function(lua_State* L, const char* name, lua_CFunction f) noexcept nogil:
    """Put a function into the table on the top of the stack."""
    lua_pushcclosure(L, f, 0)
    lua_setfield(L, -2, name)


cdef inline void add_text(lua_State* L, const char* name, const char* text) noexcept nogil:
    """Put a string into the table on the top of the stack."""
    lua_pushstring(L, text)
    lua_setfield(L, -2, name)
