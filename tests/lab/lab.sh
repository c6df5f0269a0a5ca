# What the laboratory's tests share; sourced, not run.
#
# Each test runs in mount, network and pid namespaces of its own (and a user namespace when not
# root), so that several may run side by side and nothing is left behind, however a test ends.

# Where nft, sysctl and turnserver are; Debian leaves it out of the PATH of ordinary users.
export PATH=$PATH:/usr/sbin:/sbin

lab_here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
lab_build=${P2P_BUILD_DIR:-$lab_here/../../build}
lab_rendezvous_program=${P2P_RENDEZVOUS:-$lab_build/tools/p2p-rendezvous}
lab_bytes=${LAB_BYTES:-$((64 << 20))}
export DELAYWIRE=${DELAYWIRE:-$lab_build/tests/lab/delaywire}
export GST_PLUGIN_PATH=${GST_PLUGIN_PATH:-$lab_build/gst}

lab_skip() {
  echo "skip: $*"
  exit 77
}

lab_fail() {
  echo "FAIL: $*" >&2
  exit 1
}

# lab_enter "$@": starts the calling script again inside of its own namespaces. Returns there.
lab_enter() {
  if [ -z "${LAB_INSIDE:-}" ]; then
    local options=(--mount --net --pid --fork --kill-child) tool
    for tool in unshare ip nft sysctl; do
      command -v $tool >/dev/null || lab_skip "$tool is not installed"
    done
    [ "$(id -u)" = 0 ] || options+=(--user --map-root-user)
    unshare "${options[@]}" true 2>/dev/null ||
      lab_skip "this machine lets the caller make no namespaces"
    LAB_INSIDE=yes LAB=p2p$$ exec unshare "${options[@]}" "$BASH" "$0" "$@"
  fi
  # `ip netns` keeps its names in /run/netns; this one goes with the mount namespace.
  mount -t tmpfs tmpfs /run 2>/dev/null || lab_skip "this machine lets the caller mount nothing"
  mkdir /run/netns
  # LeakSanitizer looks for its own threads there.
  mount -t proc proc /proc 2>/dev/null || lab_skip "this machine lets the caller mount no /proc"
  lab_dir=$(mktemp -d)
  export LAB_STATE=$lab_dir/natlab HOME=$lab_dir
  export XDG_RUNTIME_DIR=$lab_dir/run XDG_CACHE_HOME=$lab_dir/cache
  export GST_REGISTRY=$lab_dir/registry.bin
  mkdir -m 0700 "$XDG_RUNTIME_DIR"
  # GStreamer's plugin scanner is not instrumented and cannot load the plugin of a sanitizer's build.
  [ -z "${P2P_SANITIZER_RUNTIME:-}" ] || GST_REGISTRY_FORK=no LD_PRELOAD=$P2P_SANITIZER_RUNTIME \
    ASAN_OPTIONS=detect_leaks=0 gst-inspect-1.0 p2p >/dev/null || lab_fail "the plugin is not loaded"
  lab_pids=()
  trap lab_leave EXIT
  trap 'exit 1' TERM INT
  lab_probe
}

lab_leave() {
  local pid
  for pid in "${lab_pids[@]}"; do kill "$pid" 2>/dev/null || true; done
  "$lab_here/natlab.sh" down
  rm -rf "$lab_dir"
}

# Whether the kernel offers what a laboratory is made of. After this, a failure is a failure.
lab_probe() {
  local probe=$LAB-probe
  ip netns add "$probe" 2>/dev/null || lab_skip "network namespaces cannot be made here"
  ip netns exec "$probe" ip link add x type veth peer name y 2>/dev/null ||
    lab_skip "the kernel has no veth devices"
  ip netns exec "$probe" ip link add z type bridge 2>/dev/null ||
    lab_skip "the kernel has no bridges"
  ip netns exec "$probe" sysctl -qw net.ipv4.ip_forward=1 2>/dev/null ||
    lab_skip "the settings in /proc/sys/net cannot be written here"
  ip netns exec "$probe" nft -f - 2>/dev/null <<'NFT' || lab_skip "the kernel has no NAT for nftables"
table ip probe {
  chain postrouting {
    type nat hook postrouting priority srcnat; policy accept;
    oifname "x" masquerade fully-random
  }
}
NFT
  ip netns del "$probe"
}

# Two hosts on one cable, $LAB-left at 192.0.2.1 and $LAB-right at 192.0.2.2.
lab_cable() {
  local host name address
  ip netns add "$LAB-left"
  ip netns add "$LAB-right"
  ip netns exec "$LAB-left" ip link add eth0 type veth peer name eth0 netns "$LAB-right"
  for host in "$LAB-left 192.0.2.1" "$LAB-right 192.0.2.2"; do
    read -r name address <<<"$host"
    ip netns exec "$name" ip link set lo up
    ip netns exec "$name" ip addr add "$address/24" dev eth0
    ip netns exec "$name" ip link set eth0 up
  done
}

# lab_start LOG COMMAND...: in the background, ended with the test; its pid is in lab_pid.
lab_start() {
  local log=$1
  shift
  "$@" >"$log" 2>&1 </dev/null &
  lab_pid=$!
  lab_pids+=("$lab_pid")
}

