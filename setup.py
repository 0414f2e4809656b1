"""Build of the compiled engine; everything else about the project is in pyproject.toml.

SHARDIS_ASAN=1 builds the engine under AddressSanitizer (`make asan`).
SHARDIS_ANNOTATE=1 writes Cython's annotated HTML beside each source, for profiling.
"""

import glob
import os
import shutil
import sys
import sysconfig

from setuptools import Extension, setup
from setuptools.command.build_ext import build_ext

ASAN = os.environ.get("SHARDIS_ASAN") == "1"


class BuildEngine(build_ext):
    """build_ext that says in one sentence what a machine without a C compiler lacks."""

    def build_extensions(self) -> None:
        compiler = (os.environ.get("CC") or sysconfig.get_config_var("CC") or "cc").split()[0]
        if shutil.which(compiler) is None:
            sys.exit(
                f"shardis needs a C compiler to build its engine and found no '{compiler}': "
                "install one (Debian/Ubuntu: apt-get install gcc python3-dev; Fedora: dnf install gcc python3-devel)."
            )
        super().build_extensions()


def extensions() -> list[Extension]:
    flags = ["-O2", "-fno-strict-aliasing", "-fno-plt", "-Wno-unused-function", "-Wno-unreachable-code"]
    defines: list[tuple[str, str | None]] = [("CYTHON_WITHOUT_ASSERTIONS", "1")]
    link: list[str] = []
    if ASAN:
        flags = ["-O1", "-g", "-fsanitize=address,undefined", "-fno-omit-frame-pointer", "-fno-strict-aliasing"]
        link = ["-fsanitize=address,undefined"]
        defines = [("SHARDIS_ASAN", "1")]
    sources = sorted(glob.glob("node/**/*.pyx", recursive=True))
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


def cythonized() -> list[Extension]:
    from Cython.Build import cythonize

    return cythonize(
        extensions(),
        nthreads=os.cpu_count() or 1,
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


setup(ext_modules=cythonized(), cmdclass={"build_ext": BuildEngine})
