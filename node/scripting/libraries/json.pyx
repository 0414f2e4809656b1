"""The table `cjson`: Lua CJSON 2.1.0, both ways.

What it takes that JSON does not: numbers as C's strtod reads them (hexadecimal, inf, nan), any bytes within strings. A table
whose keys are all positive integers becomes an array, an empty one an object; null is the light userdata NULL. The settings
belong to the table `cjson` of one interpreter, which all scripts share.
"""

from libc.math cimport floor, isinf, isnan
from libc.stdio cimport snprintf
from libc.stdlib cimport strtod
from libc.string cimport memcpy, strncmp

from node.scripting.libraries.buffer cimport Buffer, buffer_add, buffer_byte, buffer_init, buffer_push, buffer_room
from node.scripting.libraries.lua51 cimport (
    FIRST_UPVALUE, LUA_TBOOLEAN, LUA_TLIGHTUSERDATA, LUA_TNIL, LUA_TNUMBER, LUA_TSTRING, LUA_TTABLE, add_text,
    lua_CFunction, lua_checkstack, lua_createtable, lua_gettop, lua_newuserdata, lua_next, lua_pushboolean,
    lua_pushcclosure, lua_pushfstring, lua_pushinteger, lua_pushlightuserdata, lua_pushlstring, lua_pushnil, lua_pushnumber,
    lua_pushstring, lua_pushvalue, lua_rawgeti, lua_rawset, lua_rawseti, lua_setfield, lua_settop, lua_State, lua_toboolean,
    lua_tolstring, lua_tonumber, lua_touserdata, lua_type, lua_typename, luaL_argerror, luaL_checkinteger,
    luaL_checklstring, luaL_checkoption, luaL_error, pop,
)

cdef enum:
    INT_MAX = 0x7FFFFFFF
    NUMBER_BYTES = 32             # enough for %.14g

cdef enum Invalid:
    INVALID_REFUSED
    INVALID_TAKEN
    INVALID_NULL

cdef struct Settings:
    int sparse_convert            # excessively sparse arrays become objects; else they are an error
    int sparse_ratio              # an array is excessively sparse if it has fewer than one in so many elements (0: never)
    int sparse_safe               # ... and its length is beyond this
    int encode_max_depth
    int encode_invalid            # an Invalid: what to do with nan and inf
    int precision                 # significant digits of a number
    int keep_buffer               # kept for those who ask; there is no buffer to keep
    int decode_invalid
    int decode_max_depth

cdef const char* SWITCH[3]
SWITCH[:] = ["off", "on", NULL]
cdef const char* INVALID_NAMES[4]
INVALID_NAMES[:] = ["off", "on", "null", NULL]


# ---- settings

cdef inline Settings* settings_of(lua_State* L) noexcept nogil:
    return <Settings*>lua_touserdata(L, FIRST_UPVALUE)


cdef Settings* setter(lua_State* L, int arguments) noexcept nogil:
    """What every function that changes settings begins with: missing arguments are nil."""
    if lua_gettop(L) > arguments:
        luaL_argerror(L, arguments + 1, "found too many arguments")
    lua_settop(L, arguments)
    return settings_of(L)


cdef void set_integer(lua_State* L, int index, int* setting, int low, int high) noexcept nogil:
    """Take the argument unless it is nil, and push the setting."""
    cdef int value
    if lua_type(L, index) != LUA_TNIL:
        value = <int>luaL_checkinteger(L, index)
        if not low <= value <= high:
            luaL_argerror(L, 1, lua_pushfstring(L, "expected integer between %d and %d", low, high))
        setting[0] = value
    lua_pushinteger(L, setting[0])


cdef void set_option(lua_State* L, int index, int* setting, const char** options) noexcept nogil:
    """The same for a word out of `options`, whose first two are also written as false and true."""
    if lua_type(L, index) == LUA_TBOOLEAN:
        setting[0] = lua_toboolean(L, index)
    elif lua_type(L, index) != LUA_TNIL:
        setting[0] = luaL_checkoption(L, index, NULL, options)
    if setting[0] <= 1:
        lua_pushboolean(L, setting[0])
    else:
        lua_pushstring(L, options[setting[0]])


