// How late libnice's timers are while its sockets are flooded: a 20 ms timer in the main context of
// a NiceAgent, in a process that receives from another one as fast as that one can send.
//   ice-timers [SECONDS]
// P2P_FAST_UDP=off makes libnice itself receive, which is the hard case.
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <vector>

#include "base/loop_thread.hpp"
#include "ice/ice_contexts.hpp"
#include "ice/ice_transport.hpp"

using namespace p2p;

namespace {

constexpr std::size_t kDatagramBytes = 1200, kDatagrams = 50;
constexpr guint kTimerMs = 20;

[[noreturn]] void
die (const std::string &text) {
  std::fprintf (stderr, "ice-timers: %s\n", text.c_str ());
  std::exit (1);
}

std::string
hear (int fd) {
  std::string line;
  for (char byte = 0; read (fd, &byte, 1) == 1;) {
    if (byte == '\n') return line;
    line += byte;
  }
  die ("the other process is gone");
}

void
say (int fd, const std::string &text) {
  const std::string line = text + "\n";
  if (write (fd, line.data (), line.size ()) < 0) die ("the other process is gone");
}

// One end. Lives on the core thread.
class End final : public IceTransport::Observer, public Path::Receiver {
 public:
  explicit End (bool sends) : sends_ (sends), burst_ (kDatagramBytes * kDatagrams, 0x90) {
    IceConfig config;
    config.controlling = sends;
    config.tcp = false;
    config.local_addresses = {"127.0.0.1"};
    auto made = IceTransport::create (config, *this);
    if (!made) die (made.error ().message);
    transport = std::move (*made);
    transport->path ().set_receiver (this);
  }

  void ice_candidate (const std::string &) override {}
  void ice_gathering_done () override { gathered = true; }
  void ice_state (IceState state) override {
    if (state == IceState::failed) die ("ICE has failed");
    if (sends_ && state == IceState::ready) flood ();
  }
  void ice_selected_pair (const IcePair &) override {}
  void ice_warning (const Error &) override {}
  void ice_relay_back () override {}
  void ice_unproven_path () override {}

  void path_received (Path &, ByteView datagram) override { received_bytes += datagram.size; }
  void path_batch_done (Path &) override {}
  void path_writable (Path &) override {}
  void path_changed (Path &) override {}
  void path_failed (Path &, const Error &error) override { die (error.message); }

  std::unique_ptr<IceTransport> transport;
  std::atomic<bool> gathered{false};
  std::atomic<std::uint64_t> received_bytes{0};

 private:
  void flood () {
    // Room for both; what the receiver cannot take is lost, as on a wire.
    for (int i = 0; i < 16; ++i)
      if (transport->path ().send (ByteView (burst_), kDatagramBytes) != Path::Sent::all) break;
    core_loop ().post ([this] { flood (); });
  }

  const bool sends_;
  const std::vector<std::uint8_t> burst_;
};

// How much later than asked for each turn of the timer came.
struct Lateness {
  std::vector<double> late_ms;
  gint64 last_us = 0;

  static gboolean turn (gpointer data) {
    auto *self = static_cast<Lateness *> (data);
    const gint64 now_us = g_get_monotonic_time ();
    if (self->last_us != 0)
      self->late_ms.push_back (static_cast<double> (now_us - self->last_us) / 1000 - kTimerMs);
    self->last_us = now_us;
    return G_SOURCE_CONTINUE;
  }
};

}  // namespace

int
main (int argc, char **argv) {
  const int seconds = argc > 1 ? std::atoi (argv[1]) : 10;
  if (seconds <= 0) die ("usage: ice-timers [SECONDS]");
  int down[2], up[2];
  if (pipe (down) < 0 || pipe (up) < 0) die ("no pipe");
  // Before the library has a thread.
  const pid_t child = fork ();
  if (child < 0) die ("no second process");
  const bool sends = child == 0;
  const int in = sends ? down[0] : up[0], out = sends ? up[1] : down[1];
  close (sends ? down[1] : down[0]);
  close (sends ? up[0] : up[1]);

  std::unique_ptr<End> end;
  core_loop ().run_sync ([&] { end = std::make_unique<End> (sends); });
  while (!end->gathered) g_usleep (1000);
  core_loop ().run_sync ([&] {
    const IceCredentials own = end->transport->local_credentials ();
    say (out, own.ufrag);
    say (out, own.pwd);
    for (const std::string &candidate : end->transport->local_candidates ()) say (out, candidate);
    say (out, "");
  });
  const std::string ufrag = hear (in), pwd = hear (in);
  std::vector<std::string> candidates;
  for (std::string line = hear (in); !line.empty (); line = hear (in)) candidates.push_back (line);
  core_loop ().run_sync ([&] {
    if (const auto bad = end->transport->set_remote_credentials ({ufrag, pwd})) die (bad->message);
    for (const std::string &candidate : candidates)
      if (const auto bad = end->transport->add_remote_candidate (candidate)) die (bad->message);
    end->transport->remote_gathering_done ();
  });
  if (sends) {
    // Until the other side has closed its pipe.
    char byte = 0;
    while (read (in, &byte, 1) > 0) {
    }
    _exit (0);
  }

  while (end->received_bytes == 0) g_usleep (1000);
  Lateness lateness;
  std::shared_ptr<NestedContext> context;
  core_loop ().run_sync ([&] { context = take_timer_context (); });
  GSource *timer = g_timeout_source_new (kTimerMs);
  g_source_set_callback (timer, Lateness::turn, &lateness, nullptr);
  g_source_attach (timer, context->context ());
  const std::uint64_t before = end->received_bytes;
  g_usleep (static_cast<gulong> (seconds) * G_USEC_PER_SEC);
  const double gbits = static_cast<double> (end->received_bytes - before) * 8e-9 / seconds;
  ice_loop ().run_sync ([&] { g_source_destroy (timer); });
  std::sort (lateness.late_ms.begin (), lateness.late_ms.end ());
  const auto &late = lateness.late_ms;
  if (late.empty ()) die ("the timer never came");
  std::string engine;
  core_loop ().run_sync ([&] { engine = end->transport->path ().info ().engine; });
  std::printf (
      "%s: %.2f Gbit/s received for %d s; %zu turns of a %u ms timer late by p50 %.2f, "
      "p99 %.2f, at most %.2f ms\n",
      engine.c_str (), gbits, seconds, late.size (), kTimerMs, late[late.size () / 2],
      late[late.size () * 99 / 100], late.back ());
  std::fflush (stdout);
  // p99 below one turn is what libnice's pacing needs.
  _exit (late[late.size () * 99 / 100] < kTimerMs ? 0 : 1);
}
