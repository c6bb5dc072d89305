#!/bin/sh
# Builds a lane's environment in this checkout from the locks and makes its Spark ready for Delta.
#
# A stamp in it holds the digest of all that went in. While it matches, a repeat only checks Java and
# Spark's files (0.4 s). When it does not match, or an interrupted set-up left none, the environment is
# built anew, because half of one cannot be told from a whole one (about a minute from the cache).
#
# LANE=default      .venv, with Spark 3.5 and Spark NLP
# LANE=spark4       .venv-spark4, with Spark 4.2
# PYTHON=FILE       a Python 3.11 that is not on PATH
# TORCH_WHEELS=DIR  a folder with a torch wheel, instead of ../shared/wheels or the index's build
set -eu
cd "$(dirname "$0")"

fail() {
    printf 'set-up: %s\n' "$1" >&2
    exit 1
}

lane=${LANE:-default}
case $lane in
    default) venv=.venv ;;
    spark4) venv=.venv-spark4 ;;
    *) fail "LANE must be default (Spark 3.5) or spark4 (Spark 4.2), not $lane" ;;
esac
lock=requirements-$lane.lock
torch='torch==2.13.*'
shared_wheels=../shared/wheels
stamp=$venv/set_up.sha256

find_python() {
    for candidate in "${PYTHON:-}" python3.11 python3; do
        [ -n "$candidate" ] || continue
        # The base, because the candidate may be the one in the .venv that is about to be removed.
        base=$("$candidate" -c 'import ensurepip, sys, venv
print(sys._base_executable if sys.version_info[:2] == (3, 11) else "")' 2>/dev/null) || continue
        [ -n "$base" ] || continue
        printf '%s\n' "$base"
        return
    done
    fail "needs Python 3.11 with its venv module, and found none. Install it:
  Debian 12      apt install python3.11 python3.11-venv
  Ubuntu         from the deadsnakes PPA: apt install python3.11 python3.11-venv
  RHEL 8 and 9   dnf install python3.11
  macOS          brew install python@3.11
or name one that is not on PATH: make setup PYTHON=/path/to/python3.11"
}

check_java() {
    java=java
    [ -z "${JAVA_HOME:-}" ] || java=$JAVA_HOME/bin/java
    found=$("$java" -version 2>&1 | sed -n 's/.* version "\([0-9]*\).*/\1/p' | head -n 1)
    [ "$found" = 17 ] || fail "needs Java 17, and \`$java\` is ${found:+version }${found:-no Java}. Install it:
  Debian 12, Ubuntu   apt install openjdk-17-jre-headless
  RHEL 8 and 9        dnf install java-17-openjdk-headless
  macOS               brew install openjdk@17
and, if another Java comes first on PATH, set JAVA_HOME to the folder of this one."
}

digest() {
    if command -v sha256sum >/dev/null; then sha256sum; else shasum -a 256; fi | cut -d ' ' -f 1
}

# The folder is part of it: a virtual environment does not survive being moved.
wanted_state() {
    { cat "$lock" requirements-nodeps.lock setup.py conf/version.py set_up.sh
      printf '%s\n' "$PWD" "${TORCH_WHEELS:-}"; } | digest
}

is_complete() {
    [ -f "$stamp" ] && [ "$(cat "$stamp")" = "$(wanted_state)" ] && $venv/bin/python -c '' 2>/dev/null
}

uv_install() {
    $venv/bin/uv pip install --quiet --python $venv/bin/python "$@"
}

# Apart from the lock: its wheel is a CPU build from a folder on some machines and the index's (with
# CUDA, gigabytes) on others, so no one hash fits, and the lock would drag in every CUDA library. What
# else torch needs is locked.
install_torch() {
    wheels=${TORCH_WHEELS:-$shared_wheels}
    if [ -d "$wheels" ] && uv_install --no-index --find-links "$wheels" "$torch"; then
        return
    fi
    [ -z "${TORCH_WHEELS:-}" ] || fail "TORCH_WHEELS must hold a $torch wheel for this platform; $wheels has none"
    uv_install --constraints "$lock" "$torch"
}

# pyspark is published as sources only. uv would build it anew for each environment, and keep a
# gigabyte each time; built once for each version into the user's cache, all environments share it.
spark_wheel() {
    cache=${XDG_CACHE_HOME:-${HOME:-$PWD/$venv}/.cache}/clinspan/wheels
    requirement=$(sed -n '/^pyspark==/,/[^\\]$/p' "$lock")
    built=$cache/$(printf '%s' "$requirement" | digest)
    if [ ! -d "$built" ]; then
        mkdir -p "$cache"
        draft=$(mktemp -d "$cache/draft.XXXXXX")
        printf '%s\n' "$requirement" >"$draft/requirement.txt"
        $venv/bin/python -m pip wheel --quiet --disable-pip-version-check --no-cache-dir --no-deps \
            --no-build-isolation --require-hashes --requirement "$draft/requirement.txt" \
            --wheel-dir "$draft" >&2 || { rm -rf "$draft"; fail "pyspark could not be built"; }
        # Another set-up may have been quicker.
        if [ -d "$built" ]; then rm -rf "$draft"; else mv "$draft" "$built"; fi
    fi
    ls "$built"/pyspark-*.whl
}

build_environment() {
    python=$(find_python)
    echo "Building $venv from the locks (a minute or two the first time)"
    rm -rf $venv
    "$python" -m venv $venv
    $venv/bin/python -m pip install --quiet --disable-pip-version-check \
        --no-deps --require-hashes --requirement requirements-nodeps.lock
    # uv does not read pip's settings: hand on a mirror that is named there.
    mirror=${PIP_INDEX_URL:-$($venv/bin/python -m pip config get global.index-url 2>/dev/null || true)}
    [ -z "$mirror" ] || export UV_DEFAULT_INDEX="${UV_DEFAULT_INDEX:-$mirror}"
    sed '/^pyspark==/,/[^\\]$/d' "$lock" >$venv/without_pyspark.txt
    uv_install --no-deps --require-hashes --build-constraints "$lock" \
        --requirement $venv/without_pyspark.txt
    wheel=$(spark_wheel)
    uv_install --no-deps "$wheel"
    install_torch
    # `compat` puts this folder itself on the path. The default would install a finder, and that loses
    # to any folder called `conf` which another package left in site-packages.
    uv_install --no-deps --no-index --no-build-isolation --config-settings editable_mode=compat --editable .
    wanted_state >"$stamp"
}

check_java
is_complete || build_environment
$venv/bin/python jobs/set_up/set_up_spark.py
echo "Ready: $venv with Spark $(sed -n 's/^pyspark==\([0-9.]*\).*/\1/p' "$lock") and Java 17"
