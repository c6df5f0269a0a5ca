"""Where the programs of a run stand: one machine, or two namespaces with a cable between them.

Everything lies in namespaces of the whole run's own (see enter()), so nothing is left behind, however
the run ends.
"""

import ctypes
import dataclasses
import json
import os
import shutil
import signal
import subprocess
import sys
import time

from errors import Failed, Skipped

LOCAL_ADDRESS = "192.0.2.1"
ADDRESSES = ("198.51.100.1", "198.51.100.2")
# TCP may use as much memory as the longest wire of the benchmark holds, and more.
TCP_MEMORY = "4096 1048576 67108864"
INSIDE = "P2P_BENCH_INSIDE"


@dataclasses.dataclass(frozen=True)
class Place:
    """A namespace (None: that of the run), an address in it, cores (None: all), and what is known of
    the cable that leaves it (0: nothing limits it)."""

    address: str
    namespace: str = None
    cores: int = None
    mbit: float = 0
    rtt_ms: float = 0

    def on(self, cores):
        return dataclasses.replace(self, cores=cores)

    def command(self, argv):
        prefix = []
        if self.namespace is not None:
            prefix += ["ip", "netns", "exec", self.namespace]
        if self.cores is not None:
            prefix += ["taskset", "-c", str(self.cores)]
        return prefix + list(argv)


def run(*argv):
    done = subprocess.run(argv, capture_output=True, text=True)
    if done.returncode != 0:
        raise Failed(f"{' '.join(argv)}: {done.stderr.strip()}")


def enter():
    """Runs the calling script again inside of its own namespaces, and ends with it; returns there.

    Returns None, or the reason why there are no namespaces and the run goes on without.
    """
    if os.environ.get(INSIDE):
        return prepare()
    options = ["--mount", "--net", "--pid", "--fork", "--kill-child=TERM", "--mount-proc"]
    if os.getuid() != 0:
        options += ["--user", "--map-root-user"]
    for tool in ("unshare", "ip", "tc", "sysctl"):
        if shutil.which(tool) is None:
            return f"{tool} is not installed"
    if subprocess.run(["unshare", *options, "true"], capture_output=True).returncode != 0:
        return "this machine lets the caller make no namespaces"
    sys.stdout.flush()
    inside = subprocess.Popen(["unshare", *options, sys.executable, *sys.argv],
                              env={**os.environ, INSIDE: "yes"}, preexec_fn=die_with_parent)
    # unshare itself is deaf to signals while it waits. Killed, it has its child end in good order.
    signal.signal(signal.SIGTERM, lambda *_: inside.kill())
    while True:
        try:
            sys.exit(inside.wait())
        except KeyboardInterrupt:
            continue  # the terminal has told those inside as well


def die_with_parent():
    pr_set_pdeathsig = 1
    ctypes.CDLL(None).prctl(pr_set_pdeathsig, signal.SIGKILL)


def prepare():
    try:
        run("mount", "-t", "tmpfs", "tmpfs", "/run")
        os.mkdir("/run/netns")
        settle(())
        # An address beside the loopback's own: ICE leaves 127.0.0.1 out.
        run("ip", "link", "add", "bench0", "type", "veth", "peer", "name", "bench1")
        run("ip", "addr", "add", f"{LOCAL_ADDRESS}/24", "dev", "bench0")
        run("ip", "link", "set", "bench0", "up")
        run("ip", "link", "set", "bench1", "up")
    except (Failed, OSError) as problem:
        return str(problem)
    return None


def settle(prefix):
    """What every namespace of a run has: a loopback, no IPv6, room for TCP."""
    run(*prefix, "ip", "link", "set", "lo", "up")
    for setting in ("net.ipv6.conf.all.disable_ipv6=1", "net.ipv6.conf.default.disable_ipv6=1",
                    f"net.ipv4.tcp_rmem={TCP_MEMORY}", f"net.ipv4.tcp_wmem={TCP_MEMORY}"):
        # A kernel without IPv6 has no such setting.
        subprocess.run([*prefix, "sysctl", "-qw", setting], capture_output=True)


def local_address():
    """Of the run's own namespace; or the machine's loopback, when there is none."""
    return LOCAL_ADDRESS if os.environ.get(INSIDE) else "127.0.0.1"


