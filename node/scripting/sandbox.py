"""The sandbox, in Lua: what scripts see of the language, and the way in and out of them.

Scripts of Redis live in tables that cannot be changed, which Redis has by a change of Lua itself. Here such a table is
an empty one, the *front*, that looks things up in the real one and refuses assignments; the functions that would go
around that (rawset, next, setmetatable ...) are told which tables are fronts (libraries/guards.pyx). Functions of
scripts have the front of all globals as their environment, and `loadstring` gives it to what it compiles. Byte code is
refused: nobody checks it.

A function that raises errors on behalf of its caller has to be a C function, or `return redis.call(...)` would take its
place on the stack, and the error could not be told from where it came: `of_host` makes one of a Python function. An
exception of Python would arrive in Lua as an object; `of_host` makes an error of Lua of it.

A hook that runs every HOOK_INSTRUCTIONS asks Python whether to go on (node/scripting/slices.py).
"""

HOOK_INSTRUCTIONS = 100_000
"""About a millisecond of Lua."""

SANDBOX = rb"""
local host, hook_instructions = ...

local as_function, guards = python.as_function, host.guards
local raw_xpcall, error, type, tostring, select = xpcall, error, type, tostring, select
local raw_pairs = pairs
local raw_getmetatable, raw_setmetatable = getmetatable, setmetatable
local getinfo, arm = debug.getinfo, guards.arm
local format, unpack, write, count_error = string.format, unpack, host.write, host.count_error

local function of_host(f) return guards.host(as_function(f), host.explain) end

local interrupt = of_host(host.interrupt)

local OWN = "=sandbox"
local READONLY = "Attempt to modify a readonly table"
local fronts = raw_setmetatable({}, {__mode = "k"})     -- front -> the table behind it
local metatables = raw_setmetatable({}, {__mode = "k"}) -- front or metatable -> what scripts get for it
local environment                                       -- the front of all globals
local compile

-- The handler of errors that nobody catches: says where the script was.
local function locate(e)
    arm(hook_instructions) -- where a script was killed, the hook would go on raising errors
    local level, where = 2, getinfo(2, "Sl")
    while where and (where.what ~= "Lua" and where.what ~= "main" or where.source == OWN) do
        level = level + 1
        where = getinfo(level, "Sl")
    end
    if type(e) ~= "table" or fronts[e] then e = {err = "ERR " .. tostring(e)} end
    if where then
        e.source = where.source
        e.line = where.currentline
    end
    return e
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
    tonumber = tonumber, tostring = tostring, type = type, rawequal = rawequal, xpcall = xpcall, _VERSION = _VERSION,
    pcall = guards.pcall, unpack = guards.unpack(unpack),
    next = guards.reading(next, fronts), rawget = guards.reading(rawget, fronts),
    rawset = guards.writing(rawset, fronts), setmetatable = guards.writing(setmetatable, fronts),
    getmetatable = guards.metatables(getmetatable, fronts, metatables),
}
globals.pairs = guards.pairs_by(pairs, globals.next)

local function copy(t)
    local out = {}
    for name, value in raw_pairs(t) do out[name] = value end
    return out
end

local tables, maths, strings = copy(table), copy(math), copy(string)
tables.insert = guards.writing(table.insert, fronts)
maths.random, maths.randomseed = of_host(host.random), of_host(host.randomseed)
strings.rep = guards.rep

-- The way in

guards.hook(function()
    local verdict = interrupt()
    if verdict then
        arm(0)
        error({err = verdict}, 0)
    end
end)

local function outcome(client, ok, value)
    if ok then return true, write(value, host.protocol(), client, count_error) end
    if type(value) ~= "table" then return false, nil, tostring(value) end
    return false, value.err, value.source, value.line, value.ignore_error_stats_update
end

-- Runs a function; true and its reply, or false and what is known of the error.
function language.run(f, client, ...)
    local n, arguments = select("#", ...), {...}
    arm(hook_instructions)
    if n == 0 then return outcome(client, raw_xpcall(f, locate)) end
    return outcome(client, raw_xpcall(function() return f(unpack(arguments, 1, n)) end, locate))
end

function language.compile(code, name)
    return compile(code, name)
end

function language.define(name, value)
    globals[name] = value
end

-- Tables of the host (`redis`) have C functions out of Python ones.
function language.put(t, name, value)
    t[name] = type(value) == "userdata" and of_host(value) or value
end

local function missing(_, name)
    error(format("Script attempted to access nonexistent global variable '%s'", tostring(name)), 2)
end

-- Runs the text of a library, which sees nothing but a `redis` of its own; the error, if there is one.
local while_loading

function language.load(f)
    local meta = raw_getmetatable(environment)
    arm(hook_instructions)
    meta.__index = while_loading
    local ok, e = raw_xpcall(f, function(e)
        arm(hook_instructions)
        return e
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
        while_loading = raw_setmetatable({redis = front, server = front}, {__index = missing})
    end
    globals.redis = front_of(redis)
    globals.server = globals.redis -- its name in Valkey
    globals.coroutine = front_of(copy(coroutine))
    globals.table, globals.math, globals.string = front_of(tables), front_of(maths), front_of(strings)
    for _, name in ipairs({"cjson", "cmsgpack", "struct", "bit"}) do
        if _G[name] then globals[name] = front_with_all_inside(_G[name]) end
    end
    raw_setmetatable(globals, {__index = missing})
    environment = front_of(globals, front_of({__index = missing}))
    globals._G = environment
    compile = guards.loadstring(loadstring, environment)
    globals.loadstring, globals.load = compile, guards.load(load, environment)
    local of_strings = raw_getmetatable("")
    of_strings.__index = globals.string
    metatables[of_strings] = front_of(of_strings)
    raw_getmetatable(host.explain).__metatable = false -- that of all objects of Python
    for _, name in ipairs({"debug", "dofile", "io", "loadfile", "module", "newproxy", "os", "package", "print",
                           "python", "require"}) do
        _G[name] = nil
    end
end

return language
"""
