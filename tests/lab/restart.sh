#!/usr/bin/env bash
# Two hosts behind NATs; bob's process is killed in the middle of messages both ways and started again
# with its session store. Each message must have its effect once, in order.
#
# restart.sh CASE
#
#   mapping        the meeting point is gone, bob's NAT still has its mapping: the old pair serves
#   both           the same, and alice dies with him
#   no-mapping     the meeting point is gone, bob's NAT has forgotten: alice learns the new address
#   port-taken     the meeting point is gone, and somebody has bob's port
#   signaling      both NATs have forgotten and let nobody in: they meet again by signaling
set -euo pipefail
. "$(dirname "${BASH_SOURCE[0]}")/lab.sh"
lab_enter "$@"

case ${1:-} in
  mapping | both | signaling) nat=port ;;
  # Whoever is asked from a new address must let it in.
  no-mapping | port-taken) nat=full ;;
  *) lab_fail "usage: restart.sh mapping|both|no-mapping|port-taken|signaling" ;;
esac
messages=${LAB_MESSAGES:-1500}
kill_peer=${P2P_KILL_PEER:-$lab_build/tests/kill/kill-peer}

# In this shell: `lab_start` remembers its pid.
start_peer() { # ID PEER NAMESPACE
  lab_start "$lab_dir/$1.$((++starts)).log" ip netns exec "$3" env "XDG_DATA_HOME=$lab_dir/$1" \
    "$kill_peer" "$1" "$2" "sqlite:$lab_dir/$1.db" "$lab_dir/$1.effects" "$messages" "$lab_server"
}
effects() { stat -c %s "$lab_dir/$1.effects" 2>/dev/null || echo 0; }
story() { tail -n 8 "$lab_dir"/alice.*.log "$lab_dir"/bob.*.log; }
await() { # WHAT SECONDS CONDITION...
  local until=$((SECONDS + $2))
  until "${@:3}"; do
    [ $SECONDS -lt $until ] || lab_fail "$1 did not come within $2 s: $(story)"
    sleep 0.05
  done
}
flows() { [ "$(effects alice)" -gt "$((16 * $1))" ] && [ "$(effects bob)" -gt "$((16 * $1))" ]; }
ended() { ! kill -0 "$alice" 2>/dev/null && ! kill -0 "$bob" 2>/dev/null; }

starts=0
"$lab_here/natlab.sh" up $nat $nat 0 0
lab_rendezvous "$LAB-pub" 203.0.113.10
start_peer bob alice "$LAB-hb"
bob=$lab_pid
start_peer alice bob "$LAB-ha"
alice=$lab_pid
await 'a flow both ways' 20 flows 200

[ "$1" = signaling ] || kill "$lab_rendezvous_pid"
# Until they are gone, so are not their ports.
kill -9 "$bob"
wait "$bob" || true
if [ "$1" = both ]; then
  kill -9 "$alice"
  wait "$alice" || true
fi
case $1 in
  no-mapping) "$lab_here/natlab.sh" rebind b ;;
  signaling)
    "$lab_here/natlab.sh" rebind b
    "$lab_here/natlab.sh" rebind a
    ;;
  port-taken)
    # All that bob had, so that it is the one in use.
    port=$(python3 - "$lab_dir/bob.db" <<'PY'
import json, sqlite3, sys
rows = sqlite3.connect(sys.argv[1]).execute("select value from item where cast(key as text) like '%/session'")
print(json.loads(bytes(rows.fetchone()[0]))["pair"]["local-port"])
PY
    )
    lab_start "$lab_dir/thief.log" ip netns exec "$LAB-hb" python3 -c "
import socket, time
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
while True:
    try:
        s.bind(('10.2.0.2', $port))
        break
    except OSError:
        time.sleep(0.01)
print('bound', flush=True)
time.sleep(60)"
    thief=$lab_pid
    await 'the port' 5 grep -q bound "$lab_dir/thief.log"
    ;;
esac
sleep 0.3
start_peer bob alice "$LAB-hb"
bob=$lab_pid
if [ "$1" = both ]; then
  start_peer alice bob "$LAB-ha"
  alice=$lab_pid
fi
await 'the end' 50 ended
for pid in "$alice" "$bob"; do wait "$pid" || lab_fail "a peer ended with an error: $(story)"; done
[ -z "${thief:-}" ] || kill "$thief" || lab_fail "nobody had the port: $(cat "$lab_dir/thief.log")"
seq -f '%015.0f' 0 $((messages - 1)) >"$lab_dir/wanted"
for peer in alice bob; do
  cmp "$lab_dir/wanted" "$lab_dir/$peer.effects" || lab_fail "$peer's effects are others: $(story)"
done
# The one that lived saw a break, and no end before the end.
[ "$1" = both ] || grep -q 'state broken' "$lab_dir"/alice.*.log || lab_fail "no break: $(story)"
grep -h 'start\|state' "$lab_dir"/alice.*.log "$lab_dir"/bob.*.log | sort -n
