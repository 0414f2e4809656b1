"""What scripts may do and what they are told when they may not: the language itself, snippet by snippet."""

from __future__ import annotations

import pytest

from tests.support.lua import wrapped
from tests.support.servers import Pair

SNIPPETS = r"""
    return coroutine.create(type)
    return coroutine.create()
    return coroutine.create(5)
    return coroutine.wrap(5)
    return coroutine.wrap(type)
    return coroutine.resume()
    return coroutine.resume(5)
    return coroutine.status(5)
    local c=coroutine.create(function(a) local b=coroutine.yield(a+1) return b*2 end) return coroutine.resume(c,1), coroutine.resume(c,10), coroutine.resume(c), coroutine.status(c)
    local c=coroutine.wrap(function() error('x') end) return c()
    local c=coroutine.wrap(function() error({1}) end) return pcall(c)
    local c=coroutine.wrap(function() redis.call('nosuch') end) return pcall(c)
    local c=coroutine.create(function() redis.call('nosuch') end) return coroutine.resume(c)
    local c=coroutine.create(function() error('x') end) return coroutine.resume(c)
    coroutine.yield(1)
    return coroutine.wrap(function() return coroutine.resume(coroutine.running()) end)()
    local c c=coroutine.wrap(function() c() end) c()
    return getmetatable('')
    return getmetatable('').__index == string
    getmetatable('').__index = function() return 1 end
    getmetatable('').__index.foo = 1
    setmetatable('', {})
    return setmetatable(_G, {})
    return setmetatable(redis, {})
    return getmetatable(_G)
    return getmetatable(redis)
    return getmetatable(cjson)
    return rawset(_G, 'a', 1)
    return rawset(redis, 'a', 1)
    return rawget(_G, 'redis') == redis
    return rawget(_G, 'nope')
    return rawequal(_G, _G._G)
    _G.x = 1
    x = 1
    redis.x = 1
    redis.call = 1
    string.rep = 1
    table.insert(redis, 1)
    table.insert(_G, 1)
    table.remove(redis)
    table.sort(redis)
    table.setn({}, 1)
    table.setn(redis, 1)
    return nope
    setfenv(1, {})
    return getfenv()
    return debug
    return os
    return io
    return os.clock()
    return print
    print(1)
    return require
    return module
    return newproxy
    return package
    return dofile
    return loadfile
    return python
    return loadstring('return 1')()
    return loadstring('x = 1')()
    return loadstring('return nope')()
    return loadstring('return nope', 'name')()
    return loadstring('return nope', '@name')()
    return loadstring('return nope', '=name')()
    return loadstring('syntax error here')
    return loadstring('syntax error here', '@abc')
    return loadstring()
    return loadstring({})
    return loadstring(12)
    return loadstring('return ...')(1,2,3)
    return loadstring(string.dump(function() return 1 end))
    return load(function() return string.dump(function() return 1 end) end)
    return string.dump(function() end):sub(1,4)
    return string.dump(type)
    return string.dump()
    return load(function() return nil end)
    local i=0 return load(function() i=i+1 return ({'ret','urn 7'})[i] end)()
    return load('return 1')
    return load()
    return load(function() return {} end)
    return load(function() error('boo') end)
    return pcall(load, function() error('boo') end)
    return pcall()
    return pcall(5)
    return pcall(nil)
    return pcall(error)
    return pcall(error, nil)
    return pcall(error, 'x')
    return pcall(error, 'x', 2)
    return pcall(error, {err='My Err'})
    return pcall(error, {err=5})
    return pcall(error, {ok='x'})
    return pcall(error, {1,2})
    return pcall(error, 12)
    return pcall(error, true)
    return pcall(function() error('x') end)
    return pcall(function() error('x', 0) end)
    return pcall(function() error('x', 1) end)
    return pcall(function() error('x', 2) end)
    return pcall(function() error('x', 3) end)
    return pcall(function() local x = nil + 1 end)
    return pcall(function() local x = {} .. 'a' end)
    return pcall(function() local x = nil; x.y = 1 end)
    return pcall(function() return #nil end)
    return pcall(function() return {} < {} end)
    return pcall(redis.call)
    return pcall(redis.call, 'nosuch')
    return pcall(redis.call, 'get')
    return pcall(redis.pcall, 'get')
    return redis.pcall('get')
    return redis.call('get')
    return redis.call()
    return redis.call({})
    return redis.call(nil)
    return redis.call('set', 'k', {})
    return xpcall()
    return xpcall(function() error('x') end)
    return xpcall(function() error('x') end, function(e) return e .. '!' end)
    return xpcall(function() redis.call('nosuch') end, function(e) return e end)
    return xpcall(function() error({err='My'}) end, function(e) return e end)
    return xpcall(type, type)
    return xpcall(function() return 1,2,3 end, type)
    return xpcall(function() error('x') end, 5)
    return xpcall(5, function(e) return e end)
    return xpcall(5)
    error('x')
    error({err='MY x'})
    error({err='MY'})
    error({err=5})
    error({1})
    error({ok='fine'})
    error()
    error(nil)
    error(5)
    error(true)
    error(function() end)
    return error_reply
    return redis.error_reply('a')
    return redis.error_reply('MY a')
    return redis.error_reply('-MY a')
    return redis.error_reply()
    return redis.error_reply(1)
    return redis.error_reply({})
    return redis.error_reply('')
    return redis.error_reply(' a')
    return redis.error_reply("a\r\nb")
    return redis.status_reply('a')
    return redis.status_reply()
    return redis.status_reply(5)
    return redis.status_reply('a','b')
    return redis.sha1hex()
    return redis.sha1hex('')
    return redis.sha1hex(5)
    return redis.sha1hex({})
    return redis.sha1hex('a','b')
    return redis.log()
    return redis.log(1)
    return redis.log(9,'x')
    return redis.log('x','x')
    return redis.log(redis.LOG_DEBUG,'x')
    return redis.setresp()
    return redis.setresp(4)
    return redis.setresp('3')
    return redis.setresp(2)
    return redis.setresp(2.5)
    return redis.set_repl(7)
    return redis.set_repl(3)
    return redis.replicate_commands()
    return redis.breakpoint()
    return redis.debug('x')
    return redis.acl_check_cmd('get','k')
    return redis.acl_check_cmd('nosuch')
    return redis.acl_check_cmd()
    return redis.acl_check_cmd({})
    return redis.register_function
    return redis.nope
    return math.random()
    math.randomseed(5) return math.random(), math.random(10), math.random(5,9)
    return math.random(0)
    return math.random(2,1)
    return math.random(1,2,3)
    return math.random('x')
    return math.random({})
    math.randomseed()
    return math.randomseed('7')
    math.randomseed(1.9) return math.random(100)
    math.randomseed(-3) return math.random(1000000)
    math.randomseed(2^40) return math.random(1000000)
    return math.random(2^33)
    return math.random(1.9)
    return tostring()
    return tostring(setmetatable({}, {__tostring=function() return 'x' end}))
    return tonumber('0x10'), tonumber('z',36), tonumber('8',8), tonumber(''), tonumber(' 5 '), tonumber('1e2')
    return tonumber()
    return tonumber('1', 99)
    return type()
    return select()
    return select(0)
    return select(-1, 1, 2)
    return select('#', nil, nil)
    return select(2, 'a', 'b', 'c')
    return unpack({1,2,3})
    return unpack({}, 1, 1e7)
    return unpack({}, 1, 7000)
    return unpack()
    return next({})
    return next()
    return next({1})
    return next({}, 'x')
    return next(redis, 'nope')
    return type(next(redis))
    return pairs()
    return pairs(5)
    return ipairs()
    return ipairs(5)
    for i, v in ipairs(redis) do return i end
    for k, v in pairs({1,2}) do if v == 2 then return k end end
    return (pairs({}))
    return assert(false)
    return assert(nil, 'boo')
    return assert(1, 2, 3)
    return assert()
    return assert(false, {err='MY boo'})
    return collectgarbage('count') > 0
    return collectgarbage()
    return collectgarbage('nope')
    return gcinfo() > 0
    return rawequal(1)
    return rawget()
    return rawget({})
    return rawget(5, 1)
    return rawset({}, 'a')
    return rawset({}, 'a', 5)
    return rawset(5, 1, 2)
    return rawset({}, nil, 5)
    return getmetatable()
    return getmetatable(5)
    return getmetatable({})
    return getmetatable(setmetatable({}, {__metatable='locked'}))
    return setmetatable({}, 5)
    return setmetatable({})
    return setmetatable()
    return setmetatable(5, {})
    return pcall(setmetatable, setmetatable({}, {__metatable=1}), {})
    return string.rep('x', -1)
    return string.format('%s %d %5.2f %x %q %c %i %u', 'a', 1, 2.5, 255, 'a"b', 65, 7, 8)
    return string.format('%d', 'x')
    return string.format('%y', 1)
    return string.format('%s')
    return string.format('%99999d', 1)
    return string.format('%s', {}) ~= nil
    return string.format('%s', setmetatable({}, {__tostring=function() return 'x' end}))
    return string.gsub('abc', '%w', '%0%0')
    return string.gsub('abc', '(', 'x')
    return string.find('abc', '[a')
    return string.gsub('hello world', 'o', {o='0'})
    return string.gsub('abc', 'b', function() error('x') end)
    return string.gsub('abc', 'b', function() return redis.call('nosuch') end)
    local t={} for w in string.gmatch('a b c', '%w') do t[#t+1]=w end return t
    return ('x'):upper()
    return ('x').y
    return ('x'):nope()
    return #'abc'
    return table.concat({1,2,3}, ',')
    return table.concat({1,{},3}, ',')
    return table.concat()
    return table.concat(redis)
    return table.insert()
    return table.insert({}, 1, 2, 3)
    return table.insert(5, 1)
    return table.remove({1,2,3})
    return table.remove(5)
    return table.sort({3,1,2}, function(a,b) return nil + 1 end)
    return table.sort({3,'a',2})
    local t={3,1,2} table.sort(t) return t
    local t={3,1,2} table.sort(t, function(a,b) return true end) return #t
    return table.getn({1,2})
    return table.maxn({1,2,[10]=1})
    return table.maxn(redis)
    return table.foreach({1}, function(k,v) return v end)
    return table.foreachi({4}, function(k,v) return v end)
    return table.getn(redis)
    return #redis
    return #KEYS
    local function f() return f() + 1 end return f()
    local function f() return 1 + f() end return pcall(f)
    local function f(n) if n == 0 then return 'done' end return f(n-1) end return f(100000)
    local t = setmetatable({}, {}) getmetatable(t).__index = t return t.x
    local t = setmetatable({}, {__index=function(t,k) return t[k] end}) return t.x
    local t = {} for i=1,300 do t = setmetatable({}, {__index=t}) end return t.x
    local s = 'return ' .. ('('):rep(300) .. '1' .. (')'):rep(300) return loadstring(s)
    local s = ('do '):rep(300) .. ('end '):rep(300) return loadstring(s)
    local s = 'local a = ' .. ('{'):rep(10000) .. ('}'):rep(10000) return loadstring(s)
    return pcall(string.gsub, 'a', 'a', function() return pcall(string.gsub, 'a', 'a', function() return 'b' end) and 'c' end)
    local function f() return (string.gsub('a','a',f)) end return pcall(f)
    local t = {} for i=1,10 do t[i]=i end t.n=5 return t
    return {1,nil,3}
    return {1,2,nil,4}
    return {1.9, -1.9, 1e20, 0/0, 1/0, -1/0}
    return {true, false, nil}
    return {false, true}
    return cjson
    return type
    return 'a\0b'
    return setmetatable({}, {__index=function(t,k) if k < 4 then return k end end})
    return setmetatable({}, {__index=function(t,k) error('idx') end})
    return setmetatable({1}, {__index=function(t,k) if k == 'ok' then return 'x' end end})
    local t = {} for i=1,100 do t={t} end return t
    return redis.call('ping')
    return redis.call('set','k','v')
    return redis.call('get','k')
    return redis.call('get','nokey')
    return redis.call('incr','n')
    return redis.call('lrange','l',0,-1)
    return redis.call('type','k').ok
    return type(redis.call('get','nokey'))
    redis.setresp(3) return redis.call('get','nokey') == nil
    redis.setresp(3) return redis.call('hgetall','h')
    redis.call('hset','h','a',1) redis.setresp(3) return redis.call('hgetall','h')
    redis.call('sadd','s','a') redis.setresp(3) return redis.call('smembers','s')
    redis.call('zadd','z',1.5,'a') redis.setresp(3) return redis.call('zscore','z','a')
    redis.setresp(3) return redis.call('debug','protocol','bignum')
    redis.setresp(3) return redis.call('debug','protocol','verbatim')
    redis.setresp(3) return redis.call('debug','protocol','attrib')
    return redis.call('set','k',1.5)
    return redis.call('set','k',1e20), redis.call('get','k')
    redis.call('set','k',0.5) return redis.call('get','k')
    redis.call('set','k',3) return redis.call('get','k')
    redis.call('set','k',2^53+2) return redis.call('get','k')
    redis.call('set','k',1/0) return redis.call('get','k')
    redis.call('set','k',0/0) return redis.call('get','k')
    return redis.call('echo', true)
    return redis.call('multi')
    return redis.call('subscribe','x')
    return redis.call('eval','return 1',0)
    return redis.call('auth','x')
    return redis.call('lpush','k','x')
    local ok, e = pcall(redis.call,'lpush','k','x') return e
    local r = redis.pcall('lpush','k','x') return r.err
    local r = redis.pcall('lpush','k','x') return r
    local r = redis.pcall('lpush','k','x') local t={} for k,v in pairs(r) do t[#t+1]=tostring(k)..'='..tostring(v) end table.sort(t) return t
    local ok, e = pcall(redis.call,'lpush','k','x') return type(e)
    error(redis.pcall('lpush','k','x'))
    return pcall(error, redis.pcall('lpush','k','x'))
    return string.char(256)
    return string.char(-1)
    return string.byte('abc', 1, 1e9)
    return math.floor(1.5), math.huge, math.pi, math.fmod(5,3), math.max(1,2), math.min()
    return math.max()
    return math.floor('x')
    return 'a' < 'b', 1 == 1.0, '1' == 1, 'a\0b' < 'a\0c'
    return '10' + 5, 10 .. 20
    return 'x' + 1
""".strip().splitlines()  # noqa: E501


