"""Measures what a NAT of the laboratory does, from both of its sides.

nat_probe.py serve          in "pub": UDP on .10:7000, .10:7001 and .11:7000, TCP on .10:7000
nat_probe.py client TYPE    behind a NAT: exit code 0 when the NAT behaves as TYPE
nat_probe.py rtt MIN_MS     behind a NAT: exit code 0 when a round trip takes at least that long
nat_probe.py seen PORT      behind a NAT: prints the address and port that PORT is mapped to
nat_probe.py count          in "pub": prints how many datagrams have come
nat_probe.py passes COMMAND...   behind a NAT: prints "out" when a datagram arrives at the server, which
                            COMMAND counts, "in" when its answer comes back, or both

A question is answered from the socket that it came to, after what else was asked for has been sent.
The wire keeps order, so a forbidden packet that has not come before the answer was filtered: nothing
here waits for a packet that must not come.
"""

import selectors
import socket
import subprocess
import sys
import time

MAIN = ("203.0.113.10", 7000)
OTHER_PORT = ("203.0.113.10", 7001)
OTHER_ADDRESS = ("203.0.113.11", 7000)
PATIENCE_S = 10

# Whether the mapped port stays for another destination; what comes in from whom was not sent to.
BEHAVIOUR = {
    "full": {"same-mapping": True, "other-port": True, "other-address": True},
    "addr": {"same-mapping": True, "other-port": True, "other-address": False},
    "port": {"same-mapping": True, "other-port": False, "other-address": False},
    "sym": {"same-mapping": False, "other-port": False, "other-address": False},
}


def udp_socket(address=("0.0.0.0", 0)):
    sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    sock.bind(address)
    sock.settimeout(PATIENCE_S)
    return sock


def serve():
    main, port, address = (udp_socket(where) for where in (MAIN, OTHER_PORT, OTHER_ADDRESS))
    others = {b"other-port": port, b"other-address": address}
    listener = socket.create_server(MAIN)
    datagrams = 0
    selector = selectors.DefaultSelector()
    for sock in (main, port, address, listener):
        selector.register(sock, selectors.EVENT_READ)
    while True:
        for key, _ in selector.select():
            if key.fileobj is listener:
                connection, _ = listener.accept()
                with connection:
                    connection.sendall(str(datagrams).encode())
                continue
            question, peer = key.fileobj.recvfrom(2000)
            datagrams += 1
            if question in others:
                others[question].sendto(b"unasked", peer)
            key.fileobj.sendto(f"{peer[0]} {peer[1]}".encode(), peer)


def ask(sock, server, question):
    """The answer, and from whom something unasked came before it."""
    sock.sendto(question, server)
    unasked = set()
    while True:
        data, sender = sock.recvfrom(2000)
        if sender == server:
            return data.decode(), unasked
        unasked.add(sender)


def datagrams_seen():
    with socket.create_connection(MAIN, PATIENCE_S) as connection:
        return int(connection.recv(100))


def passes(count_command):
    def count():
        return int(subprocess.run(count_command, check=True, capture_output=True).stdout)

    sock = udp_socket()
    before = count()
    try:
        sock.sendto(b"echo", MAIN)
    except OSError:  # no route, without a cable
        return ""
    found = ["out"] if count() != before else []
    sock.setblocking(False)
    try:
        sock.recvfrom(2000)
        found.append("in")
    except BlockingIOError:
        pass
    return " ".join(found)


def client(kind):
    if kind == "noudp":
        before = datagrams_seen()
        udp_socket().sendto(b"echo", MAIN)
        return {"udp-arrives": datagrams_seen() != before} == {"udp-arrives": False}
    found = {}
    sock = udp_socket()
    _, unasked = ask(sock, MAIN, b"other-port")
    found["other-port"] = OTHER_PORT in unasked
    _, unasked = ask(sock, MAIN, b"other-address")
    found["other-address"] = OTHER_ADDRESS in unasked
    first, _ = ask(sock, MAIN, b"echo")
    second, _ = ask(sock, OTHER_ADDRESS, b"echo")
    found["same-mapping"] = first == second
    print(f"{kind}: {found}, seen as {first} and {second}")
    return found == BEHAVIOUR[kind]


def rtt(minimum_ms):
    sock = udp_socket()
    ask(sock, MAIN, b"echo")  # ARP and the NAT's mapping
    start = time.monotonic()
    ask(sock, MAIN, b"echo")
    took_ms = (time.monotonic() - start) * 1000
    print(f"round trip {took_ms:.1f} ms")
    return took_ms >= minimum_ms


if __name__ == "__main__":
    if sys.argv[1] == "serve":
        serve()
    if sys.argv[1] == "seen":
        print(ask(udp_socket(("0.0.0.0", int(sys.argv[2]))), MAIN, b"echo")[0])
        sys.exit()
    if sys.argv[1] == "count":
        print(datagrams_seen())
        sys.exit()
    if sys.argv[1] == "passes":
        print(passes(sys.argv[2:]))
        sys.exit()
    good = client(sys.argv[2]) if sys.argv[1] == "client" else rtt(float(sys.argv[2]))
    sys.exit(0 if good else 1)