cdef int encode_sparse_array(lua_State* L) noexcept nogil:
    cdef Settings* settings = setter(L, 3)
    set_option(L, 1, &settings.sparse_convert, SWITCH)
    set_integer(L, 2, &settings.sparse_ratio, 0, INT_MAX)
    set_integer(L, 3, &settings.sparse_safe, 0, INT_MAX)
    return 3


cdef int encode_max_depth(lua_State* L) noexcept nogil:
    set_integer(L, 1, &setter(L, 1).encode_max_depth, 1, INT_MAX)
    return 1


cdef int decode_max_depth(lua_State* L) noexcept nogil:
    set_integer(L, 1, &setter(L, 1).decode_max_depth, 1, INT_MAX)
    return 1


cdef int encode_number_precision(lua_State* L) noexcept nogil:
    set_integer(L, 1, &setter(L, 1).precision, 1, 14)
    return 1


cdef int encode_keep_buffer(lua_State* L) noexcept nogil:
    set_option(L, 1, &setter(L, 1).keep_buffer, SWITCH)
    return 1


cdef int encode_invalid_numbers(lua_State* L) noexcept nogil:
    set_option(L, 1, &setter(L, 1).encode_invalid, INVALID_NAMES)
    return 1


cdef int decode_invalid_numbers(lua_State* L) noexcept nogil:
    set_option(L, 1, &setter(L, 1).decode_invalid, SWITCH)
    return 1


# ---- encoding

cdef void refuse(lua_State* L, int index, const char* why) noexcept nogil:
    luaL_error(L, "Cannot serialise %s: %s", lua_typename(L, lua_type(L, index)), why)


cdef char escape_of(unsigned char c) noexcept nogil:
    """The letter behind the backslash; 'u' for a code, 0 for a character that stands for itself."""
    if c > 34 and c != c'/' and c != c'\\' and c != 127:
        return 0
    if c == c'"' or c == c'/' or c == c'\\':
        return <char>c
    if c == 8:
        return c'b'
    if c == 9:
        return c't'
    if c == 10:
        return c'n'
    if c == 12:
        return c'f'
    if c == 13:
        return c'r'
    return c'u' if c < 32 or c == 127 else 0


cdef void encode_string(lua_State* L, Buffer* out, int index) noexcept nogil:
    cdef size_t length, i, plain = 0
    cdef const char* text = lua_tolstring(L, index, &length)
    cdef const char* digits = "0123456789abcdef"
    cdef unsigned char c
    cdef char escape
    buffer_byte(out, c'"')
    for i in range(length):
        c = <unsigned char>text[i]
        escape = escape_of(c)
        if escape == 0:
            continue
        buffer_add(out, text + plain, i - plain)
        plain = i + 1
        buffer_byte(out, c'\\')
        buffer_byte(out, escape)
        if escape == c'u':
            buffer_add(out, b"00", 2)
            buffer_byte(out, digits[c >> 4])
            buffer_byte(out, digits[c & 15])
    buffer_add(out, text + plain, length - plain)
    buffer_byte(out, c'"')


cdef void encode_number(lua_State* L, Settings* settings, Buffer* out, int index) noexcept nogil:
    cdef double number = lua_tonumber(L, index)
    if isnan(number) or isinf(number):
        if settings.encode_invalid == INVALID_REFUSED:
            refuse(L, index, "must not be NaN or Inf")
        if settings.encode_invalid == INVALID_NULL:
            buffer_add(out, b"null", 4)
            return
        if isnan(number):
            buffer_add(out, b"nan", 3)
            return
    out.used += snprintf(buffer_room(out, NUMBER_BYTES), NUMBER_BYTES, "%.*g", settings.precision, number)


