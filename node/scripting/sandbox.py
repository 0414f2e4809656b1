"""The sandbox, in Lua: what scripts see of the language, and the way in and out of them.

Scripts of Redis live in tables that cannot be changed, which Redis has by a change of Lua itself. Here such a table is
an empty one, the *front*, that looks things up in the real one and refuses assignments; the functions that would go
around that (rawset, next, setmetatable ...) are told which tables are fronts. Functions of scripts have the front of
all globals as their environment, and `loadstring` gives it to what it compiles. Byte code is refused: nobody checks it.

A function that raises errors on behalf of its caller has to be a C function, or `return redis.call(...)` would take its
place on the stack, and the error could not be told from where it came: `as_function` makes one of a Python function.
An exception that leaves Python arrives in Lua as an opaque object; whatever shows an error to a script makes a table of
it first (`as_table`).

A hook that runs every HOOK_INSTRUCTIONS asks Python whether to go on (node/scripting/slices.py). Hooks belong to one
coroutine, so each gets its own.
"""

HOOK_INSTRUCTIONS = 100_000
"""About a millisecond of Lua."""

SANDBOX = rb"""
local host, hook_instructions = ...

local as_function = python.as_function
local raw_pcall, raw_xpcall, error, type, tostring, select = pcall, xpcall, error, type, tostring, select
local raw_rawget, raw_rawset, raw_next, raw_pairs = rawget, rawset, next, pairs
local raw_getmetatable, raw_setmetatable, setfenv = getmetatable, setmetatable, setfenv
local raw_loadstring, raw_load = loadstring, load
local create, resume, status = coroutine.create, coroutine.resume, coroutine.status
local getinfo, sethook = debug.getinfo, debug.sethook
local byte, format, match, gsub, unpack = string.byte, string.format, string.match, string.gsub, unpack
local explain, interrupt, write, count_error = host.explain, host.interrupt, host.write, host.count_error

local OWN = "=sandbox"
local MOST_RESULTS = 8000 -- as many values as a function of C may have on the stack
local READONLY = "Attempt to modify a readonly table"
local fronts = raw_setmetatable({}, {__mode = "k"})     -- front -> the table behind it
local metatables = raw_setmetatable({}, {__mode = "k"}) -- front -> the front of its metatable
local environment                                       -- the front of all globals
local hook

-- Errors

local function as_table(e)
    if type(e) ~= "userdata" then return e end
    local text, counted, plain = explain(e)
    if plain then return text end
    return {err = text, ignore_error_stats_update = counted or nil}
end

local function place(where) return match(where.source, "^@?(.*)") .. ":" .. where.currentline .. ":" end

-- The handler of errors that nobody catches: says where the script was.
local function locate(e)
    sethook(hook, "", hook_instructions) -- where a script was killed, the hook would go on raising errors
    local opaque = type(e) == "userdata"
    e = as_table(e)
    local level, where = 2, getinfo(2, "Sl")
    while where and (where.what ~= "Lua" and where.what ~= "main" or where.source == OWN) do
        level = level + 1
        where = getinfo(level, "Sl")
    end
    if type(e) ~= "table" or fronts[e] then
        e = tostring(e)
        if where then e = opaque and place(where) .. " " .. e or gsub(e, "^sandbox:%d+:", place(where)) end
        e = {err = "ERR " .. e}
    end
    if where then
        e.source = where.source
        e.line = where.currentline
    end
    return e
end

local function expect(kind, value, position, name, given)
    if type(value) ~= kind then
        local what = given < position and "no value" or type(value)
        error(format("bad argument #%d to '%s' (%s expected, got %s)", position, name, kind, what), 3)
    end
end

-- Tables that cannot be changed

local function refuse() error(READONLY, 2) end

local function front_of(t, meta)
    local front = {}
    fronts[front] = t
    metatables[front] = meta
    return raw_setmetatable(front, {__index = t, __newindex = refuse})
end

local function front_with_all_inside(t)
    local inside = {}
    for name, value in raw_pairs(t) do
        inside[name] = type(value) == "table" and front_with_all_inside(value) or value
    end
    return front_of(inside)
end

-- The language

local language = {}
local globals = {
    assert = assert, collectgarbage = collectgarbage, error = error, gcinfo = gcinfo, ipairs = ipairs, select = select,
    tonumber = tonumber, tostring = tostring, type = type, rawequal = rawequal, _VERSION = _VERSION,
}

-- Lua's own crashes where the number of results does not fit into an int.
function globals.unpack(...)
    local t, first, last = ...
    local given = select("#", ...)
    expect("table", t, 1, "unpack", given)
    if given == 1 then return unpack(t) end
    first, last = first == nil and 1 or first, last == nil and #t or last
    if (tonumber(last) or 0) - (tonumber(first) or 0) >= MOST_RESULTS then error("too many results to unpack", 2) end
    return unpack(t, first, last)
end

function globals.rawget(...)
    local t, key = ...
    expect("table", t, 1, "rawget", select("#", ...))
    return raw_rawget(fronts[t] or t, key)
end

function globals.next(...)
    local t, key = ...
    expect("table", t, 1, "next", select("#", ...))
    return raw_next(fronts[t] or t, key)
end

function globals.pairs(...)
    local t = ...
    expect("table", t, 1, "pairs", select("#", ...))
    if fronts[t] then return globals.next, t, nil end
    return raw_next, t, nil
end

function globals.rawset(...)
    local t, key, value = ...
    expect("table", t, 1, "rawset", select("#", ...))
    if fronts[t] then error(READONLY, 0) end
    return raw_rawset(t, key, value)
end

function globals.getmetatable(...)
    local value = ...
    if select("#", ...) == 0 then error("bad argument #1 to 'getmetatable' (value expected)", 2) end
    if fronts[value] then return metatables[value] end
    local meta = raw_getmetatable(value)
    return metatables[meta] or meta
end

function globals.setmetatable(...)
    local t, meta = ...
    expect("table", t, 1, "setmetatable", select("#", ...))
    if select("#", ...) < 2 or (meta ~= nil and type(meta) ~= "table") then
        error("bad argument #2 to 'setmetatable' (nil or table expected)", 2)
    end
    if fronts[t] then error(READONLY, 0) end
    return raw_setmetatable(t, meta)
end

local function caught(ok, ...)
    if ok then return true, ... end
    local e = as_table(...)
    if type(e) == "table" then
        local text = e.err
        if type(text) == "string" or type(text) == "number" then return false, text end
    end
    return false, e
end

function globals.pcall(...)
    if select("#", ...) == 0 then error("bad argument #1 to 'pcall' (value expected)", 2) end
    return caught(raw_pcall(...))
end

function globals.xpcall(f, handler)
    return raw_xpcall(f, function(e) return handler(as_table(e)) end)
end

local function as_source(code)
    return byte(code, 1) == 27 and " " .. code or code
end

local function in_sandbox(f, ...)
    if f then return setfenv(f, environment) end
    return f, ...
end

function globals.loadstring(...)
    local code, name = ...
    if type(code) == "number" then code = tostring(code) end
    expect("string", code, 1, "loadstring", select("#", ...))
    return in_sandbox(raw_loadstring(as_source(code), name or code))
end

function globals.load(reader, name)
    local begun = false
    local function pieces()
        local piece = reader()
        if not begun and type(piece) == "string" then piece = as_source(piece) end
        begun = true
        return piece
    end
    return in_sandbox(raw_load(pieces, name or "=(load)"))
end

-- Coroutines, each with the hook

local function resumed(co, ok, ...)
    if status(co) == "dead" then sethook(co) end
    if ok then return true, ... end
    return false, as_table(...)
end

local function unwrapped(ok, ...)
    if ok then return ... end
    local e = ...
    error(e, type(e) == "string" and 3 or 0)
end

local coroutines = {
    resume = function(co, ...)
        if type(co) ~= "thread" then error("bad argument #1 to 'resume' (coroutine expected)", 2) end
        return resumed(co, resume(co, ...))
    end,
    create = function(f)
        local co = create(f)
        sethook(co, hook, "", hook_instructions)
        return co
    end,
    running = coroutine.running, status = status, yield = coroutine.yield,
}
function coroutines.wrap(f)
    local co = coroutines.create(f)
    return function(...) return unwrapped(resumed(co, resume(co, ...))) end
end

-- Libraries

local function guarded(f, name)
    return function(...)
        local t = ...
        if fronts[t] then error(READONLY, 0) end
        expect("table", t, 1, name, select("#", ...))
        return f(...)
    end
end

local function copy(t)
    local out = {}
    for name, value in raw_pairs(t) do out[name] = value end
    return out
end

local tables, maths = copy(table), copy(math)
for _, name in ipairs({"insert", "remove", "sort", "setn"}) do tables[name] = guarded(table[name], name) end
maths.random, maths.randomseed = as_function(host.random), as_function(host.randomseed)

-- The way in

function hook()
    local verdict = interrupt()
    if verdict then
        sethook(hook, "l")
        error({err = verdict}, 0)
    end
end

local function outcome(client, ok, value)
    if ok then return true, write(value, host.protocol(), client, count_error) end
    if type(value) ~= "table" then return false, nil, tostring(value) end
    return false, value.err, value.source, value.line, value.ignore_error_stats_update
end

-- Runs a function; true and its reply, or false and what is known of the error.
function language.run(f, client, ...)
    local n, arguments = select("#", ...), {...}
    sethook(hook, "", hook_instructions)
    return outcome(client, raw_xpcall(function() return f(unpack(arguments, 1, n)) end, locate))
end

function language.compile(code, name)
    return in_sandbox(raw_loadstring(as_source(code), name))
end

function language.define(name, value)
    globals[name] = value
end

-- Tables of the host (`redis`) have C functions out of Python ones.
function language.put(t, name, value)
    t[name] = type(value) == "userdata" and as_function(value) or value
end

local function missing(_, name)
    error(format("Script attempted to access nonexistent global variable '%s'", tostring(name)), 2)
end

-- Runs the text of a library, which sees nothing but a `redis` of its own; the error, if there is one.
local while_loading

function language.load(f)
    local meta = raw_getmetatable(environment)
    sethook(hook, "", hook_instructions)
    meta.__index = while_loading
    local ok, e = raw_xpcall(f, function(e)
        sethook(hook, "", hook_instructions)
        return as_table(e)
    end)
    meta.__index = globals
    if ok then return nil end
    if type(e) == "table" then return tostring(e.err) end
    return "ERR " .. tostring(e)
end

-- Closes the sandbox: `redis` and the libraries that are there by now are what scripts get. `redis_while_loading`, if
-- given, is what the text of a library has. With `deprecated`, scripts have what Redis had before 7.0.
function language.close(redis, redis_while_loading, deprecated)
    if deprecated then globals.newproxy, globals.setfenv, globals.getfenv = newproxy, setfenv, getfenv end
    if redis_while_loading then
        local front = front_of(raw_setmetatable(redis_while_loading, {__index = missing}))
        while_loading = raw_setmetatable({redis = front}, {__index = missing})
    end
    globals.redis = front_of(redis)
    globals.coroutine = front_of(coroutines)
    globals.table, globals.math, globals.string = front_of(tables), front_of(maths), front_of(copy(string))
    for _, name in ipairs({"cjson", "cmsgpack", "struct", "bit"}) do
        if _G[name] then globals[name] = front_with_all_inside(_G[name]) end
    end
    raw_setmetatable(globals, {__index = missing})
    environment = front_of(globals, front_of({__index = missing}))
    globals._G = environment
    local strings = raw_getmetatable("")
    strings.__index = globals.string
    metatables[strings] = front_of(strings)
    for _, name in ipairs({"debug", "dofile", "io", "loadfile", "module", "newproxy", "os", "package", "print",
                           "python", "require"}) do
        _G[name] = nil
    end
end

return language
"""
