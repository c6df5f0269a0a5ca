#!/usr/bin/env bash
# Shows that the laboratory is what it says: each NAT type measured from behind it, the delay of the
# wire, what can be done to a side while all runs, and coturn over UDP and TCP.
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

# expect_passes HOST WHAT: which ways of a datagram and its answer are open: "out in", "out" or "".
expect_passes() {
  local found
  found=$(probe "$1" passes "$natlab" exec pub python3 "$lab_here/nat_probe.py" count)
  [ "$found" = "$2" ] || lab_fail "$1 has “$found” open, not “$2”, $3"
}

"$natlab" nat a port
expect_passes ha 'out in' 'at the start'
"$natlab" loss a 100 out
expect_passes ha '' 'with all loss on the way out'
"$natlab" loss a 100 in
expect_passes ha 'out' 'with all loss on the way in'
"$natlab" loss a 0
for command in link:down:up cable:out:in power:off:on; do
  IFS=: read -r what off on <<<"$command"
  "$natlab" "$what" a "$off"
  expect_passes ha '' "after $what $off"
  "$natlab" "$what" a "$on"
  probe ha rtt 0 || lab_fail "the host has no way out after $what $on"
done
ip netns exec "$LAB-ha" ip -br addr show dev eth0 | grep -q 10.1.0.2 ||
  lab_fail "the host has another address after its cable was out and in"

for kind in full port sym; do
  "$natlab" nat a $kind
  before=$(probe ha seen 5000)
  [ $kind = sym ] || [ "$before" = "$(probe ha seen 5000)" ] ||
    lab_fail "a $kind NAT forgets a mapping by itself"
  "$natlab" rebind a
  [ "$before" != "$(probe ha seen 5000)" ] || lab_fail "a $kind NAT has the old mapping after rebind"
  probe ha client $kind || lab_fail "NAT a does not behave as $kind after rebind"
done

network=4
for kind in full port; do
  "$natlab" nat a $kind
  before=$(probe ha seen 5000)
  network=$((network + 1))
  "$natlab" move a $network
  after=$(probe ha seen 5000)
  [ "${before% *}" != "${after% *}" ] || lab_fail "the host has its public address still after it moved"
  probe ha client $kind || lab_fail "NAT a does not behave as $kind after its host moved"
done
"$natlab" link a down
"$natlab" link a up
probe ha rtt 0 || lab_fail "the host that moved has no way out after link up"

"$natlab" uplink b2 port 20
before=$(probe hb seen 5000)
"$natlab" link b down
after=$(probe hb seen 5000)
[ "${after% *}" = 203.0.113.4 ] || lab_fail "the second way out is not used: seen as $after"
probe hb rtt 40 || lab_fail "the second wire of 20 ms is faster than that"
"$natlab" link b up
after=$(probe hb seen 5000)
[ "${after% *}" = "${before% *}" ] || lab_fail "the first way out is not used again: seen as $after"

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
