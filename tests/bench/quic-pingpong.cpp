// What a round trip of 64 bytes costs the transport alone: both ends on one thread and a virtual
// clock, over a link in memory, without a system call. No arrangement of threads can do with less.
//   quic-pingpong [ROUND_TRIPS]
#include <time.h>

#include <cstdio>
#include <cstdlib>
#include <string>

#include "path/memory_path.hpp"
#include "quic_end.hpp"

using namespace p2p;

namespace {

constexpr std::size_t kMessageBytes = 64;

struct End : QuicEnd {
  void transport_ready () override { ready = true; }
  void transport_stream_data (StreamId id, ByteView bytes, bool) override {
    transport->consume (id, bytes.size);
    received += bytes.size;
    if (received % kMessageBytes == 0 && left-- > 0) transport->write (id, message, false);
  }

  Ref<GBytes> message;
  long left = 0;
  bool ready = false;
};

double
cpu_us () {
  timespec now{};
  clock_gettime (CLOCK_PROCESS_CPUTIME_ID, &now);
  return 1e6 * static_cast<double> (now.tv_sec) + 1e-3 * static_cast<double> (now.tv_nsec);
}

}  // namespace

int
main (int argc, char **argv) {
  const long rounds = argc > 1 ? std::atol (argv[1]) : 200000;
  if (rounds <= 0) {
    std::fprintf (stderr, "usage: quic-pingpong [ROUND_TRIPS]\n");
    return 2;
  }
  VirtualScheduler scheduler;
  const std::unique_ptr<MemoryLink> link = MemoryLink::create (scheduler, 1);
  LinkOptions options;
  options.delay = 50;  // us: what the real one takes, so that acknowledgements go as they do there
  link->set_options (options);
  End client, server;
  QuicConfig of_client, of_server;
  of_client.client = true;
  of_client.identity = *Identity::create_ephemeral ();
  of_server.identity = *Identity::create_ephemeral ();
  of_client.peer_fingerprint = of_server.identity->fingerprint ();
  of_server.peer_fingerprint = of_client.identity->fingerprint ();
  server.transport = make_quic_transport (of_server, link->b ());
  server.transport->set_observer (&server);
  client.transport = make_quic_transport (of_client, link->a ());
  client.transport->set_observer (&client);
  if (!scheduler.run_until_true ([&] { return client.ready && server.ready; })) return 1;

  const std::string text (kMessageBytes, 'x');
  client.message = server.message = Ref<GBytes>::adopt (g_bytes_new (text.data (), text.size ()));
  client.left = rounds - 1;
  server.left = rounds;
  const double before_us = cpu_us ();
  client.transport->write (*client.transport->open_stream ({}), client.message, false);
  const auto wanted = static_cast<std::uint64_t> (rounds) * kMessageBytes;
  if (!scheduler.run_until_true ([&] { return client.received == wanted; }, 3600 * kSecond))
    return 1;
  const double spent_us = cpu_us () - before_us;
  std::printf ("%.2f us of CPU for a round trip of %zu bytes, %s, %.2f packets\n",
               spent_us / static_cast<double> (rounds), kMessageBytes,
               client.transport->stats ().cipher.c_str (),
               static_cast<double> (client.transport->stats ().packets_sent +
                                    server.transport->stats ().packets_sent) /
                   static_cast<double> (rounds));
  return 0;
}
