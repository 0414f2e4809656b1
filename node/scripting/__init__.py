"""Scripts: EVAL and functions, in Lua 5.1 as Redis has it.

    scripts.py      what a node has of all this: the scripts that it knows, the script that runs
    functions.py    libraries of functions; registering.py: how these register them
    slices.py       how a long script lets the loop have its turns
    shebang.py      the first line of a script: its engine, its name, its flags
    running.py      one run: may it begin, may a command of it be carried out
    api.py          what scripts find in the table `redis`
    calls.pyx       redis.call, and replies of commands as values of Lua
    results.pyx     values of Lua as replies
    interpreter.py  one Lua state, with the sandbox of sandbox.py around whatever runs there
    libraries/      cjson, cmsgpack, struct and bit

An interpreter is made for the first script: a node without scripts has neither it nor its memory.
"""