@pytest.mark.parametrize("snippet", [line.strip() for line in SNIPPETS])
def test_snippets(pair: Pair, snippet: str) -> None:
    script = wrapped(snippet)
    ours, redis = (server.call("EVAL", script, 0) for server in (pair.ours("standalone"), pair.oracle("standalone")))
    assert ours == redis


@pytest.mark.parametrize(
    "library", ["bit", "struct", "cmsgpack", "cjson", "string", "table", "math", "coroutine", "redis"]
)
def test_members(pair: Pair, library: str) -> None:
    script = (
        f"local t = {{}} for name, member in pairs({library}) do t[#t + 1] = name .. ' ' .. type(member) end return t"
    )
    ours, redis = (server.call("EVAL", script, 0) for server in (pair.ours("standalone"), pair.oracle("standalone")))
    assert sorted(ours) == sorted(redis)


def test_globals(pair: Pair) -> None:
    script = "local t = {} for name, member in pairs(_G) do t[#t + 1] = name .. ' ' .. type(member) end return t"
    ours, redis = (server.call("EVAL", script, 0) for server in (pair.ours("standalone"), pair.oracle("standalone")))
    newer = [each for each in ours if each == b"server table"]  # the name that Valkey 8 has brought
    assert len(newer) == 1
    assert sorted([*ours, b"__redis__err__handler function"]) == sorted([*redis, *newer])
