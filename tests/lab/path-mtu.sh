#!/usr/bin/env bash
# A tunnel in the middle of the way: both hosts have an MTU of 1500, the link between their routers
# one of 1300, and the ICMP messages that would say so are dropped. Full packets must grow to what
# passes, and the file must arrive.
set -euo pipefail
. "$(dirname "${BASH_SOURCE[0]}")/lab.sh"
lab_enter "$@"

# lab_host NAME ADDRESS GATEWAY ROUTER: a host behind a router, 1500 bytes.
lab_host() {
  ip netns add "$LAB-$1"
  ip netns exec "$LAB-$1" ip link add eth0 type veth peer name "$1" netns "$LAB-$4"
  ip netns exec "$LAB-$1" ip link set lo up
  ip netns exec "$LAB-$1" ip addr add "$2/24" dev eth0
  ip netns exec "$LAB-$1" ip link set eth0 up
  ip netns exec "$LAB-$4" ip addr add "$3/24" dev "$1"
  ip netns exec "$LAB-$4" ip link set "$1" up
  ip netns exec "$LAB-$1" ip route add default via "$3"
}

for router in near far; do
  ip netns add "$LAB-$router"
  ip netns exec "$LAB-$router" sysctl -qw net.ipv4.ip_forward=1
done
ip netns exec "$LAB-near" ip link add tunnel type veth peer name tunnel netns "$LAB-far"
lab_host left 192.0.2.1 192.0.2.254 near
lab_host right 198.51.100.1 198.51.100.254 far
ip netns exec "$LAB-near" ip addr add 10.0.0.1/30 dev tunnel
ip netns exec "$LAB-far" ip addr add 10.0.0.2/30 dev tunnel
for router in near far; do
  ip netns exec "$LAB-$router" ip link set tunnel mtu 1300 up
  ip netns exec "$LAB-$router" nft -f - <<'NFT'
table ip quiet {
  chain output {
    type filter hook output priority filter; policy accept;
    ip protocol icmp drop
  }
}
NFT
done
ip netns exec "$LAB-near" ip route add 198.51.100.0/24 via 10.0.0.2
ip netns exec "$LAB-far" ip route add 192.0.2.0/24 via 10.0.0.1

export G_MESSAGES_DEBUG=all
lab_transfer "$LAB-left" 192.0.2.1 "$LAB-left" "$LAB-right"
lab_expect_relayed false
# 1300 less the headers of IPv4 and UDP is 1272; the common size below it is 1252, and a probe may
# fall short by some bytes.
found=$(grep -o 'packets of [0-9]* bytes' "$lab_dir/alice.log" | tail -n 1 | grep -o '[0-9]*') ||
  lab_fail "alice never found a larger size than 1200"
[ "$found" -ge 1236 ] && [ "$found" -le 1272 ] || lab_fail "alice ended with packets of $found bytes"
echo "packets of $found bytes"
