"""Pairs of gst-launch-1.0 processes between benchsrc and benchsink."""

from peers.base import Peer, START_PATIENCE_S, missing_element, receive_window


class Launch(Peer):
    """`sink` and `source` are parts of a launch line, made for one run."""

    def ends(self, setting):
        raise NotImplementedError

    def bulk(self, setting, message_bytes, seconds, mbit=0):
        sink, source = self.ends(setting)
        receiver = setting.start(
            ["gst-launch-1.0", "-q", *source, "!", "benchsink", f"seconds={seconds:g}"], setting.far)
        sender = setting.start(
            ["gst-launch-1.0", "-q", "benchsrc", f"blocksize={message_bytes}", f"mbit={mbit:g}", "!",
             *sink], setting.near)
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


class SrtLaunch(Launch):
    """Live mode, which is all that the elements have, with what makes it fastest here: full packets,
    large buffers, no limit to its rate, nothing dropped for being late, no encryption."""

    name = "srt"
    title = "srtsink → srtsrc"

    def missing(self, build):
        return missing_element("srtsrc", "srtsink", "benchsrc")

    def ends(self, setting):
        tuning = ("payloadsize=1316&maxbw=-1&sndbuf=67108864&rcvbuf=67108864&tlpktdrop=false")
        uri = f"srt://{setting.far.address}:{setting.port}"
        return (["srtsink", f"uri={uri}?mode=caller&{tuning}", "sync=false"],
                ["srtsrc", f"uri={uri}?mode=listener&{tuning}"])