cdef int array_length(lua_State* L, Settings* settings) noexcept nogil:
    """The length of the table on the top of the stack as an array; less than 1 for what becomes an object."""
    cdef long longest = 0, items = 0
    cdef double key
    lua_pushnil(L)
    while lua_next(L, -2):
        pop(L, 1)
        key = lua_tonumber(L, -1) if lua_type(L, -1) == LUA_TNUMBER else 0
        if key < 1 or floor(key) != key:
            pop(L, 1)
            return -1
        if key > longest:
            # Keys that no C int holds become its lowest value, so that the table is not an array.
            longest = <long>key if key <= INT_MAX else -INT_MAX - 1
        items += 1
    if settings.sparse_ratio > 0 and longest > items * settings.sparse_ratio and longest > settings.sparse_safe:
        if not settings.sparse_convert:
            refuse(L, -1, "excessively sparse array")
        return -1
    return <int>longest


cdef void encode_array(lua_State* L, Settings* settings, Buffer* out, int depth, int length) noexcept nogil:
    cdef long i
    buffer_byte(out, c'[')
    for i in range(1, <long>length + 1):
        if i > 1:
            buffer_byte(out, c',')
        lua_rawgeti(L, -1, <int>i)
        encode_value(L, settings, out, depth)
        pop(L, 1)
    buffer_byte(out, c']')


cdef void encode_object(lua_State* L, Settings* settings, Buffer* out, int depth) noexcept nogil:
    cdef bint first = True
    cdef int kind
    buffer_byte(out, c'{')
    lua_pushnil(L)
    while lua_next(L, -2):
        if not first:
            buffer_byte(out, c',')
        first = False
        kind = lua_type(L, -2)
        if kind == LUA_TNUMBER:
            buffer_byte(out, c'"')
            encode_number(L, settings, out, -2)
            buffer_byte(out, c'"')
        elif kind == LUA_TSTRING:
            encode_string(L, out, -2)
        else:
            refuse(L, -2, "table key must be a number or string")
        buffer_byte(out, c':')
        encode_value(L, settings, out, depth)
        pop(L, 1)
    buffer_byte(out, c'}')


cdef void encode_value(lua_State* L, Settings* settings, Buffer* out, int depth) noexcept nogil:
    """The value on the top of the stack, which stays there; it is within `depth` tables."""
    cdef int kind = lua_type(L, -1), length
    if kind == LUA_TSTRING:
        encode_string(L, out, -1)
    elif kind == LUA_TNUMBER:
        encode_number(L, settings, out, -1)
    elif kind == LUA_TBOOLEAN:
        if lua_toboolean(L, -1):
            buffer_add(out, b"true", 4)
        else:
            buffer_add(out, b"false", 5)
    elif kind == LUA_TTABLE:
        depth += 1
        # Three slots: a key, a value, and what the buffer needs when it grows.
        if depth > settings.encode_max_depth or not lua_checkstack(L, 3):
            luaL_error(L, "Cannot serialise, excessive nesting (%d)", depth)
        length = array_length(L, settings)
        if length > 0:
            encode_array(L, settings, out, depth, length)
        else:
            encode_object(L, settings, out, depth)
    elif kind == LUA_TNIL or (kind == LUA_TLIGHTUSERDATA and lua_touserdata(L, -1) == NULL):
        buffer_add(out, b"null", 4)
    else:
        refuse(L, -1, "type not supported")


cdef int encode(lua_State* L) noexcept nogil:
    cdef Buffer out
    if lua_gettop(L) != 1:
        return luaL_argerror(L, 1, "expected 1 argument")
    buffer_init(&out, L)
    lua_pushvalue(L, 1)
    encode_value(L, settings_of(L), &out, 0)
    buffer_push(&out)
    return 1


# ---- decoding

cdef enum Kind:
    OBJECT_BEGIN
    OBJECT_END
    ARRAY_BEGIN
    ARRAY_END
    STRING
    NUMBER
    BOOLEAN
    NULL_VALUE
    COLON
    COMMA
    END
    ERROR

