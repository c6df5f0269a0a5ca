#!/usr/bin/env bash
# Which way two peers find behind each pair of NATs; the arguments are nat_table.py's.
set -euo pipefail
. "$(dirname "${BASH_SOURCE[0]}")/lab.sh"
lab_enter "$@"
command -v turnserver >/dev/null || lab_skip "coturn is not installed"

PYTHONDONTWRITEBYTECODE=1 python3 "$lab_here/nat_table.py" --build-dir "$lab_build" "$@"
