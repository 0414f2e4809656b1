"""Build of the compiled engine; everything else about the project is in pyproject.toml.

Modules are compiled side by side, one job a core, and what the compiler says of one stays together: when a module
fails, its output and one sentence that names it are the last thing printed.

SHARDIS_JOBS=N compiles N modules at a time.
SHARDIS_DEBUG=1 adds what debuggers need (a third more time; the code is the same).
SHARDIS_ASAN=1 builds the engine under AddressSanitizer (`make asan`).
SHARDIS_ANNOTATE=1 writes Cython's annotated HTML beside each source, for profiling.
"""

import glob
import os
import shutil
import subprocess
import sys
import sysconfig
from concurrent.futures import FIRST_EXCEPTION, ThreadPoolExecutor, wait

from setuptools import Extension, setup
from setuptools.command.build import build
from setuptools.command.build_ext import build_ext
from setuptools.errors import CompileError, ExecError

ASAN = os.environ.get("SHARDIS_ASAN") == "1"
WHEEL_BUILD = "build/wheel"
MOST_JOBS = 12
"""The largest module alone takes a tenth of the whole time, so that more jobs would only take memory."""


class BuildEngine(build_ext):
    """build_ext on all cores, which says in one sentence what a machine lacks or which module does not compile."""

    def finalize_options(self) -> None:
        super().finalize_options()
        if not (self.inplace or self.editable_mode):
            # What the tests look into the engine with is compiled where the tests are, and is no part of a wheel.
            self.extensions = [each for each in self.extensions if not each.name.startswith("tests.")]
        if self.editable_mode:
            # Where `make build` works too, so that it finds what pip has compiled and compiles only what has changed.
            place = f"{sysconfig.get_platform()}-{sys.implementation.cache_tag}"
            self.build_lib, self.build_temp = f"build/lib.{place}", f"build/temp.{place}"

    def build_extensions(self) -> None:
        refuse_what_is_missing()
        self.parallel = self.parallel or jobs()
        made = {each.name: each for each in cythonized(self.extensions, self.parallel)}
        for each in self.extensions:
            each.sources, each.depends = made[each.name].sources, made[each.name].depends
        self.compiler.spawn = spawn_quietly
        # Large ones first: a core that is left with the largest at the end would keep all others waiting.
        largest_first = sorted(self.extensions, key=lambda each: -os.path.getsize(each.sources[0]))
        with ThreadPoolExecutor(self.parallel) as pool:
            running = {pool.submit(self.build_extension, each): each.name for each in largest_first}
            done, waiting = wait(running, return_when=FIRST_EXCEPTION)
            for each in waiting:
                each.cancel()
        for each in done:
            if isinstance(each.exception(), CompileError | ExecError):
                sys.exit(
                    f"{each.exception()}\nshardis: the compiled module {running[each]} could not be built; see above"
                )
            each.result()


class BuildAnew(build):
    """What a wheel holds is what the tree has now, and nothing that an earlier build has left behind."""

    def finalize_options(self) -> None:
        if "bdist_wheel" in self.distribution.commands:
            self.build_base = WHEEL_BUILD
            shutil.rmtree(WHEEL_BUILD, ignore_errors=True)
        super().finalize_options()


def refuse_what_is_missing() -> None:
    compiler = (os.environ.get("CC") or sysconfig.get_config_var("CC") or "cc").split()[0]
    install = (
        "install it (Debian, Ubuntu: apt-get install gcc libc6-dev python3-dev; Fedora: dnf install gcc python3-devel)"
    )
    if shutil.which(compiler) is None:
        sys.exit(f"shardis needs a C compiler to build its engine and found no '{compiler}': {install}.")
    headers = [sysconfig.get_path("include"), sysconfig.get_path("platinclude")]
    if not any(os.path.exists(os.path.join(folder, "Python.h")) for folder in headers):
        sys.exit(f"shardis needs Python's C headers to build its engine and found no {headers[0]}/Python.h: {install}.")


def jobs() -> int:
    told = os.environ.get("SHARDIS_JOBS", "")
    return int(told) if told.isdigit() and int(told) > 0 else min(len(os.sched_getaffinity(0)), MOST_JOBS)


def spawn_quietly(command: list[str], **_: object) -> None:
    """Run the compiler; what it says is printed in one piece, or is the error's text if it fails."""
    told = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace")
    if told.returncode:
        raise CompileError(f"{' '.join(command)}\n{told.stdout}")
    if told.stdout:
        print(told.stdout, end="", flush=True)


def extensions() -> list[Extension]:
    flags = ["-O2", "-fno-strict-aliasing", "-fno-plt", "-Wno-unused-function", "-Wno-unreachable-code"]
    defines: list[tuple[str, str | None]] = [("CYTHON_WITHOUT_ASSERTIONS", "1")]
    link: list[str] = []
    if ASAN:
        flags = ["-O1", "-g", "-fsanitize=address,undefined", "-fno-omit-frame-pointer", "-fno-strict-aliasing"]
        link = ["-fsanitize=address,undefined"]
        defines = [("SHARDIS_ASAN", "1")]
    elif os.environ.get("SHARDIS_DEBUG") != "1":
        # Python's own flags ask for debug information; profilers and crash reports name functions without it.
        flags.append("-g0")
    sources = sorted(path for top in ("node", "tests") for path in glob.glob(f"{top}/**/*.pyx", recursive=True))
    return [
        Extension(
            path.removesuffix(".pyx").replace("/", "."),
            [path],
            extra_compile_args=flags,
            extra_link_args=link,
            define_macros=defines,
        )
        for path in sources
    ]


def cythonized(modules: list[Extension], jobs: int) -> list[Extension]:
    from Cython.Build import cythonize
    from Cython.Compiler.Errors import CompileError as TranslationError

    try:
        return cythonize(
            modules,
            nthreads=jobs,
            annotate=os.environ.get("SHARDIS_ANNOTATE") == "1",
            build_dir="build/cython-asan" if ASAN else "build/cython",
            compiler_directives={
                "language_level": 3,
                "boundscheck": False,
                "wraparound": False,
                "cdivision": True,
                "initializedcheck": False,
                "nonecheck": False,
                "embedsignature": False,
                "binding": False,
            },
        )
    except TranslationError as error:
        sys.exit(f"shardis: Cython cannot translate {error}; see above")


# Where processes are not forked, Cython's helpers import this file anew.
if __name__ == "__main__":
    setup(ext_modules=extensions(), cmdclass={"build": BuildAnew, "build_ext": BuildEngine})
