"""The zip file of a Gradescope autograder: setup.sh, run_autograder, and minivision as a wheel.

What they do lies in `minivision.homework.grading.gradescope`. All paths hang on AUTOGRADER_ROOT, which is /autograder unless set.
"""

from __future__ import annotations

from minivision.homework.exercise import Exercise
from minivision.homework.platforms.wheel import wheel, zipped

SETUP = """\
#!/usr/bin/env bash
# Runs once, when Gradescope builds the image: installs minivision into an environment of its own.
set -euo pipefail
root=${AUTOGRADER_ROOT:-/autograder}

# The first Python that is new enough and can make environments.
find_python() {
    local python
    for python in python3 python3.14 python3.13 python3.12 python3.11; do
        if "$python" -c 'import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
            command -v "$python"
            return
        fi
    done
    return 1
}

if ! python=$(find_python); then
    apt-get update
    apt-get install -y python3 python3-venv
    find_python >/dev/null || apt-get install -y python3.12 python3.12-venv || apt-get install -y python3.11 python3.11-venv
    python=$(find_python) || { echo "minivision needs Python 3.11 or newer; choose a newer base image" >&2; exit 1; }
fi

"$python" -m venv "$root/environment"
"$root/environment/bin/python" -m pip install --no-cache-dir --disable-pip-version-check "$root/source/@WHEEL@[train]"
"""

RUN = """\
#!/usr/bin/env bash
# Runs for each submission: checks it, and writes results/results.json.
root=${AUTOGRADER_ROOT:-/autograder}
cd "$root/source"
mkdir -p "$root/results"
export OPENBLAS_NUM_THREADS=1 OMP_NUM_THREADS=1 MKL_NUM_THREADS=1

"$root/environment/bin/python" -I -c \\
    'import sys; from minivision.homework.grading import gradescope; gradescope(*sys.argv[1:])' @EXERCISE@ "$root" && exit

# Python has not started, or was ended from outside: the student must not be left with an empty page.
[ -s "$root/results/results.json" ] || cat > "$root/results/results.json" <<'END'
{"score": 0, "output": "The autograder did not start; please tell your instructor.", "tests": []}
END
"""


def gradescope_files(exercise: Exercise) -> bytes:
    """The zip file to be uploaded."""
    name, content = wheel()
    files: dict[str, str | bytes] = {
        "setup.sh": SETUP.replace("@WHEEL@", name),
        "run_autograder": RUN.replace("@EXERCISE@", exercise.name),
        name: content,
    }
    return zipped(files, executable=("setup.sh", "run_autograder"))
