"""A report in the log when the process crashes: by which signal, where, and the Python stacks of all threads.

The handler does what may be done in one: it formats into memory of its own, opens the log and writes. Then it gives the
signal on to faulthandler, which was installed before it and writes the stacks, and that to the system, which ends the
process as it would have ended. Only sigaction lets a handler run for a fault: Python's own handlers wait for the next
instruction of Python, which never comes.
"""

import faulthandler
import os

from libc.signal cimport SIGABRT, SIGBUS, SIGFPE, SIGILL, SIGSEGV, raise_
from libc.stdio cimport snprintf
from libc.string cimport memset
from posix.fcntl cimport O_APPEND, O_CREAT, O_WRONLY, open as c_open
from posix.signal cimport SA_NODEFER, SA_ONSTACK, SA_SIGINFO, sigaction, sigaction_t, siginfo_t
from posix.unistd cimport STDOUT_FILENO, dup2, getpid, write

cdef int[5] numbers
numbers[:] = [SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGABRT]

cdef sigaction_t[5] before
cdef bytes log_path = b""            # kept alive for the pointer
cdef const char* path = NULL         # NULL: standard output
cdef bytes version_text = b""
cdef const char* version = NULL
cdef int stacks_fd = -1              # where faulthandler writes


cdef void crashed(int number, siginfo_t* info, void* context) noexcept nogil:
    cdef char[256] line
    cdef int i, length, fd = STDOUT_FILENO
    if path != NULL:
        fd = c_open(path, O_APPEND | O_CREAT | O_WRONLY, 0o644)
    length = snprintf(
        line, sizeof(line),
        b"\n=== SHARDIS BUG REPORT START ===\n%d:Shardis %s crashed by signal: %d, si_code: %d, address: %p\n",
        <int>getpid(), version, number, info.si_code, info.si_addr,
    )
    write(fd, line, length)
    dup2(fd, stacks_fd)
    for i in range(5):
        if numbers[i] == number:
            sigaction(number, &before[i], NULL)
    raise_(number)


def stop_reporting() -> None:
    """The system's own handlers again."""
    cdef int i
    global stacks_fd
    if stacks_fd < 0:
        return
    for i in range(5):
        sigaction(numbers[i], &before[i], NULL)
    faulthandler.disable()
    os.close(stacks_fd)
    stacks_fd = -1


def report_crashes(version_name: str, logfile: str) -> None:
    """From now on, to the log file, or standard output if there is none."""
    global log_path, path, version_text, version, stacks_fd
    cdef sigaction_t action
    cdef int i
    if stacks_fd >= 0:
        return
    if logfile:
        log_path = os.fsencode(logfile)
        path = log_path
    version_text = version_name.encode()
    version = version_text
    stacks_fd = os.dup(STDOUT_FILENO)
    faulthandler.enable(stacks_fd)
    memset(&action, 0, sizeof(action))
    action.sa_sigaction = crashed
    action.sa_flags = SA_SIGINFO | SA_ONSTACK | SA_NODEFER
    for i in range(5):
        sigaction(numbers[i], &action, &before[i])