def wait_for_carrier(namespace):
    """A device is of no use to ICE before."""
    deadline = time.monotonic() + 5
    while True:
        shown = subprocess.run(["ip", "-n", namespace, "link", "show", "eth0"],
                               capture_output=True, text=True).stdout
        if "LOWER_UP" in shown:
            return
        if time.monotonic() > deadline:
            raise Failed(f"the cable of {namespace} has no carrier")
        time.sleep(0.01)


def introduce(names):
    """Both ends know each other's Ethernet address, as a machine knows its router's: looking for it
    over the whole wire would add half a round trip to the first packet."""
    for name, address, other in zip(names, reversed(ADDRESSES), reversed(names)):
        shown = json.loads(subprocess.run(["ip", "-n", other, "-json", "link", "show", "eth0"],
                                          capture_output=True, text=True).stdout)
        run("ip", "-n", name, "neigh", "replace", address, "lladdr", shown[0]["address"],
            "dev", "eth0", "nud", "permanent")


class Cable:
    """Two namespaces and what joins them. A context: leaving it takes all of it away."""

    def __init__(self, name, mbit, rtt_ms=0):
        self.names = (f"bench-{name}-a", f"bench-{name}-b")
        self.places = tuple(Place(address, namespace, mbit=mbit, rtt_ms=rtt_ms)
                            for address, namespace in zip(ADDRESSES, self.names))

    def __enter__(self):
        if not os.environ.get(INSIDE):
            raise Skipped("this machine lets the caller make no namespaces")
        try:
            for name in self.names:
                run("ip", "netns", "add", name)
                settle(("ip", "netns", "exec", name))
            self.join()
            for name, address in zip(self.names, ADDRESSES):
                run("ip", "-n", name, "addr", "add", f"{address}/24", "dev", "eth0")
                run("ip", "-n", name, "link", "set", "eth0", "up")
            for name in self.names:
                wait_for_carrier(name)
            introduce(self.names)
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_):
        for name in self.names:
            subprocess.run(["ip", "netns", "del", name], capture_output=True)

    def join(self):
        raise NotImplementedError


class Veth(Cable):
    """A pair of veth devices that sends no faster than `mbit`."""

    def __init__(self, name, mbit):
        super().__init__(name, mbit)
        self.mbit = mbit

    def join(self):
        a, b = self.names
        run("ip", "-n", a, "link", "add", "eth0", "type", "veth", "peer", "name", "eth0",
            "netns", b)
        for name in self.names:
            run("tc", "-n", name, "qdisc", "add", "dev", "eth0", "root", "tbf",
                "rate", f"{self.mbit}mbit", "burst", "256kb", "latency", "20ms")


class Wire(Cable):
    """delaywire: delay, loss and a rate, with a queue as long as the round trip."""

    def __init__(self, name, program, rtt_ms, loss_percent, mbit, folder):
        super().__init__(name, mbit, rtt_ms)
        self.program = program
        self.options = ["--delay", f"{rtt_ms / 2:g}", "--loss", f"{loss_percent:g}",
                        "--rate", f"{mbit:g}", "--queue-ms", f"{rtt_ms:g}"]
        self.control = f"{folder}/{name}.wire"
        self.process = None

    def join(self):
        a, b = self.names
        device = "eth0"
        options = list(self.options)
        if not os.access("/dev/net/tun", os.W_OK):
            # Through packet sockets on the far ends of veth pairs.
            for name in self.names:
                run("ip", "-n", name, "link", "add", "eth0", "type", "veth", "peer", "name", "wire0")
                run("ip", "-n", name, "link", "set", "wire0", "up")
                # One segment per frame, as a cable carries them; older kernels cannot.
                subprocess.run(["ip", "-n", name, "link", "set", "eth0", "gso_max_segs", "1"],
                               capture_output=True)
            device = "wire0"
            options.append("--packet")
        self.process = subprocess.Popen(
            [self.program, "--a", f"{a}:{device}", "--b", f"{b}:{device}",
             "--control", self.control, *options],
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
        deadline = time.monotonic() + 5
        while not os.path.exists(self.control):
            if self.process.poll() is not None or time.monotonic() > deadline:
                raise Failed("the wire did not start")
            time.sleep(0.01)

    def __exit__(self, *_):
        if self.process is not None:
            self.process.kill()
            self.process.wait()
            self.process.stderr.close()
            self.process = None
        if os.path.exists(self.control):
            os.unlink(self.control)
        super().__exit__()
