"""Plain UDP: the base of the ping-pong."""

from peers.base import Peer, START_PATIENCE_S


class Udp(Peer):
    name = "udp"
    title = "UDP, blocking calls"

    def missing(self, build):
        return None if (build / "tests/bench/bench-udp").exists() else "not built"

    def pingpong(self, setting, count):
        program = setting.build / "tests" / "bench" / "bench-udp"
        far = setting.start([program, "pong", setting.far.address, setting.port], setting.far)
        far.wait_event("open", START_PATIENCE_S)
        near = setting.start([program, "ping", setting.far.address, setting.port, count],
                             setting.near)
        pings = near.wait_event("pings", START_PATIENCE_S)
        return {key: pings[key] for key in ("p50_us", "p99_us", "min_us")}
