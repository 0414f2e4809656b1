# Sourced by the scripts beside it: makes .venv with the project installed, and does nothing when that is up to date.
#
#   ensure_environment run     what a cluster needs to run
#   ensure_environment test    the test tools too
#
# The project is installed in place ("editable"): Python code is used as it is in the working tree, and only a change of
# the compiled engine or of the dependencies makes for a new installation.

ROOT=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
VENV=${SHARDIS_VENV:-$ROOT/.venv}

refuse() {
    echo "$(basename "$0"): $1" >&2
    exit 1
}

find_python() {
    local candidate
    for candidate in ${PYTHON:-python3 python3.14 python3.13 python3.12 python3.11}; do
        if command -v "$candidate" >/dev/null && "$candidate" -c 'import sys; sys.exit(sys.version_info < (3, 11))'; then
            echo "$candidate"
            return
        fi
    done
    refuse "Python 3.11 or newer is needed and was not found; install it, or name it: PYTHON=/path/to/python $0"
}

check_compiler() {
    local python=$1 compiler headers
    compiler=$("$python" -c 'import os, sysconfig; print((os.environ.get("CC") or sysconfig.get_config_var("CC") or "cc").split()[0])')
    command -v "$compiler" >/dev/null ||
        refuse "a C compiler is needed to build the engine and '$compiler' was not found (Debian/Ubuntu: apt-get install gcc python3-dev)"
    headers=$("$python" -c 'import sysconfig; print(sysconfig.get_path("include"))')
    [ -e "$headers/Python.h" ] ||
        refuse "Python's C headers are needed to build the engine and $headers/Python.h was not found (Debian/Ubuntu: apt-get install python3-dev)"
}

# What an installation depends on: the engine's sources, the build, the dependencies, and the kind of environment.
fingerprint() {
    (cd "$ROOT" && cat pyproject.toml setup.py node/*/*.p[yx][xd] node/*/*/*.p[yx][xd] && echo "$1") | cksum
}

is_installed() {
    local kind
    for kind in "$1" test; do
        [ "$(fingerprint "$kind")" = "$(cat "$VENV/shardis-installed" 2>/dev/null)" ] && return 0
    done
    return 1
}

ensure_environment() {
    local kind=$1 python target log
    is_installed "$kind" && return
    if [ ! -x "$VENV/bin/python" ]; then
        python=$(find_python) || exit 1
        "$python" -c 'import venv, ensurepip' 2>/dev/null ||
            refuse "Python's venv module is needed and '$python' lacks it (Debian/Ubuntu: apt-get install python3-venv)"
        echo "Making the virtual environment in ${VENV#"$PWD"/} ..." >&2
        "$python" -m venv "$VENV" || refuse "the virtual environment could not be made in $VENV"
    fi
    check_compiler "$VENV/bin/python"
    # An environment that has the test tools keeps them.
    [ "$(cut -d' ' -f1 "$VENV/shardis-kind" 2>/dev/null)" = test ] && kind=test
    target=$ROOT
    [ "$kind" = test ] && target="$ROOT[test]"
    log=$VENV/install.log
    echo "Installing (the engine is compiled; this takes a minute or two) ..." >&2
    # The build tools live in the environment, so that a later build need not fetch them again.
    if ! { "$VENV/bin/python" -m pip install --disable-pip-version-check 'setuptools>=77' 'Cython>=3.1' &&
        "$VENV/bin/python" -m pip install --disable-pip-version-check --no-build-isolation -e "$target"; } >"$log" 2>&1; then
        tail -n 25 "$log" >&2
        refuse "the installation failed; the end of $log is above"
    fi
    echo "$kind" >"$VENV/shardis-kind"
    fingerprint "$kind" >"$VENV/shardis-installed"
}
