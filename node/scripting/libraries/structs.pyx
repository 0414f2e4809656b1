"""The table `struct`: values as bytes of a C struct, by a format (the library struct of Roberto Ierusalimschy, 0.2).

    < > ![n]      little endian, big endian, align to at most n bytes (8 without n; 1 to begin with)
    b B h H l L T integers of 1, 2, 8 and 8 bytes; capitals are unsigned
    i I [n]       integers of n bytes, at most 32 (4 without n)
    f d           float and double
    s             a string with a zero byte behind it
    cn            n bytes; c0 packs a whole string, and unpacks as many bytes as the number before says
    x             one byte of padding; a space means nothing

Integers are 64 bits: of a wider one the upper bytes are lost.
"""

from libc.stdint cimport int64_t, uint64_t
from libc.string cimport memchr, memcpy

from node.scripting.libraries.buffer cimport Buffer, buffer_add, buffer_byte, buffer_init, buffer_push
from node.scripting.libraries.lua51 cimport (
    add_function, lua_createtable, lua_isnumber, lua_Number, lua_pushfstring, lua_pushinteger, lua_pushlstring,
    lua_pushnil, lua_pushnumber, lua_State, lua_tonumber, luaL_argerror, luaL_checklstring, luaL_checknumber, luaL_checkstack,
    luaL_error, luaL_optinteger, pop,
)

cdef enum:
    MAX_INTEGER_BYTES = 32
    MAX_ALIGN = 8
    INT_MAX = 0x7FFFFFFF

cdef struct Layout:
    bint little
    int align


cdef inline bint is_digit(char c) noexcept nogil:
    return c'0' <= c <= c'9'


cdef inline bint is_alphanumeric(int c) noexcept nogil:
    return c'0' <= c <= c'9' or c'a' <= c <= c'z' or c'A' <= c <= c'Z'


cdef inline bint is_integer(char option) noexcept nogil:
    return option in (c'b', c'B', c'h', c'H', c'l', c'L', c'T', c'i', c'I')


cdef int read_count(lua_State* L, const char** form, int default) noexcept nogil:
    """The number at the format's cursor, which moves behind it."""
    cdef int count = 0, digit
    if not is_digit(form[0][0]):
        return default
    while is_digit(form[0][0]):
        digit = form[0][0] - c'0'
        if count > (INT_MAX - digit) // 10:
            luaL_error(L, "integral size overflow")
        count = count * 10 + digit
        form[0] += 1
    return count


cdef size_t bytes_of(lua_State* L, char option, const char** form) noexcept nogil:
    """The size of an element; 0 where it is known later, and of what is no element."""
    cdef int size
    if option in (c'b', c'B', c'x'):
        return 1
    if option in (c'h', c'H'):
        return sizeof(short)
    if option in (c'l', c'L'):
        return sizeof(long)
    if option == c'T':
        return sizeof(size_t)
    if option == c'f':
        return sizeof(float)
    if option == c'd':
        return sizeof(double)
    if option == c'c':
        return read_count(L, form, 1)
    if option in (c'i', c'I'):
        size = read_count(L, form, sizeof(int))
        if size > MAX_INTEGER_BYTES:
            luaL_error(L, "integral size %d is larger than limit of %d", size, <int>MAX_INTEGER_BYTES)
        return size
    return 0


cdef size_t padding(Layout* layout, size_t position, char option, size_t size) noexcept nogil:
    """How many bytes align an element of `size` bytes. As in the original this masks, so that odd sizes align oddly."""
    if size == 0 or option == c'c':
        return 0
    if size > <size_t>layout.align:
        size = layout.align
    return (size - (position & (size - 1))) & (size - 1)


cdef void control(lua_State* L, int option, const char** form, Layout* layout) noexcept nogil:
    """Carry out an option that is no element."""
    cdef int align
    if option == c'>':
        layout.little = False
    elif option == c'<':
        layout.little = True
    elif option == c'!':
        align = read_count(L, form, MAX_ALIGN)
        if align == 0 or align & (align - 1):
            luaL_error(L, "alignment %d is not a power of 2", align)
        layout.align = align
    elif option != c' ':
        luaL_argerror(L, 1, lua_pushfstring(L, "invalid format option '%c'", option))


