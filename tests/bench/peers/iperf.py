"""TCP of the kernel, by iperf3: without encryption, without messages, what the machine can do."""

import json
import pathlib
import shutil
import time

from errors import Failed
from peers.base import Peer, START_PATIENCE_S, rate

AVAILABLE = pathlib.Path("/proc/sys/net/ipv4/tcp_available_congestion_control")


class Iperf(Peer):
    def __init__(self, name, title, congestion_control):
        self.name = name
        self.title = title
        self.congestion_control = congestion_control

    def missing(self, build):
        if shutil.which("iperf3") is None:
            return "not installed: iperf3"
        if self.congestion_control not in AVAILABLE.read_text(encoding="ascii").split():
            return f"this kernel has no {self.congestion_control}"
        return None

    def bulk(self, setting, message_bytes, seconds):
        server = setting.start(["iperf3", "-s", "-1", "-p", setting.port],
                               setting.far)
        client = self.connect(setting, server, message_bytes, seconds)
        client.wait_exit(seconds + START_PATIENCE_S)
        report = json.loads("\n".join(client.output))
        if "error" in report:
            raise Failed(f"iperf3: {report['error']}")
        end = report["end"]
        took_s = end["sum_received"]["seconds"]
        cpu = end["cpu_utilization_percent"]
        result = rate(end["sum_received"]["bytes"], took_s, cpu["host_total"] / 100 * took_s,
                      cpu["remote_total"] / 100 * took_s)
        half = [interval["sum"] for interval in report["intervals"]
                if interval["sum"]["start"] >= took_s / 2 - 0.01]
        if half:
            result["late_mbit"] = sum(part["bytes"] for part in half) * 8e-6 / sum(
                part["seconds"] for part in half)
        return result

    def connect(self, setting, server, message_bytes, seconds):
        wait_for_listener(setting, server)
        return setting.start(
            ["iperf3", "-c", setting.far.address, "-p", setting.port, "-t", f"{seconds:g}", "-J",
             "-C", self.congestion_control, "-l", message_bytes, "-i", "0.5"], setting.near)


def wait_for_listener(setting, server):
    """Until the process has a listening socket, as its namespace's table of them says."""
    deadline = time.monotonic() + 5
    wanted = f":{setting.port:04X}"
    while time.monotonic() < deadline:
        for table in ("tcp", "tcp6", "udp", "udp6"):
            try:
                with open(f"/proc/{server.pid}/net/{table}", encoding="ascii") as lines:
                    if any(line.split()[1].endswith(wanted) for line in list(lines)[1:]):
                        return
            except OSError:
                continue
        time.sleep(0.01)
    raise Failed(f"{server.name} does not listen: {server.last_words()}")
