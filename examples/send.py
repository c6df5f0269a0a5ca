#!/usr/bin/env python3
"""Sends standard input to a peer, and ends when the peer has taken all of it.

    send.py [--rendezvous URI] [--secret SECRET] ME PEER < file
"""
import argparse
import os
import sys

import gi

gi.require_version('P2p', '1.0')
from gi.repository import GLib, P2p  # noqa: E402

parser = argparse.ArgumentParser()
parser.add_argument('me')
parser.add_argument('peer')
parser.add_argument('--rendezvous', default='local')
parser.add_argument('--secret', default=os.environ.get('P2P_SECRET'))
options = parser.parse_args()

agent = P2p.Agent.new(options.me)
try:
    agent.set_rendezvous(options.rendezvous)
    agent.set_secret(options.secret)
    connection = agent.open_connection(options.peer, None)
    channel = connection.open_channel('file', None)
    while part := sys.stdin.buffer.read(65536):
        channel.send(GLib.Bytes.new(part), None)
    channel.end()
    channel.flush(None)
    # Tells the peer; without it, the peer would have to notice that this process is gone.
    loop = GLib.MainLoop()
    agent.close_async(None, lambda _agent, _result: loop.quit())
    loop.run()
except GLib.Error as error:
    sys.exit(error.message)
