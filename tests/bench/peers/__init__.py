"""What is compared: this project and what a user would take instead."""

from peers.core import Core
from peers.endpoint import BlockingEndpoint, Endpoint, P2p, Pion
from peers.gstreamer import KeptLaunch, P2pLaunch, SrtLaunch
from peers.iperf import Iperf
from peers.ngtcp2 import Ngtcp2
from peers.relay import Relay, Uclient
from peers.udp import Udp

ALL = {peer.name: peer for peer in (
    P2pLaunch(),
    KeptLaunch("sqlite"),
    KeptLaunch("redis"),
    P2p("p2p", "libp2pagent, C API", "bench-p2p"),
    BlockingEndpoint("p2p-blocking", "libp2pagent, C API, blocking calls", "bench-p2p"),
    Core(),
    SrtLaunch(),
    Endpoint("webrtc", "webrtcbin data channel", "bench-webrtc"),
    Pion("pion", "pion data channel", "bench-pion"),
    Endpoint("nice", "libnice reliable", "bench-nice"),
    Ngtcp2(),
    Iperf("tcp-cubic", "iperf3 TCP cubic", "cubic"),
    Iperf("tcp-bbr", "iperf3 TCP bbr", "bbr"),
    Udp(),
    Relay(),
    Uclient(),
)}
