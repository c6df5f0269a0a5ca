#!/usr/bin/env bash
# A laboratory of NATs out of network namespaces, veth pairs, a bridge, nftables and coturn.
#
#   host a ---- NAT a ----\                        LAN a   10.1.0.0/24, host 10.1.0.2
#   10.1.0.2   .1 |  203.0.113.1                   WAN     203.0.113.0/24, a bridge in "net"
#                          >== "net" ==== "pub"    pub     203.0.113.10 and .11: servers
#   host b ---- NAT b ----/           .10, .11     LAN b   10.2.0.0/24, host 10.2.0.2
#   10.2.0.2   .1 |  203.0.113.2
#
# A host may have a second way out, another interface to another NAT: the sides a2 and b2, LANs
# 10.3.0.0/24 and 10.4.0.0/24, public 203.0.113.3 and .4. Where SIDE stands below, each of a, b, a2
# and b2 will do.
#
# natlab.sh up [NAT_A [NAT_B [DELAY_A_MS [DELAY_B_MS]]]]   build it (default: port port 0 0)
# natlab.sh down                     end what it started, by pid, and delete its namespaces
# natlab.sh uplink a2|b2 [NAT [DELAY_MS]]   the second way out, used when the first is down
# natlab.sh nat SIDE TYPE            change a NAT while it runs; it forgets its mappings
#     TYPE  full    endpoint-independent mapping and filtering (full cone)
#           addr    address-dependent filtering (restricted cone)
#           port    address and port-dependent filtering (port-restricted cone)
#           sym     address and port-dependent mapping (symmetric)
#           noudp   as port, but UDP from the LAN is dropped
# natlab.sh exec ha|hb|pub|na|nb|na2|nb2|net COMMAND...   run inside of that namespace
# natlab.sh vpn a2|b2 up|down        the second way out, before the first one's in the routing table
# natlab.sh direct block|allow       whether UDP passes between the sides without a relay
# natlab.sh turn start|stop [10|11]  coturn in pub, port 3478 over UDP and TCP, user test, password test;
#                                    with a number one that has that address of pub alone
# natlab.sh loss SIDE PERCENT [in|out]   drop at random in that NAT, one way or both (0: off)
# natlab.sh udptimeout SIDE SECONDS  how long that NAT keeps a UDP mapping
# natlab.sh forget SIDE              that NAT forgets all mappings
# natlab.sh rebind SIDE              and gives its UDP flows other ports from now on
# natlab.sh power SIDE off|on        a NAT without power; with it again, it is as after `rebind`
# natlab.sh renumber SIDE NUMBER     that NAT gets the public address 203.0.113.NUMBER
# natlab.sh link SIDE up|down        the host's interface is taken down, or up again
# natlab.sh cable SIDE out|in        the host's cable: carrier goes, addresses and routes stay
# natlab.sh wifi SIDE                the host moves to 10.x.0.3, its old address goes
# natlab.sh move SIDE N              the host is in another network: 10.x.N.2, behind another address
# natlab.sh wire SIDE COMMAND        a command for that side's delaywire: "delay 80", "loss 5", "stats"
# natlab.sh status
#
# Environment: LAB          prefix of the namespaces (default p2plab); labs may run side by side
#              LAB_STATE    folder for pids and logs (default: below the temporary folder)
#              DELAYWIRE    the delaywire program, needed when a delay is asked for
#              LAB_PACKET   not empty: delaywire over veth pairs even where TAP devices can be had
#
# It touches nothing outside of its own namespaces. It needs root, or a user namespace: lab.sh has one.
set -euo pipefail

lab=${LAB:-p2plab}
state=${LAB_STATE:-${TMPDIR:-/tmp}/natlab.$lab}
delaywire=${DELAYWIRE:-delaywire}
namespaces='net pub na nb ha hb'
# What a second way out is in front of, in the routing table of its host.
second_metric=600
# Of the first way out, and of a VPN that takes its place.
first_metric=100 vpn_metric=50

die() {
  echo "natlab: $*" >&2
  exit 1
}

in_ns() {
  local name=$1
  shift
  ip netns exec "$lab-$name" "$@"
}

# Sets nat, host, number, device and metric for a side.
side() {
  device=eth0 metric=$first_metric
  case $1 in
    a) nat=na host=ha number=1 ;;
    b) nat=nb host=hb number=2 ;;
    a2) nat=na2 host=ha number=3 ;;
    b2) nat=nb2 host=hb number=4 ;;
    *) die "the side must be a, b, a2 or b2, not $1." ;;
  esac
  [ "$number" -le 2 ] || device=eth1 metric=$second_metric
}

# The host's address on that side, which `wifi` and `move` change.
inside_of() { cat "$state/inside.$1"; }

