#!/usr/bin/env bash
# Runs scenarios.py in namespaces of its own; the arguments are its.
set -euo pipefail
. "$(dirname "${BASH_SOURCE[0]}")/lab.sh"
lab_enter "$@"
# Without it a NAT would keep its mappings, and what a scenario asks for would not happen.
command -v conntrack >/dev/null || lab_skip "conntrack is not installed"

PYTHONDONTWRITEBYTECODE=1 python3 "$lab_here/scenarios.py" --build-dir "$lab_build" "$@"
