"""What the C library's allocator tells of itself, and what the engine was compiled with: figures of INFO.

Everything that does not come from the engine's own slabs and mappings (alloc.pyx) is malloc's: larger values, buffers, and
what Python asks of it; Python's small objects are in arenas of its own, which only the process' resident size shows.
"""

from libc.stddef cimport size_t

cdef extern from *:
    """
    #include <stddef.h>
    #include <stdlib.h>
    #if defined(__GLIBC__) && (__GLIBC__ > 2 || (__GLIBC__ == 2 && __GLIBC_MINOR__ >= 33))
    #include <malloc.h>
    static void shardis_heap(size_t *used, size_t *active, size_t *resident) {
        struct mallinfo2 told = mallinfo2();
        *used = told.uordblks + told.hblkhd;
        *active = told.arena - told.keepcost + told.hblkhd;   /* keepcost: free at the top, and can be given back */
        *resident = told.arena + told.hblkhd;
    }
    #else
    static void shardis_heap(size_t *used, size_t *active, size_t *resident) {
        *used = *active = *resident = 0;
    }
    #endif
    #ifdef __GNUC__
    #define SHARDIS_GNUC __GNUC__, __GNUC_MINOR__, __GNUC_PATCHLEVEL__
    #else
    #define SHARDIS_GNUC 0, 0, 0
    #endif
    static void shardis_compiler(int *version) {
        int told[3] = { SHARDIS_GNUC };
        version[0] = told[0], version[1] = told[1], version[2] = told[2];
    }
    """
    void shardis_heap(size_t* used, size_t* active, size_t* resident) noexcept nogil
    void shardis_compiler(int* version) noexcept nogil


def heap() -> tuple:
    """Bytes of malloc: in use, in what it cannot give back, and taken from the system. Zeros where it does not tell."""
    cdef size_t used = 0, active = 0, resident = 0
    shardis_heap(&used, &active, &resident)
    return used, active, resident


def compiler_version() -> str:
    """The version of gcc (or of what clang claims to be), as in `gcc_version`."""
    cdef int version[3]
    shardis_compiler(version)
    return f"{version[0]}.{version[1]}.{version[2]}"