apply_nat() {
  side "$1"
  local type=$2 inside
  inside=$(inside_of "$1")
  local prerouting='' track='' drop_udp='' source_nat=masquerade
  local accept_inbound='' drop_inbound='iifname "wan0" ct state new drop'
  case $type in
    full)
      prerouting="iifname \"wan0\" meta l4proto udp dnat to $inside"
      accept_inbound='iifname "wan0" ct state new ct status dnat accept'
      ;;
    addr)
      prerouting="iifname \"wan0\" meta l4proto udp ip saddr @peers dnat to $inside"
      track='iifname "lan0" meta l4proto udp update @peers { ip daddr timeout 2m }'
      accept_inbound='iifname "wan0" ct state new ct status dnat accept'
      ;;
    port) ;;
    sym) source_nat='masquerade fully-random' ;;
    noudp) drop_udp='iifname "lan0" meta l4proto udp drop' ;;
    *) die "there is no NAT type $type." ;;
  esac
  # What arrives unasked is dropped in the input chain: accepted or answered, it would leave a
  # conntrack entry that holds the tuple, masquerade would choose another port, and hole punching
  # would fail now and then.
  in_ns $nat nft -f - <<NFT
table ip natlab
delete table ip natlab
table ip natlab {
  set peers { type ipv4_addr; flags dynamic,timeout; timeout 2m; }
  chain prerouting {
    type nat hook prerouting priority dstnat; policy accept;
    $prerouting
  }
  chain postrouting {
    type nat hook postrouting priority srcnat; policy accept;
    oifname "wan0" $source_nat
  }
  chain loss {
    type filter hook forward priority -20; policy accept;
  }
  chain forward {
    type filter hook forward priority filter; policy accept;
    $drop_udp
    $track
    $accept_inbound
    $drop_inbound
  }
  chain input {
    type filter hook input priority filter; policy accept;
    iifname "wan0" ct state new drop
  }
}
NFT
  echo "$type" >"$state/nat.$1"
  forget_mappings $nat
}

# Which ports the NAT gives, without any change of its type: the ports that the host uses are mapped
# one to one to others at its LAN side, before and behind all that apply_nat does. 0: to themselves.
apply_ports() {
  side "$1"
  in_ns $nat nft -f - <<NFT
table ip ports
delete table ip ports
table ip ports {
  chain from_host {
    type filter hook prerouting priority -350; policy accept;
    iifname "lan0" udp sport set udp sport ^ $2
  }
  chain to_host {
    type filter hook postrouting priority 300; policy accept;
    oifname "lan0" udp dport set udp dport ^ $2
  }
}
NFT
  echo "$2" >"$state/ports.$1"
}

rebind() {
  side "$1"
  # Below 4096, so that an ephemeral port stays one.
  apply_ports "$1" $((($(cat "$state/ports.$1" 2>/dev/null || echo 0) * 5 + 1337) % 4096))
  forget_mappings $nat
}

forget_mappings() {
  # It fails when there is nothing to forget yet.
  in_ns "$1" conntrack -F >/dev/null 2>&1 || true
}

spawn() {
  local name=$1
  shift
  setsid "$@" >"$state/$name.log" 2>&1 </dev/null &
  echo $! >"$state/$name.pid"
}

end_process() {
  local file=$state/$1.pid pid
  [ -f "$file" ] || return 0
  pid=$(cat "$file")
  kill "$pid" 2>/dev/null || true
  for _ in $(seq 20); do
    kill -0 "$pid" 2>/dev/null || break
    sleep 0.05
  done
  kill -9 "$pid" 2>/dev/null || true
  rm -f "$file"
}

# make_namespaces NAME...
make_namespaces() {
  local name
  for name in "$@"; do
    ip netns add "$lab-$name"
    in_ns "$name" ip link set lo up
    # IPv6 would be a way around the NATs. A kernel without it has no such setting.
    in_ns "$name" sysctl -qw net.ipv6.conf.all.disable_ipv6=1 2>/dev/null || true
    in_ns "$name" sysctl -qw net.ipv6.conf.default.disable_ipv6=1 2>/dev/null || true
  done
}

make_core() {
  in_ns net ip link add wan type bridge
  in_ns net ip link set wan up
  # The default gateway swallows private destinations silently, as a provider does. Without it
  # coturn gets ENETUNREACH for a peer's 10.x candidate and closes the whole allocation.
  in_ns net ip addr add 203.0.113.254/24 dev wan
  in_ns net sysctl -qw net.ipv4.ip_forward=1
  in_ns net ip route add blackhole default
  in_ns net ip link add pub type veth peer name eth0 netns "$lab-pub"
  in_ns net ip link set pub master wan up
  in_ns pub ip addr add 203.0.113.10/24 dev eth0
  in_ns pub ip addr add 203.0.113.11/24 dev eth0
  in_ns pub ip link set eth0 up
  in_ns pub ip route add default via 203.0.113.254
}

