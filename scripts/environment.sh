# Sourced by the scripts beside it: makes .venv with the project installed, and does nothing when that is up to date.
#
#   ensure_environment run     what a cluster needs to run
#   ensure_environment test    the test tools too
#   save_bytecode              for whoever starts many processes
#
# The project is installed in place ("editable"): Python code is used as it is in the working tree, a change of the
# compiled engine compiles what has changed, and only a change of the dependencies asks the package index again.

ROOT=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
VENV=${SHARDIS_VENV:-$ROOT/.venv}
NEEDED_MB=400

# A folder of the user's on PYTHONPATH may hold packages that are called as ours are.
unset PYTHONPATH

refuse() {
    echo "$(basename "$0"): $1" >&2
    exit 1
}

note() {
    echo "$1" >&2
}

find_python() {
    local candidate found=
    for candidate in ${PYTHON:-python3 python3.14 python3.13 python3.12 python3.11}; do
        command -v "$candidate" >/dev/null || continue
        if "$candidate" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
            echo "$candidate"
            return
        fi
        found="${found:-, only $("$candidate" --version 2>&1 | head -n 1)}"
    done
    refuse "Python 3.11 or newer is needed and was not found${found}: install it (Debian 12 or Ubuntu 24.04: apt-get install python3 python3-dev python3-venv), or name it: PYTHON=/path/to/python $0"
}

check_venv_module() {
    "$1" -c 'import venv, ensurepip' 2>/dev/null ||
        refuse "Python's venv module is needed and '$1' lacks it (Debian, Ubuntu: apt-get install python3-venv)"
}

check_compiler() {
    local python=$1 compiler headers
    compiler=$("$python" -c 'import os, sysconfig; print(os.environ.get("CC") or sysconfig.get_config_var("CC") or "cc")')
    read -ra compiler <<<"$compiler"
    command -v "${compiler[0]}" >/dev/null ||
        refuse "a C compiler is needed to build the engine and '${compiler[0]}' was not found (Debian, Ubuntu: apt-get install gcc python3-dev)"
    headers=$("$python" -c 'import sysconfig; print(sysconfig.get_path("include"))')
    [ -e "$headers/Python.h" ] ||
        refuse "Python's C headers are needed to build the engine and $headers/Python.h was not found (Debian, Ubuntu: apt-get install python3-dev)"
    printf '#include <Python.h>\nint main(void) { return 0; }\n' >"$TRIAL/trial.c"
    "${compiler[@]}" -I"$headers" "$TRIAL/trial.c" -o "$TRIAL/trial" 2>"$TRIAL/said" ||
        refuse "the C compiler '${compiler[*]}' cannot build a small program (Debian, Ubuntu: apt-get install gcc libc6-dev python3-dev): $(grep -m 1 -E 'error|cannot|No space' "$TRIAL/said" || head -n 1 "$TRIAL/said")"
}

check_disk() {
    local folder=$1 free_mb
    [ -w "$folder" ] || refuse "$folder cannot be written by $(id -un): the environment and the engine are built there"
    free_mb=$(df -Pk "$folder" | awk 'NR == 2 {print int($4 / 1024)}')
    [ "${free_mb:-$NEEDED_MB}" -ge "$NEEDED_MB" ] ||
        refuse "$free_mb MB are free where $folder lies, and the environment with the compiled engine needs $NEEDED_MB MB: make room, or put it elsewhere (SHARDIS_VENV=/path/to/folder)"
}

# Everything that a first installation needs of the machine, before anything is made.
check_machine() {
    TRIAL=$(mktemp -d 2>/dev/null) || refuse "no temporary folder can be made in ${TMPDIR:-/tmp}: is its disk full?"
    trap 'rm -rf "$TRIAL"' EXIT
    check_disk "$ROOT"
    [ ! -d "$(dirname "$VENV")" ] || check_disk "$(dirname "$VENV")"
    check_compiler "$1"
}

# What the installed packages depend on, and what the compiled engine does. Both know the folder: a moved one is made anew.
packages_wanted() {
    (cd "$ROOT" && cat pyproject.toml && echo "$1 $ROOT") | cksum
}

