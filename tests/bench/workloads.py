"""What is measured: groups of workloads, each with its peers and how one run of it goes."""

import contextlib

import flows
from network import Place, Veth, Wire, local_address

BULK_PEERS = ("p2p-gst", "p2p", "p2p-blocking", "core", "srt", "webrtc", "pion", "nice", "ngtcp2",
              "tcp-cubic")
PING_PEERS = ("udp", "p2p", "p2p-blocking", "nice", "webrtc", "pion")
SETUP_PEERS = ("p2p-gst", "p2p", "nice", "webrtc", "pion", "srt")
WIRE_PEERS = ("p2p-gst", "tcp-cubic", "tcp-bbr", "nice", "srt")
PACED_PEERS = ("p2p-gst", "p2p-blocking", "nice", "srt", "tcp-cubic")
KEPT_PEERS = ("p2p-gst", "p2p-gst-sqlite", "p2p-gst-redis")
FLOW_PEERS = ("p2p-gst", "tcp-bbr", "tcp-cubic")
RELAY_PEERS = ("turn", "uclient")
# Connections that one process holds; slow peers hold fewer.
MEMORY_COUNTS = {"p2p": 1000, "nice": 200, "webrtc": 30}

RTTS_MS = (20, 50, 100)
LOSSES_PERCENT = (0, 0.1, 1, 5)
RATES_MBIT = (100, 1000)
# The cells in which the others run as well: a full matrix of all would take hours. Those that are slow
# on every wire run in two.
TCP_CELLS = {(20, 0.1, 1000), (50, 0, 1000), (50, 1, 1000), (100, 0, 100), (100, 1, 100)}
ALL_CELLS = {(50, 0, 1000), (100, 1, 100)}
# Figures are set for these; there the start weighs less.
LONG_CELLS = {(52, 0, 1000), (100, 1, 100)}

PING_COUNT = 5000
# Payload of a datagram through a relay.
RELAY_MESSAGE_BYTES = 1200
ALLOCATIONS = 1000
# In which each of them asks once whether it is still there.
IDLE_S = 20


class Workload:
    """`group` is the section of the report. `network` makes the places of both sides for one run: a
    context of (near, far)."""

    def __init__(self, group, key, title, parameters, peers, network, measure):
        self.group = group
        self.key = key
        self.title = title
        self.parameters = parameters
        self.peers = peers
        self._network = network
        self._measure = measure

    def run(self, peer, setting_for):
        with self._network(setting_for) as places, setting_for(*places) as setting:
            return self._measure(peer, setting)


@contextlib.contextmanager
def one_machine(_, near_core=None, far_core=None):
    here = Place(local_address())
    yield here.on(near_core), here.on(far_core)


def pinned(near_core, far_core):
    return lambda context: one_machine(context, near_core, far_core)


def wire(rtt_ms, loss_percent, mbit):
    @contextlib.contextmanager
    def network(context):
        with Wire(f"w{context.next_serial()}", context.build / "tests/lab/delaywire", rtt_ms,
                  loss_percent, mbit, context.folder) as cable:
            yield cable.places
    return network


def veth(mbit):
    @contextlib.contextmanager
    def network(context):
        with Veth(f"v{context.next_serial()}", mbit) as cable:
            yield cable.places
    return network


def bulk_workloads(quick):
    for kib in (64,) if quick else (1, 64, 1024):
        seconds = 3 if kib == 64 and not quick else 2
        yield Workload(
            "bulk", f"bulk-{kib}", f"Loopback, messages of {kib} KiB",
            {"message_kib": kib, "seconds": seconds}, BULK_PEERS, one_machine,
            lambda peer, setting, size=kib << 10, span=seconds: peer.bulk(setting, size, span))


def pingpong_workloads(quick):
    count = 2000 if quick else PING_COUNT
    for key, title, cores in (("same", "both on one core", (0, 0)),
                              ("cross", "on two cores", (0, 1))):
        yield Workload(
            "pingpong", f"pingpong-{key}", f"64 bytes there and back, {title}",
            {"cores": list(cores), "count": count}, PING_PEERS, pinned(*cores),
            lambda peer, setting: peer.pingpong(setting, count))


def setup_workloads(quick):
    yield Workload("setup", "setup-0", "Loopback", {"rtt_ms": 0}, SETUP_PEERS, one_machine,
                   lambda peer, setting: peer.setup(setting))
    for rtt_ms in (50,) if quick else (50, 100):
        yield Workload("setup", f"setup-{rtt_ms}", f"{rtt_ms} ms of RTT", {"rtt_ms": rtt_ms},
                       SETUP_PEERS, wire(rtt_ms, 0, 100), lambda peer, setting: peer.setup(setting))


