#!/usr/bin/env bash
# Two machines on one cable: the commands of the README, a file of 64 MiB, SHA-256 at the end.
set -euo pipefail
. "$(dirname "${BASH_SOURCE[0]}")/lab.sh"
lab_enter "$@"

left=$LAB-left
right=$LAB-right
ip netns add "$left"
ip netns add "$right"
ip netns exec "$left" ip link add eth0 type veth peer name eth0 netns "$right"
for host in "$left 192.0.2.1" "$right 192.0.2.2"; do
  read -r name address <<<"$host"
  ip netns exec "$name" ip link set lo up
  ip netns exec "$name" ip addr add "$address/24" dev eth0
  ip netns exec "$name" ip link set eth0 up
done

lab_transfer "$left" 192.0.2.1 "$left" "$right"
lab_expect_relayed false
