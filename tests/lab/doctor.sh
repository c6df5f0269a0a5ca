#!/usr/bin/env bash
# What p2pcat doctor says behind each kind of NAT, and behind none.
#
# coturn, at two addresses, offers the tests of RFC 5780; the rendezvous server answers STUN as well.
set -euo pipefail
. "$(dirname "${BASH_SOURCE[0]}")/lab.sh"
lab_enter "$@"

command -v turnserver >/dev/null || lab_skip "coturn is not installed"
natlab=$lab_here/natlab.sh
server=203.0.113.10
turn=turn://test:test@$server:3478
doctor=("${P2PCAT:-$lab_build/tools/p2pcat}" doctor --json)

"$natlab" up port port
"$natlab" turn start
lab_rendezvous "$LAB-pub" $server

# examine NAMESPACE EXIT_CODE OPTION...: leaves the report in $lab_dir/report.
examine() {
  local code=0
  "$natlab" exec "$1" "${doctor[@]}" "${@:3}" >"$lab_dir/report" || code=$?
  [ $code = "$2" ] || lab_fail "the exit code is $code, not $2: $(cat "$lab_dir/report")"
}

# expect WHAT PYTHON: an expression about the report r, and about its only NAT n.
expect() {
  python3 - "$lab_dir/report" "$2" <<'PYTHON' || lab_fail "$1: not $2: $(cat "$lab_dir/report")"
import json, sys
with open(sys.argv[1]) as file:
    r = json.load(file)
n = r["nats"][0] if len(r["nats"]) == 1 else None
sys.exit(0 if eval(sys.argv[2]) else 1)
PYTHON
}

servers=(--rendezvous "$lab_server" --stun-server "stun://$server" --no-burst)
while read -r kind name; do
  "$natlab" nat a "$kind"
  examine ha 0 "${servers[@]}"
  expect "$kind" "n['name'] == '$name' and n['mapping'] == 'endpoint-independent'"
  expect "$kind" "n['mapped'].startswith('203.0.113.1:') and n['local'].startswith('10.1.0.2:')"
  expect "$kind" "r['reach'] == 'direct' and r['udp'] == 'works'"
done <<'NATS'
full full cone NAT
addr address-restricted cone NAT
port port-restricted cone NAT
NATS

"$natlab" nat a sym
examine ha 1 "${servers[@]}"
expect sym "n['name'] == 'symmetric NAT' and n['mapping'] == 'address-and-port-dependent'"
expect sym "r['reach'] == 'some' and len(r['problems']) == 1"
examine ha 0 --turn-server "$turn" "${servers[@]}"
expect 'sym with a relay' "n['name'] == 'symmetric NAT' and r['reach'] == 'relay'"
expect 'sym with a relay' "r['servers'][-1]['relay']['largest-datagram-bytes'] >= 1400"
expect 'sym with a relay' "r['servers'][-1]['route-mtu-bytes'] == 1500"
"$natlab" exec na ip link set wan0 mtu 1300
examine ha 0 --turn-server "$turn" --no-burst
expect 'a smaller MTU' "1100 < r['servers'][0]['relay']['largest-datagram-bytes'] <= 1272"
expect 'a smaller MTU' "r['servers'][0]['route-mtu-bytes'] == 1300"
"$natlab" exec na ip link set wan0 mtu 1500
# Two servers tell as much, where none offers the tests.
examine ha 1 --rendezvous "$lab_server" --stun-server stun://203.0.113.11 --no-burst
expect 'sym by two servers' "n['name'] == 'symmetric NAT'"

"$natlab" nat a noudp
examine ha 1 "${servers[@]}" --turn-server "$turn?transport=tcp"
expect noudp "r['udp'] == 'blocked' and r['nats'] == [] and r['reach'] == 'relay'"
expect noudp "[p for p in r['problems']] and all('stun over udp' in p for p in r['problems'])"
examine ha 1 "${servers[@]}"
expect 'noudp without a relay' "r['udp'] == 'blocked' and r['reach'] == 'none'"

examine net 0 "${servers[@]}"
expect 'no NAT' "n['name'] == 'no NAT' and n['translated'] is False and r['reach'] == 'direct'"
echo "the doctor knows every NAT"