def cpu_workloads(quick):
    seconds = 3 if quick else 5
    yield Workload("cpu", "cpu-1000", "1 Gbit/s between two network namespaces (veth, tbf)",
                   {"mbit": 1000, "seconds": seconds}, PACED_PEERS, veth(1000),
                   lambda peer, setting: peer.bulk(setting, 65536, seconds))


def kept_workloads(quick):
    seconds = 3 if quick else 5
    yield Workload("kept", "kept-64", "Loopback, messages of 64 KiB", {"message_kib": 64, "seconds": seconds},
                   KEPT_PEERS, one_machine, lambda peer, setting: peer.bulk(setting, 65536, seconds))


def memory_workloads(quick):
    counts = {**MEMORY_COUNTS, "webrtc": 10} if quick else MEMORY_COUNTS
    title = ", ".join(f"{count} of {name}" for name, count in counts.items())
    yield Workload("memory", "memory", f"Idle connections in one process: {title}", counts,
                   tuple(counts), one_machine,
                   lambda peer, setting: peer.memory(setting, counts[peer.name]))


def wire_peers(cell):
    if cell in ALL_CELLS:
        return WIRE_PEERS
    return WIRE_PEERS[:3] if cell in TCP_CELLS else WIRE_PEERS[:1]


def wire_workloads(quick):
    cells = [(rtt, loss, mbit) for mbit in RATES_MBIT for rtt in RTTS_MS
             for loss in LOSSES_PERCENT] + [(52, 0, 1000)]
    if quick:
        cells = [(52, 0, 1000), (100, 1, 100)]
    for cell in cells:
        rtt_ms, loss, mbit = cell
        seconds = (6 if quick else 10) if cell in LONG_CELLS else 5
        yield Workload(
            "wire", f"wire-{mbit}-{rtt_ms}-{loss:g}",
            f"{mbit} Mbit/s, {rtt_ms} ms of RTT, {loss:g} % loss",
            {"rtt_ms": rtt_ms, "loss_percent": loss, "mbit": mbit, "seconds": seconds},
            wire_peers(cell), wire(rtt_ms, loss, mbit),
            lambda peer, setting, span=seconds: peer.bulk(setting, 65536, span))


def flows_workloads(quick):
    seconds = 8 if quick else 10
    for mbit in (100,) if quick else RATES_MBIT:
        yield Workload(
            "flows", f"flows-{mbit}", f"Two flows over {mbit} Mbit/s, 50 ms of RTT",
            {"rtt_ms": 50, "mbit": mbit, "seconds": seconds}, FLOW_PEERS[:2] if quick else FLOW_PEERS,
            wire(50, 0, mbit), lambda peer, setting: flows.run_both(peer, setting, seconds))


def relay_workloads(quick):
    seconds = 2 if quick else 4
    over_udp = [("udp", clients) for clients in ((2, 8) if quick else (2, 8, 16))]
    for protocol, clients in over_udp + [(protocol, 8) for protocol in ("tcp", "tls", "dtls")]:
        key = f"relay-{clients}" if protocol == "udp" else f"relay-{protocol}-{clients}"
        yield Workload(
            "relay", key,
            f"{clients} clients in pairs over {protocol.upper()}, {RELAY_MESSAGE_BYTES} bytes",
            {"protocol": protocol, "clients": clients, "message_bytes": RELAY_MESSAGE_BYTES,
             "seconds": seconds}, RELAY_PEERS, one_machine,
            lambda peer, setting, protocol=protocol, clients=clients: peer.relay(
                setting, protocol, clients, RELAY_MESSAGE_BYTES, seconds))
    for rtt_ms in (20,) if quick else (20, 100):
        count = 3 if quick else 5
        yield Workload(
            "relay-recovery", f"relay-recovery-{rtt_ms}", f"{rtt_ms} ms of RTT, {count} of each",
            {"rtt_ms": rtt_ms, "count": count}, RELAY_PEERS[:1], one_machine,
            lambda peer, setting, rtt_ms=rtt_ms: peer.recovery(setting, rtt_ms, count))
    yield Workload("relay-idle", "relay-idle",
                   f"{ALLOCATIONS} allocations of one process, for {IDLE_S} s",
                   {"count": ALLOCATIONS, "seconds": IDLE_S}, RELAY_PEERS[:1], one_machine,
                   lambda peer, setting: peer.idle(setting, ALLOCATIONS, IDLE_S))


GROUPS = {
    "bulk": bulk_workloads,
    "pingpong": pingpong_workloads,
    "setup": setup_workloads,
    "cpu": cpu_workloads,
    "kept": kept_workloads,
    "memory": memory_workloads,
    "wire": wire_workloads,
    "flows": flows_workloads,
    "relay": relay_workloads,
}
