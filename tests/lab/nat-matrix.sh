#!/usr/bin/env bash
# The file transfer of two-hosts.sh with each host behind a NAT.
#
# nat-matrix.sh NAT_A NAT_B direct|turn-udp|turn-tcp [DELAY_MS]
#
# NAT types are natlab.sh's. `direct` uses no TURN server, only the STUN answers of the rendezvous
# server; the others must end on a relayed pair.
set -euo pipefail
. "$(dirname "${BASH_SOURCE[0]}")/lab.sh"
lab_enter "$@"

[ $# -ge 3 ] || lab_fail "usage: nat-matrix.sh NAT_A NAT_B direct|turn-udp|turn-tcp [DELAY_MS]"
server=203.0.113.10
properties=()
relayed=false
case $3 in
  direct) ;;
  turn-udp | turn-tcp)
    command -v turnserver >/dev/null || lab_skip "coturn is not installed"
    properties=("turn-server=turn://test:test@$server:3478?transport=${3#turn-}")
    relayed=true
    ;;
  *) lab_fail "there is no way called $3" ;;
esac

"$lab_here/natlab.sh" up "$1" "$2" "${4:-0}" "${4:-0}"
[ $relayed = false ] || "$lab_here/natlab.sh" turn start
lab_transfer "$LAB-pub" $server "$LAB-ha" "$LAB-hb" "${properties[@]}"
lab_expect_relayed $relayed