# lab_await_listener NAMESPACE PORT PID LOG: until something listens on the TCP port.
lab_await_listener() {
  for _ in $(seq 200); do
    ip netns exec "$1" ss -Hltn | grep -q ":$2 " && return
    kill -0 "$3" 2>/dev/null || lab_fail "the server ended at once: $(cat "$4")"
    sleep 0.05
  done
  lab_fail "nothing listens on port $2 after 10 s: $(cat "$4")"
}

# The sanitizer's runtime must come first in programs that are not instrumented themselves.
lab_gst_launch() {
  LD_PRELOAD=${P2P_SANITIZER_RUNTIME:-} exec ip netns exec "$1" gst-launch-1.0 -m "${@:2}"
}

# lab_rendezvous SERVER_NS HOST: the rendezvous server, at ws://HOST:7480 for the peers.
lab_rendezvous() {
  lab_server=ws://$2:7480
  lab_start "$lab_dir/rendezvous.log" ip netns exec "$1" \
    "$lab_rendezvous_program" --listen 0.0.0.0:7480
  lab_rendezvous_pid=$lab_pid
  lab_await_listener "$1" 7480 "$lab_pid" "$lab_dir/rendezvous.log"
}

# lab_receive NS SECRET [PROPERTY...]: bob waits for a file from alice; his pid is in lab_pid. Each
# peer has a data directory, and so an identity, of its own.
lab_receive() {
  XDG_DATA_HOME=$lab_dir/bob lab_start "$lab_dir/bob.log" lab_gst_launch "$1" \
    p2psrc "rendezvous=$lab_server" id=bob peer=alice "secret=$2" "${@:3}" ! \
    filesink "location=$lab_dir/out"
}

# lab_send NS SECRET [PROPERTY...]: alice sends her file to bob; her pid is in lab_pid.
lab_send() {
  "$lab_here/../../script/sample-file" "$lab_bytes" "$lab_dir/in"
  XDG_DATA_HOME=$lab_dir/alice lab_start "$lab_dir/alice.log" lab_gst_launch "$1" \
    filesrc "location=$lab_dir/in" ! \
    p2psink "rendezvous=$lab_server" id=alice peer=bob "secret=$2" "${@:3}"
}

lab_new_secret() { head -c 24 /dev/urandom | base64; }

# lab_transfer SERVER_NS HOST SENDER_NS RECEIVER_NS [PROPERTY...]: the whole way, and what it leaves.
lab_transfer() {
  local secret sent received alice bob
  secret=$(lab_new_secret)
  lab_rendezvous "$1" "$2"
  lab_receive "$4" "$secret" "${@:5}"
  bob=$lab_pid
  lab_send "$3" "$secret" "${@:5}"
  alice=$lab_pid

  lab_await_end alice "$alice" bob "$bob"
  lab_await_end bob "$bob" alice "$alice"
  sent=$(sha256sum <"$lab_dir/in")
  received=$(sha256sum <"$lab_dir/out")
  [ "$sent" = "$received" ] ||
    lab_fail "bob's file is another one, of $(stat -c %s "$lab_dir/out") bytes"
  kill "$lab_rendezvous_pid"
  wait "$lab_rendezvous_pid" || lab_fail "the rendezvous server did not end cleanly: $(lab_story rendezvous)"
  ! grep -qF "$secret" "$lab_dir"/*.log || lab_fail "the secret stands in a log"
  grep -h p2p-connection-state "$lab_dir/alice.log" "$lab_dir/bob.log" || true
  echo "$lab_bytes bytes arrived whole, SHA-256 ${sent%% *}"
}

# lab_await_end NAME PID OTHER PID: what one complains of is mostly that the other has died.
lab_await_end() {
  local code=0 other=0
  wait "$2" || code=$?
  [ $code != 0 ] || return 0
  kill -0 "$4" 2>/dev/null || wait "$4" || other=$?
  [ $other -le 128 ] || lab_fail "$3 ended with exit code $other: $(lab_story "$3" "$1")"
  lab_fail "$1 ended with exit code $code: $(lab_story "$1" "$3")"
}

# lab_await_gone PID SECONDS: until it is no longer running. False when it still is.
lab_await_gone() {
  local until=$((SECONDS + $2))
  while kill -0 "$1" 2>/dev/null && [ "$(ps -o stat= -p "$1")" != Z ]; do
    [ $SECONDS -lt $until ] || return 1
    sleep 0.05
  done
}

# lab_story NAME...: the last words of each, that which matters most first: a log of CI may be cut off.
# Of the bus messages that gst-launch-1.0 -m prints only what this project tells, and errors.
lab_story() {
  local name
  for name in "$@"; do
    echo
    echo "--- $name:"
    grep -vE '^Got message #[0-9]+ .*\((state-changed|async-done|stream-start|stream-status|tag|latency|new-clock|reset-time|need-context|have-context|property-notify|progress)\)' \
      "$lab_dir/$name.log" | tail -n 20 | cut -c -600
  done
}

# lab_expect_relayed true|false: what both sides must have said about the pair that they used.
lab_expect_relayed() {
  local side
  for side in alice bob; do
    grep 'p2p-connection-state.*connected' "$lab_dir/$side.log" |
      grep -q "relayed=(boolean)$1" || lab_fail "$side did not say relayed=$1: $(lab_story $side)"
  done
}