# How errors call them.
cdef const char* KIND_NAMES[11]
KIND_NAMES[:] = [
    "T_OBJ_BEGIN", "T_OBJ_END", "T_ARR_BEGIN", "T_ARR_END", "T_STRING", "T_NUMBER", "T_BOOLEAN", "T_NULL", "T_COLON",
    "T_COMMA", "T_END",
]

cdef struct Parser:
    lua_State* L
    Settings* settings
    const char* data
    const char* at                # where reading goes on; the text ends with a zero byte
    int depth
    Buffer unescaped              # the last string that had escapes

    # The last token.
    Kind kind
    ssize_t index                 # where it begins, or where its error is
    const char* text              # of a string; of an error, what was found
    size_t length
    double number
    bint truth


cdef inline void fail(Parser* p, const char* found) noexcept nogil:
    """Reading has come to something that is no token."""
    p.kind = ERROR
    p.index = p.at - p.data
    p.text = found


cdef void expected(Parser* p, const char* what) noexcept nogil:
    luaL_error(
        p.L, "Expected %s but found %s at character %d",
        what, p.text if p.kind == ERROR else KIND_NAMES[<int>p.kind], <int>(p.index + 1),
    )


cdef int hex4(const char* text) noexcept nogil:
    """Four hexadecimal digits, or -1; never looks beyond a zero byte."""
    cdef int i, value = 0
    cdef char c
    for i in range(4):
        c = text[i]
        if c'0' <= c <= c'9':
            value = value * 16 + c - c'0'
        elif c'a' <= (c | 32) <= c'f':
            value = value * 16 + (c | 32) - c'a' + 10
        else:
            return -1
    return value


cdef void add_code_point(Buffer* out, int code) noexcept nogil:
    """In UTF-8."""
    if code < 0x80:
        buffer_byte(out, code)
        return
    if code < 0x800:
        buffer_byte(out, 0xC0 | (code >> 6))
    else:
        if code < 0x10000:
            buffer_byte(out, 0xE0 | (code >> 12))
        else:
            buffer_byte(out, 0xF0 | (code >> 18))
            buffer_byte(out, 0x80 | ((code >> 12) & 0x3F))
        buffer_byte(out, 0x80 | ((code >> 6) & 0x3F))
    buffer_byte(out, 0x80 | (code & 0x3F))


cdef bint read_code_point(Parser* p) noexcept nogil:
    r"""A \uXXXX, or two that are a surrogate pair; False, without moving, if it is neither."""
    cdef int code = hex4(p.at + 2), low
    cdef int length = 6
    if code < 0:
        return False
    if code & 0xF800 == 0xD800:
        if code & 0x400 or p.at[6] != c'\\' or p.at[7] != c'u':
            return False
        low = hex4(p.at + 8)
        if low & 0xFC00 != 0xDC00:
            return False
        code = 0x10000 + ((code & 0x3FF) << 10) + (low & 0x3FF)
        length = 12
    add_code_point(&p.unescaped, code)
    p.at += length
    return True


cdef char unescape(char c) noexcept nogil:
    """What a letter behind a backslash stands for; 0 if nothing."""
    if c == c'"' or c == c'\\' or c == c'/':
        return c
    if c == c'b':
        return 8
    if c == c't':
        return 9
    if c == c'n':
        return 10
    if c == c'f':
        return 12
    if c == c'r':
        return 13
    return 0


