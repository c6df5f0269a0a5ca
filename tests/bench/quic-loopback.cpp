// How fast one core encrypts, frames and decrypts: both ends on one loop, over a memory link.
//   quic-loopback [MiB]
#include <cstdio>
#include <cstdlib>
#include <string>

#include "base/loop_thread.hpp"
#include "path/memory_path.hpp"
#include "quic_end.hpp"

using namespace p2p;

namespace {

struct End : QuicEnd {
  void transport_ready () override {
    if (on_ready) on_ready ();
  }
  void transport_stream_data (StreamId id, ByteView bytes, bool fin) override {
    received += bytes.size;
    transport->consume (id, bytes.size);
    if (fin) on_fin ();
  }
  void transport_stream_sent (StreamId, std::size_t) override {
    if (on_sent) on_sent ();
  }

  std::function<void ()> on_ready, on_sent, on_fin;
};

}  // namespace

int
main (int argc, char **argv) {
  const long mebibytes = argc > 1 ? std::atol (argv[1]) : 256;
  if (mebibytes <= 0) {
    std::fprintf (stderr, "usage: quic-loopback [MiB]\n");
    return 2;
  }
  LoopThread loop ("bench");
  const Ref<GMainLoop> wait = Ref<GMainLoop>::adopt (g_main_loop_new (nullptr, FALSE));
  const std::string zeros (1 << 20, 'x');
  const auto block = Ref<GBytes>::adopt (g_bytes_new_static (zeros.data (), zeros.size ()));
  std::unique_ptr<MemoryLink> link;
  End sender, receiver;
  long left = mebibytes;
  StreamId id = -1;
  TimeUs start = 0, end = 0;
  const auto feed = [&] {
    while (left > 0 && sender.transport->unsent_bytes (id) < 4 * zeros.size ()) {
      sender.transport->write (id, block, --left == 0);
    }
  };
  sender.on_ready = [&] {
    start = loop.scheduler ().now ();
    id = *sender.transport->open_stream ({});
    feed ();
  };
  sender.on_sent = feed;
  receiver.on_fin = [&] {
    end = loop.scheduler ().now ();
    post (nullptr, [&] { g_main_loop_quit (wait.get ()); });
  };
  loop.run_sync ([&] {
    link = MemoryLink::create (loop.scheduler (), 1);
    QuicConfig client, server;
    client.client = true;
    client.identity = *Identity::create_ephemeral ();
    server.identity = *Identity::create_ephemeral ();
    client.peer_fingerprint = server.identity->fingerprint ();
    server.peer_fingerprint = client.identity->fingerprint ();
    receiver.transport = make_quic_transport (server, link->b ());
    receiver.transport->set_observer (&receiver);
    sender.transport = make_quic_transport (client, link->a ());
    sender.transport->set_observer (&sender);
  });
  g_main_loop_run (wait.get ());
  loop.run_sync ([&] {
    const TransportStats stats = sender.transport->stats ();
    const double seconds = static_cast<double> (end - start) / 1e6;
    std::printf ("%.2f Gbit/s, %ld MiB in %.2f s, %s, %s, %zu-byte packets, %llu lost\n",
                 static_cast<double> (receiver.received) * 8e-9 / seconds, mebibytes, seconds,
                 stats.cipher.c_str (), stats.congestion_control.c_str (), stats.packet_bytes,
                 static_cast<unsigned long long> (stats.packets_lost));
    sender.transport.reset ();
    receiver.transport.reset ();
    link.reset ();
  });
  return 0;
}
