"""Pairs of gst-launch-1.0 processes between benchsrc and benchsink."""

import shutil
import socket
import time

from errors import Failed
from peers.base import Peer, START_PATIENCE_S, missing_element, receive_window


class Launch(Peer):
    """`sink` and `source` are parts of a launch line, made for one run."""

    def ends(self, setting):
        raise NotImplementedError

    def pace_mbit(self, setting):
        """How fast the source may be; 0 for as fast as it goes."""
        return 0

    def bulk(self, setting, message_bytes, seconds):
        sink, source = self.ends(setting)
        receiver = setting.start(
            ["gst-launch-1.0", "-q", *source, "!", "benchsink", f"seconds={seconds:g}"], setting.far)
        sender = setting.start(
            ["gst-launch-1.0", "-q", "benchsrc", f"blocksize={message_bytes}",
             f"mbit={self.pace_mbit(setting):g}", "!", *sink], setting.near)
        return receive_window(sender, receiver, seconds)

    def setup(self, setting):
        sink, source = self.ends(setting)
        far = setting.start(["gst-launch-1.0", "-q", *source, "!", "benchsink"], setting.far)
        near = setting.start(["gst-launch-1.0", "-q", "benchsrc", "blocksize=64", "mbit=0.1", "!",
                              *sink], setting.near)
        first_us = far.wait_event("first", START_PATIENCE_S)["at_us"]
        return {"start_to_first_ms": (first_us - max(near.started_us, far.started_us)) / 1e3}


class P2pLaunch(Launch):
    name = "p2p-gst"
    title = "p2psink → p2psrc"

    def missing(self, build):
        return missing_element("p2psrc", "benchsrc")

    def ends(self, setting):
        alice, bob = f"alice{setting.serial}", f"bob{setting.serial}"
        return ["p2psink", f"id={alice}", f"peer={bob}"], ["p2psrc", f"id={bob}", f"peer={alice}"]


class KeptLaunch(P2pLaunch):
    """Sessions that outlive their processes: both sides keep theirs while the data flows."""

    def __init__(self, store):
        self.name = f"{P2pLaunch.name}-{store}"
        self.title = f"{P2pLaunch.title}, kept by {store}"
        self.store = store

    def missing(self, build):
        if self.store == "redis" and shutil.which("redis-server") is None:
            return "not installed: redis-server"
        return super().missing(build)

    def ends(self, setting):
        stores = [f"sqlite:{setting.folder}/{side}{setting.serial}.db" for side in "ab"]
        if self.store == "redis":
            setting.start(["redis-server", "--bind", "127.0.0.1", "--port", setting.port, "--dir",
                           setting.folder, "--save", "", "--appendonly", "yes", "--appendfilename",
                           f"bench{setting.serial}.aof"], setting.near)
            wait_for_listener(setting.port)
            stores = [f"redis://127.0.0.1:{setting.port}/{side}" for side in "01"]
        return [[*end, f"session-store={store}"] for end, store in zip(super().ends(setting), stores)]


def wait_for_listener(port):
    deadline = time.monotonic() + START_PATIENCE_S
    while True:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
            return
        except OSError as error:
            if time.monotonic() > deadline:
                raise Failed(f"nothing listens on port {port}: {error}") from error
            time.sleep(0.02)


class SrtLaunch(Launch):
    """Live mode, which is all that the elements have, with what makes it fastest: full packets, large
    buffers (with its own it stands still after 10 MB), no limit to its rate, no encryption.

    On a cable it needs a source that is slower than the cable, and time to send again: it is told the
    rate and the round trip, which no user knows.
    """

    name = "srt"
    title = "srtsink → srtsrc"

    PART_OF_RATE = 0.9
    LATENCY_RTTS = 4
    LEAST_LATENCY_MS = 125

    def missing(self, build):
        return missing_element("srtsrc", "srtsink", "benchsrc")

    def pace_mbit(self, setting):
        return setting.near.mbit * self.PART_OF_RATE

    def ends(self, setting):
        tuning = "payloadsize=1316&maxbw=-1&sndbuf=67108864&rcvbuf=67108864"
        latency_ms = max(self.LEAST_LATENCY_MS, round(setting.near.rtt_ms * self.LATENCY_RTTS))
        uri = f"srt://{setting.far.address}:{setting.port}"
        return (["srtsink", f"uri={uri}?mode=caller&{tuning}", f"latency={latency_ms}", "sync=false"],
                ["srtsrc", f"uri={uri}?mode=listener&{tuning}", f"latency={latency_ms}"])
