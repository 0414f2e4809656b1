"""Opened by the interpreter of Lua, which has names of its own for what is in here: nothing is for Python."""
