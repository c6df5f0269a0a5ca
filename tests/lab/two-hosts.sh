#!/usr/bin/env bash
# Two machines on one cable: the commands of the README, a file of 64 MiB, SHA-256 at the end.
set -euo pipefail
. "$(dirname "${BASH_SOURCE[0]}")/lab.sh"
lab_enter "$@"

lab_cable
lab_transfer "$LAB-left" 192.0.2.1 "$LAB-left" "$LAB-right"
lab_expect_relayed false