cdef void reverse(char* data, size_t size) noexcept nogil:
    cdef size_t i
    for i in range(size // 2):
        data[i], data[size - 1 - i] = data[size - 1 - i], data[i]


cdef void pack_integer(Buffer* out, lua_Number number, bint little, size_t size) noexcept nogil:
    cdef uint64_t value = <uint64_t><int64_t>number if number < 0 else <uint64_t>number
    cdef char data[MAX_INTEGER_BYTES]
    cdef size_t i
    for i in range(size):
        data[i] = <char>(value & 255)
        value >>= 8
    if not little:
        reverse(data, size)
    buffer_add(out, data, size)


cdef lua_Number unpack_integer(const char* data, bint little, bint signed, size_t size) noexcept nogil:
    cdef uint64_t value = 0, sign_and_above
    cdef size_t i
    for i in range(size):
        value = (value << 8) | <unsigned char>data[size - 1 - i if little else i]
    if not signed:
        return <lua_Number>value
    # The shift is taken modulo 64, as processors do: sizes beyond 8 bytes show it.
    sign_and_above = (<uint64_t>-1) << ((size * 8 - 1) & 63)
    if value & sign_and_above:
        value |= sign_and_above
    return <lua_Number><int64_t>value


cdef int pack(lua_State* L) noexcept nogil:
    cdef const char* form = luaL_checklstring(L, 1, NULL)
    cdef Layout layout = Layout(little=True, align=1)
    cdef Buffer out
    cdef int arg = 2
    cdef char option
    cdef size_t position = 0, size, length, gap
    cdef const char* text
    cdef float single
    cdef double number
    lua_pushnil(L)         # what a missing argument is, rather than the buffer's own slot
    buffer_init(&out, L)
    while form[0]:
        option = form[0]
        form += 1
        size = bytes_of(L, option, &form)
        gap = padding(&layout, position, option, size)
        position += gap
        while gap:
            buffer_byte(&out, 0)
            gap -= 1
        if is_integer(option):
            pack_integer(&out, luaL_checknumber(L, arg), layout.little, size)
            arg += 1
        elif option == c'x':
            buffer_byte(&out, 0)
        elif option == c'f':
            single = <float>luaL_checknumber(L, arg)
            arg += 1
            if not layout.little:
                reverse(<char*>&single, size)
            buffer_add(&out, &single, size)
        elif option == c'd':
            number = luaL_checknumber(L, arg)
            arg += 1
            if not layout.little:
                reverse(<char*>&number, size)
            buffer_add(&out, &number, size)
        elif option == c'c' or option == c's':
            text = luaL_checklstring(L, arg, &length)
            arg += 1
            if size == 0:
                size = length
            if length < size:
                luaL_argerror(L, arg, "string too short")
            buffer_add(&out, text, size)
            if option == c's':
                buffer_byte(&out, 0)
                size += 1
        else:
            control(L, option, &form, &layout)
        position += size
    buffer_push(&out)
    return 1


cdef inline void check_data(lua_State* L, size_t position, size_t size, size_t length) noexcept nogil:
    if size > length or position > length - size:
        luaL_argerror(L, 2, "data string too short")


cdef int unpack(lua_State* L) noexcept nogil:
    """The values, and the position behind them (from 1)."""
    cdef size_t length, size, offset, position
    cdef const char* form = luaL_checklstring(L, 1, NULL)
    cdef const char* data = luaL_checklstring(L, 2, &length)
    cdef Layout layout = Layout(little=True, align=1)
    cdef int count = 0
    cdef char option
    cdef const char* end
    cdef float single
    cdef double number
    position = <size_t>luaL_optinteger(L, 3, 1)
    if position == 0:
        luaL_argerror(L, 3, "offset must be 1 or greater")
    position -= 1
    while form[0]:
        option = form[0]
        form += 1
        size = bytes_of(L, option, &form)
        position += padding(&layout, position, option, size)
        check_data(L, position, size, length)
        luaL_checkstack(L, 2, "too many results")
        if is_integer(option):
            lua_pushnumber(L, unpack_integer(data + position, layout.little, option >= c'a', size))
            count += 1
        elif option == c'f':
            memcpy(&single, data + position, size)
            if not layout.little:
                reverse(<char*>&single, size)
            lua_pushnumber(L, single)
            count += 1
        elif option == c'd':
            memcpy(&number, data + position, size)
            if not layout.little:
                reverse(<char*>&number, size)
            lua_pushnumber(L, number)
            count += 1
        elif option == c'c':
            if size == 0:
                if count == 0 or not lua_isnumber(L, -1):
                    luaL_error(L, "format 'c0' needs a previous size")
                number = lua_tonumber(L, -1)
                pop(L, 1)
                count -= 1
                # Also refuses what is no number, and what no string could be as long as.
                size = <size_t>number if -1 < number <= <double>length else length + 1
                check_data(L, position, size, length)
            lua_pushlstring(L, data + position, size)
            count += 1
        elif option == c's':
            end = <const char*>memchr(data + position, 0, length - position)
            if end == NULL:
                luaL_error(L, "unfinished string in data")
            size = end - (data + position) + 1
            lua_pushlstring(L, data + position, size - 1)
            count += 1
        elif option != c'x':
            control(L, option, &form, &layout)
        position += size
    lua_pushinteger(L, <ssize_t>(position + 1))
    return count + 1


cdef int size(lua_State* L) noexcept nogil:
    """How many bytes a format takes."""
    cdef const char* form = luaL_checklstring(L, 1, NULL)
    cdef Layout layout = Layout(little=True, align=1)
    cdef size_t position = 0, bytes
    cdef char option
    while form[0]:
        option = form[0]
        form += 1
        bytes = bytes_of(L, option, &form)
        position += padding(&layout, position, option, bytes)
        if option == c's':
            luaL_argerror(L, 1, "option 's' has no fixed size")
        if option == c'c' and bytes == 0:
            luaL_argerror(L, 1, "option 'c0' has no fixed size")
        if not is_alphanumeric(option):
            control(L, option, &form, &layout)
        position += bytes
    lua_pushinteger(L, <ssize_t>position)
    return 1


cdef public int luaopen_struct(lua_State* L) noexcept nogil:
    """Push the table."""
    lua_createtable(L, 0, 3)
    add_function(L, "pack", pack)
    add_function(L, "unpack", unpack)
    add_function(L, "size", size)
    return 1