engine_wanted() {
    (cd "$ROOT" && cat setup.py node/*/*.p[yx][xd] node/*/*/*.p[yx][xd] tests/support/*.pyx && echo "$ROOT") | cksum
}

has_packages() {
    local kind
    for kind in "$1" test; do
        [ "$(packages_wanted "$kind")" = "$(cat "$VENV/shardis-installed" 2>/dev/null)" ] && return 0
    done
    return 1
}

has_engine() {
    [ "$(engine_wanted)" = "$(cat "$VENV/shardis-built" 2>/dev/null)" ]
}

make_venv() {
    local python clear=()
    python=$(find_python) || exit 1
    check_venv_module "$python"
    check_machine "$python"
    # What an interruption, or a Python that is gone, has left of an environment is no use; other folders are not ours.
    if [ -e "$VENV" ]; then
        [ -e "$VENV/pyvenv.cfg" ] || [ -z "$(ls -A "$VENV")" ] ||
            refuse "$VENV is no virtual environment: remove it, or put the environment elsewhere (SHARDIS_VENV=/path/to/folder)"
        clear=(--clear)
    fi
    note "Making the virtual environment in ${VENV#"$PWD"/} ..."
    "$python" -m venv "${clear[@]}" "$VENV" ||
        refuse "the virtual environment could not be made in $VENV; what Python said is above"
}

install_packages() {
    local kind=$1 wanted
    note "Fetching the packages that Shardis uses ..."
    # The build tools live in the environment, so that a later build need not fetch them again.
    wanted=$("$VENV/bin/python" - "$kind" "$ROOT/pyproject.toml" <<'PYTHON'
import sys, tomllib

with open(sys.argv[2], "rb") as file:
    told = tomllib.load(file)
extra = told["project"]["optional-dependencies"]["test"] if sys.argv[1] == "test" else []
print(*dict.fromkeys(told["build-system"]["requires"] + told["project"]["dependencies"] + extra), sep="\n")
PYTHON
    )
    mapfile -t wanted <<<"$wanted"
    "$VENV/bin/python" -m pip install --disable-pip-version-check "${wanted[@]}" >"$LOG" 2>&1 && return
    if grep -qi "no space left" "$LOG"; then
        refuse "the disk is full: $VENV or ${TMPDIR:-/tmp} had no room for the packages"
    elif grep -qi "certificate verify failed" "$LOG"; then
        refuse "pip does not trust the certificate of the package index: name the file of the one that signed it by PIP_CERT (what pip said is in $LOG)"
    elif grep -qiE "NewConnectionError|ConnectTimeout|ConnectionError|name resolution|Max retries|ReadTimeout|ProxyError|from versions: none" "$LOG"; then
        refuse "pip cannot reach the package index: is there a network? (a mirror is named by PIP_INDEX_URL, a proxy by HTTPS_PROXY; what pip said is in $LOG)"
    fi
    tail -n 25 "$LOG" >&2
    refuse "the packages could not be installed; the end of $LOG is above"
}

build_engine() {
    note "Compiling the engine on $(nproc) core$([ "$(nproc)" = 1 ] || echo s) (at most a minute of one core's work) ..."
    (cd "$ROOT" && "$VENV/bin/python" "$@") >"$LOG" 2>&1 && return
    grep -qi "no space left" "$LOG" && refuse "the disk is full: the engine could not be compiled in $ROOT"
    tail -n 40 "$LOG" >&2
    refuse "the engine could not be compiled; the end of $LOG is above"
}

# Ninety nodes, or the thousands that the tests start, should not each compile what they import (that is a third of what a
# start costs), even where PYTHONDONTWRITEBYTECODE keeps them from saving it. Further folders may be named.
save_bytecode() {
    "$VENV/bin/python" -m compileall -q "$ROOT/gossip" "$ROOT/cluster" "$ROOT/node" "$@"
}

ensure_environment() {
    local kind=$1
    has_packages "$kind" && has_engine && return
    # Two scripts that are started at once must not build at once; the second finds the work done.
    if command -v flock >/dev/null; then
        exec 9<"$ROOT/setup.py"
        flock -n 9 || { note "Waiting for another script that builds here ..." && flock 9; }
        has_packages "$kind" && has_engine && exec 9<&- && return
    fi
    LOG=$VENV/install.log
    # An environment that has the test tools keeps them.
    [ "$(cat "$VENV/shardis-kind" 2>/dev/null)" = test ] && kind=test
    "$VENV/bin/python" -c 'import pip' 2>/dev/null || make_venv
    [ -n "${TRIAL:-}" ] || check_machine "$VENV/bin/python"
    if ! has_packages "$kind"; then
        rm -f "$VENV/shardis-installed"
        install_packages "$kind"
        echo "$kind" >"$VENV/shardis-kind"
        build_engine -m pip install --disable-pip-version-check --no-build-isolation --no-deps -e .
        packages_wanted "$kind" >"$VENV/shardis-installed"
    else
        build_engine setup.py -q build_ext --inplace
    fi
    engine_wanted >"$VENV/shardis-built"
    rm -rf "$TRIAL"
    trap - EXIT
    exec 9<&-
}
