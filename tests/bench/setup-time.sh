#!/bin/bash
# setup-time over a wire of a known round trip, between two network namespaces. As root.
#   setup-time.sh BUILD_DIR [RTT_MS [ROUNDS]]
set -euo pipefail
build=${1:?usage: setup-time.sh BUILD_DIR [RTT_MS [ROUNDS]]}
rtt_ms=${2:-50}
rounds=${3:-10}
a=p2p-setup-a-$$ b=p2p-setup-b-$$
wire=
cleanup () {
  [ -z "$wire" ] || kill "$wire" 2>/dev/null || true
  ip netns del "$a" 2>/dev/null || true
  ip netns del "$b" 2>/dev/null || true
}
trap cleanup EXIT
ip netns add "$a"
ip netns add "$b"
"$build/tests/lab/delaywire" --a "$a:eth0" --b "$b:eth0" --delay "$((rtt_ms / 2))" &
wire=$!
for _ in $(seq 50); do
  ip -n "$a" link show eth0 >/dev/null 2>&1 && ip -n "$b" link show eth0 >/dev/null 2>&1 && break
  sleep 0.1
done
for side in "$a 10.77.0.1" "$b 10.77.0.2"; do
  read -r namespace address <<<"$side"
  ip -n "$namespace" link set lo up
  ip -n "$namespace" link set eth0 up
  ip -n "$namespace" address add "$address/24" dev eth0
done
"$build/tests/bench/setup-time" "$rounds" 10.77.0.1 10.77.0.2 "$a" "$b"