# The cable from the core to a NAT: a veth pair, or a delaywire between two devices.
make_wire() {
  local which=$1 delay_ms=$2
  local near=w$which far=wan0 options=()
  if [ "$delay_ms" = 0 ]; then
    in_ns net ip link add "w$which" type veth peer name wan0 netns "$lab-$nat"
    return
  fi
  command -v "$delaywire" >/dev/null || die "a delay needs delaywire, and DELAYWIRE does not name it."
  if [ ! -w /dev/net/tun ] || [ -n "${LAB_PACKET:-}" ]; then
    in_ns net ip link add "w$which" type veth peer name "xw$which"
    in_ns net ip link set "xw$which" up
    in_ns $nat ip link add wan0 type veth peer name xwan0
    in_ns $nat ip link set xwan0 up
    # One segment per frame, as a cable carries them; older kernels cannot, and still work.
    in_ns net ip link set "w$which" gso_max_segs 1 2>/dev/null || true
    in_ns $nat ip link set wan0 gso_max_segs 1 2>/dev/null || true
    near=xw$which far=xwan0 options=(--packet)
  fi
  spawn "wire-$which" "$delaywire" --a "$lab-net:$near" --b "$lab-$nat:$far" \
    --delay "$delay_ms" --control "$state/wire-$which.sock" "${options[@]}"
  for _ in $(seq 100); do
    [ -S "$state/wire-$which.sock" ] && return
    sleep 0.02
  done
  die "delaywire did not start: $(cat "$state/wire-$which.log")"
}

# The host's default route on that side.
add_route() {
  local gateway
  gateway=$(inside_of "$1")
  in_ns $host ip route replace default via "${gateway%.*}.1" dev $device metric $metric
}

make_side() {
  local which=$1 type=$2 delay_ms=$3
  side "$which"
  make_wire "$which" "$delay_ms"
  in_ns net ip link set "w$which" master wan up
  in_ns $nat ip addr add "203.0.113.$number/24" dev wan0
  in_ns $nat ip link set wan0 up
  in_ns $nat ip route add default via 203.0.113.254
  echo "10.$number.0.2" >"$state/inside.$which"
  in_ns $nat sysctl -qw net.ipv4.ip_forward=1
  in_ns $nat ip link add lan0 type veth peer name $device netns "$lab-$host"
  in_ns $nat ip addr add "10.$number.0.1/24" dev lan0
  in_ns $nat ip link set lan0 up
  apply_nat "$which" "$type"
  in_ns $host ip addr add "10.$number.0.2/24" dev $device
  in_ns $host ip link set $device up
  add_route "$which"
}

up() {
  [ ! -d "$state" ] || die "$state exists; run \`down\` first."
  mkdir -p "$state"
  make_namespaces $namespaces
  make_core
  make_side a "${1:-port}" "${3:-0}"
  make_side b "${2:-port}" "${4:-0}"
}

uplink() {
  side "$1"
  [ $metric = $second_metric ] || die "a second way out is a2 or b2, not $1."
  make_namespaces $nat
  make_side "$1" "${2:-port}" "${3:-0}"
}