cdef void read_string(Parser* p) noexcept nogil:
    """The string whose opening quote the parser stands at. One without escapes is taken from where it is."""
    cdef const char* begin
    cdef char c
    p.at += 1
    begin = p.at
    p.unescaped.used = 0
    while p.at[0] != c'"':
        if p.at[0] == 0:
            fail(p, "unexpected end of string")
            return
        if p.at[0] != c'\\':
            p.at += 1
            continue
        buffer_add(&p.unescaped, begin, p.at - begin)
        if p.at[1] == c'u':
            if not read_code_point(p):
                fail(p, "invalid unicode escape code")
                return
        else:
            c = unescape(p.at[1])
            if c == 0:
                fail(p, "invalid escape code")
                return
            buffer_byte(&p.unescaped, c)
            p.at += 2
        begin = p.at
    p.kind = STRING
    p.text = begin
    p.length = p.at - begin
    if p.unescaped.used:
        buffer_add(&p.unescaped, begin, p.length)
        p.text = p.unescaped.data
        p.length = p.unescaped.used
    p.at += 1


cdef bint is_beyond_json(const char* text) noexcept nogil:
    """Is this a number that C takes and JSON does not: hexadecimal, with a sign + or zeros in front, inf or nan?"""
    if text[0] == c'+':
        return True
    if text[0] == c'-':
        text += 1
    if text[0] == c'0':
        return (text[1] | 32) == c'x' or c'0' <= text[1] <= c'9'
    return same_letters(text, "inf") or same_letters(text, "nan")


cdef bint same_letters(const char* text, const char* word) noexcept nogil:
    """Does the text begin with the three letters, whatever their case?"""
    return (text[0] | 32) == word[0] and (text[1] | 32) == word[1] and (text[2] | 32) == word[2]


cdef void read_number(Parser* p) noexcept nogil:
    cdef char* end = NULL
    p.kind = NUMBER
    p.number = strtod(p.at, &end)
    if end == p.at:
        fail(p, "invalid number")
    else:
        p.at = end


cdef void read_word(Parser* p) noexcept nogil:
    """A token that begins with a letter or a plus."""
    if strncmp(p.at, "true", 4) == 0 or strncmp(p.at, "false", 5) == 0:
        p.kind = BOOLEAN
        p.truth = p.at[0] == c't'
        p.at += 4 if p.truth else 5
    elif strncmp(p.at, "null", 4) == 0:
        p.kind = NULL_VALUE
        p.at += 4
    elif p.settings.decode_invalid and is_beyond_json(p.at):
        read_number(p)
    else:
        fail(p, "invalid token")


cdef void next_token(Parser* p) noexcept nogil:
    cdef char c
    while p.at[0] in (c' ', c'\t', c'\n', c'\r'):
        p.at += 1
    c = p.at[0]
    p.index = p.at - p.data
    if c == c'"':
        read_string(p)
        return
    if c == c'-' or c'0' <= c <= c'9':
        if not p.settings.decode_invalid and is_beyond_json(p.at):
            fail(p, "invalid number")
        else:
            read_number(p)
        return
    if c == 0:
        p.kind = END
        return
    if c == c'{':
        p.kind = OBJECT_BEGIN
    elif c == c'}':
        p.kind = OBJECT_END
    elif c == c'[':
        p.kind = ARRAY_BEGIN
    elif c == c']':
        p.kind = ARRAY_END
    elif c == c':':
        p.kind = COLON
    elif c == c',':
        p.kind = COMMA
    elif c in (c'f', c'i', c'I', c'n', c'N', c't', c'+'):
        read_word(p)
        return
    else:
        fail(p, "invalid token")
        return
    p.at += 1


cdef void descend(Parser* p, int slots) noexcept nogil:
    p.depth += 1
    if p.depth > p.settings.decode_max_depth or not lua_checkstack(p.L, slots):
        luaL_error(
            p.L, "Found too many nested data structures (%d) at character %d", p.depth, <int>(p.at - p.data)
        )


