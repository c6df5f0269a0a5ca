#!/usr/bin/env bash
# Runs scenarios.py in namespaces of its own; the arguments are its.
set -euo pipefail
. "$(dirname "${BASH_SOURCE[0]}")/lab.sh"
lab_enter "$@"

PYTHONDONTWRITEBYTECODE=1 python3 "$lab_here/scenarios.py" --build-dir "$lab_build" "$@"
