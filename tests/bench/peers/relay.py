"""Clients of a TURN server: this project's, and coturn's own. The server is coturn, started for each run."""

import re
import shutil
import socket
import time

from errors import Failed, Skipped
from network import local_address, LOCAL_ADDRESS
from peers.base import GIB, Peer, START_PATIENCE_S
from peers.certificate import make_certificate, missing_certificate

USER, PASSWORD = "bench", "bench"
# What turnutils_uclient sends of each client at a tick.
BURST = 50
# Its clients start at random within six seconds.
UCLIENT_START_S = 6.5
# How each transport is called by turnutils_uclient, and in a URI.
UCLIENT_TRANSPORT = {"udp": [], "tcp": ["-t"], "dtls": ["-S"]}
URI = {"udp": "turn://{}?transport=udp", "tcp": "turn://{}?transport=tcp",
       "tls": "turns://{}?transport=tcp", "dtls": "turns://{}?transport=udp"}
BINDING_REQUEST = b"\x00\x01\x00\x00\x21\x12\xa4\x42benchmarking"


def start_coturn(setting):
    """Listens when it returns, for all transports on one port."""
    if shutil.which("turnserver") is None:
        raise Skipped("not installed: coturn")
    address, folder = setting.far.address, setting.folder
    key, certificate = make_certificate(folder / "coturn-tls", address)
    server = setting.start(
        ["turnserver", "-n", "--lt-cred-mech", "--realm=bench", f"--user={USER}:{PASSWORD}",
         f"--listening-port={setting.port}", f"--listening-ip={address}", f"--relay-ip={address}",
         "--no-cli", f"--cert={certificate}", f"--pkey={key}", "--simple-log",
         f"--log-file={folder}/coturn.log",
         f"--pidfile={folder}/coturn.pid", f"--userdb={folder}/coturn.db"], setting.far)
    deadline = time.monotonic() + START_PATIENCE_S
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as asking:
        asking.settimeout(0.1)
        while time.monotonic() < deadline:
            try:
                asking.sendto(BINDING_REQUEST, (address, setting.port))
                asking.recv(2000)
                return server
            except OSError:
                continue
    raise Failed(f"turnserver does not answer: {server.last_words()}")


class Relay(Peer):
    """bench-relay, on turn/ alone."""

    name = "turn"
    title = "turn/, this project's client"

    def program(self, build):
        return build / "tests/bench/bench-relay"

    def missing(self, build):
        if not self.program(build).exists():
            return "not built"
        return missing_certificate() if shutil.which("turnserver") else "not installed: coturn"

    def start(self, setting, kind, *arguments, protocol="udp"):
        server = f"{USER}:{PASSWORD}@{setting.far.address}:{setting.port}"
        _, certificate = make_certificate(setting.folder / "coturn-tls", setting.far.address)
        return setting.start([self.program(setting.build), kind, URI[protocol].format(server),
                              certificate, *arguments], setting.near)

    def relay(self, setting, protocol, clients, message_bytes, seconds):
        if local_address() != LOCAL_ADDRESS:
            raise Skipped("asks no relay for a peer on the loopback device; needs network namespaces")
        server = start_coturn(setting)
        client = self.start(setting, "goodput", clients, message_bytes, BURST, seconds,
                            protocol=protocol)
        client.wait_event("begin", START_PATIENCE_S)
        before = client.cpu_s(), server.cpu_s()
        end = client.wait_event("end", seconds + START_PATIENCE_S)
        return goodput(end["bytes"], end["offered_bytes"], end["seconds"], client.cpu_s() - before[0],
                       server.cpu_s() - before[1])

    def recovery(self, setting, rtt_ms, count):
        start_coturn(setting)
        client = self.start(setting, "recovery", rtt_ms, count)
        took = {"refresh": [], "channel-bind": []}
        for _ in range(2 * count):
            event = client.wait_event("recovered", START_PATIENCE_S)
            took[event["request"]].append(event["ms"])
        client.wait_event("end", START_PATIENCE_S)
        return {"refresh_ms": max(took["refresh"]), "channel_bind_ms": max(took["channel-bind"])}

    def idle(self, setting, count, seconds):
        start_coturn(setting)
        client = self.start(setting, "idle", count, seconds)
        begin = client.wait_event("begin", 4 * START_PATIENCE_S)
        before = client.cpu_s()
        client.wait_event("end", seconds + START_PATIENCE_S)
        return {"kib": begin["kib"], "per_s": begin["per_s"],
                "idle_core": (client.cpu_s() - before) / seconds}


class Uclient(Peer):
    """turnutils_uclient of coturn; it counts once a second, from its first second on."""

    name = "uclient"
    title = "turnutils_uclient"

    def missing(self, build):
        if shutil.which("turnutils_uclient") is None:
            return "not installed: coturn"
        return missing_certificate()

    def relay(self, setting, protocol, clients, message_bytes, seconds):
        if protocol not in UCLIENT_TRANSPORT:
            raise Skipped("loses its place in the stream when much comes over TLS")
        server = start_coturn(setting)
        key, certificate = make_certificate(setting.folder / "coturn-tls", setting.far.address)
        # More messages than can be sent until the end, which is ours to say.
        client = setting.start(
            ["stdbuf", "-oL", "turnutils_uclient", "-y", "-c", "-m", clients, "-n", 100000000,
             "-l", message_bytes, "-z", 0, *UCLIENT_TRANSPORT[protocol], "-i", certificate, "-k", key,
             "-u", USER, "-w", PASSWORD, "-p", setting.port, setting.far.address], setting.near)
        self.wait_line(client, r"Total connect time", 0)
        time.sleep(UCLIENT_START_S)
        first = last = self.count(client, server)
        while last[0] - first[0] < seconds:
            last = self.count(client, server)
        took_s, received, offered, client_cpu_s, server_cpu_s = (
            after - before for before, after in zip(first, last))
        return goodput(received, offered, took_s, client_cpu_s, server_cpu_s)

    def count(self, client, server):
        """With the next line of its statistics: when, bytes received and sent, CPU of both."""
        line = self.wait_line(client, r"tot_send_bytes ~ (\d+), tot_recv_bytes ~ (\d+)",
                              len(client.output))
        return time.monotonic(), int(line[2]), int(line[1]), client.cpu_s(), server.cpu_s()

    @staticmethod
    def wait_line(client, pattern, begin):
        deadline = time.monotonic() + START_PATIENCE_S
        while time.monotonic() < deadline:
            for text in client.output[begin:]:
                found = re.search(pattern, text)
                if found:
                    return found
            if client.process.poll() is not None:
                break
            time.sleep(0.005)
        raise Failed(f"turnutils_uclient: {client.last_words()}")


def goodput(received, offered, seconds, client_cpu_s, server_cpu_s):
    result = {
        "mbit": received * 8e-6 / seconds,
        "offered_mbit": offered * 8e-6 / seconds,
        "client_core": client_cpu_s / seconds,
        "server_core": server_cpu_s / seconds,
    }
    if received > 0:
        result["client_s_per_gib"] = client_cpu_s * GIB / received
    return result