cdef void push_object(Parser* p) noexcept nogil:
    descend(p, 4)                 # the table, a key, a value, and what the buffer needs when it grows
    lua_createtable(p.L, 0, 0)
    next_token(p)
    if p.kind != OBJECT_END:
        while True:
            if p.kind != STRING:
                expected(p, "object key string")
            lua_pushlstring(p.L, p.text, p.length)
            next_token(p)
            if p.kind != COLON:
                expected(p, "colon")
            next_token(p)
            push_value(p)
            lua_rawset(p.L, -3)
            next_token(p)
            if p.kind == OBJECT_END:
                break
            if p.kind != COMMA:
                expected(p, "comma or object end")
            next_token(p)
    p.depth -= 1


cdef void push_array(Parser* p) noexcept nogil:
    cdef int index = 0
    descend(p, 3)                 # the table, a value, and what the buffer needs when it grows
    lua_createtable(p.L, 0, 0)
    next_token(p)
    if p.kind != ARRAY_END:
        while True:
            push_value(p)
            index += 1
            lua_rawseti(p.L, -2, index)
            next_token(p)
            if p.kind == ARRAY_END:
                break
            if p.kind != COMMA:
                expected(p, "comma or array end")
            next_token(p)
    p.depth -= 1


cdef void push_value(Parser* p) noexcept nogil:
    """The value that begins with the last token."""
    if p.kind == STRING:
        lua_pushlstring(p.L, p.text, p.length)
    elif p.kind == NUMBER:
        lua_pushnumber(p.L, p.number)
    elif p.kind == BOOLEAN:
        lua_pushboolean(p.L, p.truth)
    elif p.kind == OBJECT_BEGIN:
        push_object(p)
    elif p.kind == ARRAY_BEGIN:
        push_array(p)
    elif p.kind == NULL_VALUE:
        lua_pushlightuserdata(p.L, NULL)
    else:
        expected(p, "value")


cdef int decode(lua_State* L) noexcept nogil:
    cdef Parser p
    cdef size_t length
    if lua_gettop(L) != 1:
        return luaL_argerror(L, 1, "expected 1 argument")
    p.L = L
    p.settings = settings_of(L)
    p.data = luaL_checklstring(L, 1, &length)
    p.at = p.data
    p.depth = 0
    if length >= 2 and (p.data[0] == 0 or p.data[1] == 0):
        return luaL_error(L, "JSON parser does not support UTF-16 or UTF-32")
    buffer_init(&p.unescaped, L)
    next_token(&p)
    push_value(&p)
    next_token(&p)
    if p.kind != END:
        expected(&p, "the end")
    return 1


# ---- the table

cdef void add(lua_State* L, const char* name, lua_CFunction f) noexcept nogil:
    """Put a function into the table below the settings, which are on the top of the stack."""
    lua_pushvalue(L, -1)
    lua_pushcclosure(L, f, 1)
    lua_setfield(L, -3, name)


cdef public int luaopen_cjson(lua_State* L) noexcept nogil:
    """Push a table with settings of its own; also the function `new` in it."""
    cdef Settings* settings
    lua_createtable(L, 0, 16)
    settings = <Settings*>lua_newuserdata(L, sizeof(Settings))
    settings[0] = Settings(
        sparse_convert=0, sparse_ratio=2, sparse_safe=10, encode_max_depth=1000, encode_invalid=INVALID_REFUSED,
        precision=14, keep_buffer=1, decode_invalid=1, decode_max_depth=1000,
    )
    add(L, "encode", encode)
    add(L, "decode", decode)
    add(L, "encode_sparse_array", encode_sparse_array)
    add(L, "encode_max_depth", encode_max_depth)
    add(L, "decode_max_depth", decode_max_depth)
    add(L, "encode_number_precision", encode_number_precision)
    add(L, "encode_keep_buffer", encode_keep_buffer)
    add(L, "encode_invalid_numbers", encode_invalid_numbers)
    add(L, "decode_invalid_numbers", decode_invalid_numbers)
    add(L, "new", luaopen_cjson)
    pop(L, 1)
    lua_pushlightuserdata(L, NULL)
    lua_setfield(L, -2, "null")
    add_text(L, "_NAME", "cjson")
    add_text(L, "_VERSION", "2.1.0")
    return 1
