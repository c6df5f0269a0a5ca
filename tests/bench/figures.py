"""What this project is meant to reach, and whether the results say that it does."""

from summary import Spread, number, spread

REACHED, MISSED, UNKNOWN = "reached", "**missed**", "not measured"


class Figure:
    """A bound on a value that `find` takes from the results by key; None when it is not there."""

    def __init__(self, text, unit, find, least=None, most=None):
        self.text = text
        self.unit = unit
        self.find = find
        self.least = least
        self.most = most

    def bound(self):
        sign, value = ("≥", self.least) if self.least is not None else ("≤", self.most)
        return f"{sign} {value:g}{self.unit}"

    def judge(self, workloads):
        value = self.find(workloads)
        if value is None:
            return "–", UNKNOWN
        good = value >= self.least if self.least is not None else value <= self.most
        return number(value) + self.unit, REACHED if good else MISSED


def median(workloads, key, peer, field):
    entry = workloads.get(key, {"peers": {}})["peers"].get(peer)
    value: Spread = spread(entry, field) if entry else None
    return value.median if value else None


def of(key, peer, field, factor=1):
    def find(workloads):
        value = median(workloads, key, peer, field)
        return None if value is None else value * factor
    return find


def quotient(key, peer, field, *others):
    """The peer's median over the largest of the others'."""
    def find(workloads):
        value = median(workloads, key, peer, field)
        rest = [other for other in (median(workloads, key, name, field) for name in others) if other]
        return None if value is None or not rest else value / max(rest)
    return find


def all_figures():
    bulk = "64 KiB on loopback, p2psink → p2psrc over "
    for name, label, least in (("srt", "srtsink → srtsrc", 8), ("webrtc", "webrtcbin", 12),
                               ("nice", "libnice reliable", 4)):
        yield Figure(bulk + label, " ×", quotient("bulk-64", "p2p-gst", "mbit", name), least=least)
    yield Figure(bulk + "the C API alone, the faster way", " ×",
                 quotient("bulk-64", "p2p-gst", "mbit", "p2p", "p2p-blocking"), least=0.7)
    yield Figure("100 Mbit/s, 100 ms of RTT, 1 % loss", " Mbit/s",
                 of("wire-100-100-1", "p2p-gst", "mbit"), least=80)
    yield Figure("1 Gbit/s, 52 ms of RTT, no loss", " Mbit/s",
                 of("wire-1000-52-0", "p2p-gst", "mbit"), least=700)
    for mbit in (100, 1000):
        yield Figure(f"Two flows over {mbit} Mbit/s, Jain's index", "",
                     of(f"flows-{mbit}", "p2p-gst", "jain"), least=0.9)
    for store in ("sqlite", "redis"):
        yield Figure(f"64 KiB on loopback, session kept by {store} over not kept", " ×",
                     quotient("kept-64", f"p2p-gst-{store}", "mbit", "p2p-gst"), least=0.95)
    for peer, label in (("p2p-gst", "p2psink → p2psrc"), ("p2p-blocking", "C API")):
        for side in ("sender", "receiver"):
            yield Figure(f"1 Gbit/s, CPU of the {side}, {label}", " % of a core",
                         of("cpu-1000", peer, f"{side}_core", 100), most=20)
    # UDP's calls block, so those of the C API that do are the ones to compare with.
    for peer, label in (("p2p", "on a main loop"), ("p2p-blocking", "blocking calls")):
        for where, cores in (("same", "one core"), ("cross", "two cores")):
            yield Figure(f"Ping-pong on {cores}, C API over plain UDP, {label}", " ×",
                         quotient(f"pingpong-{where}", peer, "p50_us", "udp"), most=2)
    for rtt_ms in (0, 50, 100):
        yield Figure(f"First byte after both know the candidates, {rtt_ms} ms of RTT", " ms",
                     of(f"setup-{rtt_ms}", "p2p", "knows_to_first_ms"), most=2 * rtt_ms + 30)
    yield Figure("Memory of an idle connection", " KiB", of("memory", "p2p", "offering_kib"), most=96)
    yield Figure("1000 idle connections, CPU of all", " % of a core",
                 of("memory", "p2p", "idle_core", 100), most=5)
    yield Figure("Connections made", " per second", of("memory", "p2p", "per_s"), least=200)
    for clients in (2, 8, 16):
        yield Figure(f"Through coturn, {clients} clients, turn/ over turnutils_uclient", " ×",
                     quotient(f"relay-{clients}", "turn", "mbit", "uclient"), least=0.8)
    for rtt_ms in (20, 100):
        for field, label in (("refresh_ms", "Refresh"), ("channel_bind_ms", "ChannelBind")):
            yield Figure(f"After a 437 to a {label}, {rtt_ms} ms of RTT", " ms",
                         of(f"relay-recovery-{rtt_ms}", "turn", field), most=2 * rtt_ms + 100)


def table(workloads):
    """Lines of Markdown; nothing when nothing was measured that a figure is about."""
    by_key = {workload["key"]: workload for workload in workloads}
    rows = [(figure, *figure.judge(by_key)) for figure in all_figures()]
    rows = [row for row in rows if row[2] != UNKNOWN]
    if not rows:
        return []
    lines = ["| | meant | measured | |", "|---|---:|---:|---|"]
    lines += [f"| {figure.text} | {figure.bound()} | {value} | {verdict} |"
              for figure, value, verdict in rows]
    return ["## What it is meant to reach", "", *lines, ""]