down() {
  local file name
  for file in "$state"/*.pid; do
    [ -f "$file" ] && end_process "$(basename "$file" .pid)"
  done
  for name in $namespaces na2 nb2; do ip netns del "$lab-$name" 2>/dev/null || true; done
  rm -rf "$state"
}

vpn() {
  side "$1"
  [ $device = eth1 ] || die "a VPN is a2 or b2, not $1."
  in_ns $host ip link set $device "$2"
  metric=$vpn_metric
  [ "$2" != up ] || add_route "$1"
}

# What a NAT lets through of what comes from any other address than the servers'.
direct() {
  local name
  for name in na nb; do
    case $1 in
      block)
        in_ns $name nft -f - <<'NFT'
table ip direct {
  chain prerouting {
    type filter hook prerouting priority -340; policy accept;
    iifname "wan0" meta l4proto udp ip saddr != { 203.0.113.10, 203.0.113.11 } drop
  }
}
NFT
        ;;
      allow) in_ns $name nft delete table ip direct ;;
      *) die "direct block or direct allow, not direct $1." ;;
    esac
  done
}

turn() {
  local name=turn${2:-} at=203.0.113.${2:-10} listen=()
  listen=(--listening-ip=$at)
  [ -n "${2:-}" ] || listen+=(--listening-ip=203.0.113.11)
  case $1 in
    start)
      spawn "$name" ip netns exec "$lab-pub" turnserver -n "${listen[@]}" --relay-ip="$at" \
        --min-port=49152 --max-port=65535 --realm=lab --user=test:test --lt-cred-mech \
        --fingerprint --no-tls --no-dtls --no-cli --log-file=stdout --simple-log \
        --pidfile="$state/co$name.pid-of-its-own" --userdb="$state/$name.db"
      for _ in $(seq 200); do
        in_ns pub ss -lun | grep -q "$at:3478" &&
          in_ns pub ss -ltn | grep -q "$at:3478" && return 0
        sleep 0.05
      done
      die "coturn did not start: $(tail -5 "$state/$name.log")"
      ;;
    stop) end_process "$name" ;;
    *) die "turn start or turn stop, not turn $1." ;;
  esac
}

loss() {
  side "$1"
  local from='' chance="numgen random mod 100 < $2"
  case ${3:-} in
    '') ;;
    in) from='iifname wan0' ;;
    out) from='iifname lan0' ;;
    *) die "loss is in, out, or both ways, not $3." ;;
  esac
  [ "$2" != 100 ] || chance=''
  in_ns $nat nft flush chain ip natlab loss
  [ "$2" = 0 ] || in_ns $nat nft add rule ip natlab loss "$from $chance drop"
}

udptimeout() {
  side "$1"
  in_ns $nat sysctl -qw "net.netfilter.nf_conntrack_udp_timeout=$2"
  in_ns $nat sysctl -qw "net.netfilter.nf_conntrack_udp_timeout_stream=$2"
}

renumber() {
  side "$1"
  in_ns $nat ip addr flush dev wan0
  in_ns $nat ip addr add "203.0.113.$2/24" dev wan0
  in_ns $nat ip route replace default via 203.0.113.254
  forget_mappings $nat
}

power() {
  side "$1"
  local interface
  case $2 in
    off) for interface in lan0 wan0; do in_ns $nat ip link set $interface down; done ;;
    on)
      rebind "$1"
      for interface in wan0 lan0; do in_ns $nat ip link set $interface up; done
      in_ns $nat ip route replace default via 203.0.113.254
      ;;
    *) die "power off or power on, not power $2." ;;
  esac
}

link() {
  side "$1"
  in_ns $host ip link set $device "$2"
  [ "$2" != up ] || add_route "$1"
}

cable() {
  side "$1"
  case $2 in
    out) in_ns $nat ip link set lan0 down ;;
    in) in_ns $nat ip link set lan0 up ;;
    *) die "a cable is out or in, not $2." ;;
  esac
}

wifi() {
  side "$1"
  local old new
  old=$(inside_of "$1") new=${old%.*}.3
  echo "$new" >"$state/inside.$1"
  in_ns $host ip addr add "$new/24" dev $device
  # Deleting the first address of a subnet takes the others along, unless they are promoted.
  in_ns $host sysctl -qw net.ipv4.conf.$device.promote_secondaries=1
  in_ns $host ip addr del "$old/24" dev $device
  add_route "$1"
}

move() {
  side "$1"
  local old new=10.$number.$2.2
  old=$(inside_of "$1")
  [ "$2" -ge 1 ] && [ "$2" -le 19 ] || die "another network has a number from 1 to 19, not $2."
  [ "$old" != "$new" ] || die "the host is in that network."
  echo "$new" >"$state/inside.$1"
  in_ns $host ip addr del "$old/24" dev $device
  in_ns $nat ip addr replace "${new%.*}.1/24" dev lan0
  in_ns $nat ip addr del "${old%.*}.1/24" dev lan0
  # Leaves .1 to .19 to the networks at the start and to the servers.
  renumber "$1" $((number * 20 + $2))
  apply_nat "$1" "$(cat "$state/nat.$1")"
  in_ns $host ip addr add "$new/24" dev $device
  add_route "$1"
}

status() {
  ip netns list | grep "^$lab-" || true
  tail -n +1 "$state"/nat.* 2>/dev/null || true
  ls "$state"/*.pid 2>/dev/null || true
}

command=${1:-help}
shift || true
case $command in
  up | down | uplink | vpn | direct | turn | loss | udptimeout | rebind | power | renumber | link | cable | wifi | \
    move | status)
    "$command" "$@"
    ;;
  nat) apply_nat "$1" "$2" ;;
  forget)
    side "$1"
    forget_mappings $nat
    ;;
  exec)
    name=$1
    shift
    exec ip netns exec "$lab-$name" "$@"
    ;;
  wire) "$delaywire" --send "$state/wire-$1.sock" "${*:2}" ;;
  *) sed -n '2,/^set -euo/s/^# \{0,1\}//p' "${BASH_SOURCE[0]}" ;;
esac
