#!/usr/bin/env bash
# Shows that the laboratory is what it says: each NAT type measured from behind it, the delay of the
# wire, loss, a reboot, and coturn over UDP and TCP.
set -euo pipefail
. "$(dirname "${BASH_SOURCE[0]}")/lab.sh"
lab_enter "$@"

natlab=$lab_here/natlab.sh
probe() { "$natlab" exec "$1" python3 "$lab_here/nat_probe.py" "${@:2}"; }

"$natlab" up port port 0 20
lab_start "$lab_dir/server.log" "$natlab" exec pub python3 "$lab_here/nat_probe.py" serve
lab_await_listener "$LAB-pub" 7000 "$lab_pid" "$lab_dir/server.log"

for kind in full addr port sym noudp; do
  "$natlab" nat a $kind
  probe ha client $kind || lab_fail "NAT a does not behave as $kind"
done
# The check itself must be able to fail.
"$natlab" nat a sym
! probe ha client port >/dev/null || lab_fail "a symmetric NAT passes for a port-restricted one"

probe hb rtt 40 || lab_fail "the wire of 20 ms is faster than that"
"$natlab" wire b "delay 50"
probe hb rtt 100 || lab_fail "the wire did not take a delay of 50 ms"
"$natlab" wire b stats | grep -q 'delay_ms=50' || lab_fail "the wire does not tell its delay"
"$natlab" wifi b
probe hb rtt 100 || lab_fail "the host has no way out after it moved"
"$natlab" renumber b 77
probe hb rtt 100 || lab_fail "the host has no way out after its NAT got a new address"

if command -v turnserver >/dev/null; then
  "$natlab" turn start
  lab_start "$lab_dir/peer.log" "$natlab" exec pub turnutils_peer -L 203.0.113.11 -p 3480
  for kind in sym noudp; do
    "$natlab" nat a $kind
    transport=()
    [ $kind = sym ] || transport=(-t)
    "$natlab" exec ha timeout 30 turnutils_uclient "${transport[@]}" -n 10 -l 200 -u test -w test \
      -e 203.0.113.11 -r 3480 203.0.113.10 >"$lab_dir/uclient.log" 2>&1 ||
      lab_fail "coturn behind $kind: $(tail -5 "$lab_dir/uclient.log")"
    grep -q 'Total lost packets 0 ' "$lab_dir/uclient.log" ||
      lab_fail "coturn behind $kind lost packets: $(tail -5 "$lab_dir/uclient.log")"
  done
fi
echo "the laboratory works"
