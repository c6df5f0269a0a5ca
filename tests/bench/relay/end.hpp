// An allocation of a benchmark program, alone on the default main context's thread.
#pragma once
#include <gio/gio.h>

#include <cstdio>
#include <cstdlib>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "base/ptr.hpp"
#include "base/scheduler.hpp"
#include "turn/relay.hpp"

namespace bench {

using p2p::ByteView;
using p2p::TimeUs;
using p2p::turn::Address;

[[noreturn]] inline void
die (const std::string &text) {
  std::fprintf (stderr, "bench-relay: %s\n", text.c_str ());
  std::exit (1);
}

inline GMainContext *
context () {
  return g_main_context_default ();
}

inline p2p::Scheduler &
scheduler () {
  static p2p::LoopScheduler the_one (context ());
  return the_one;
}

// Runs the loop until it holds, for half a minute at most.
inline void
run_until (const char *what, const std::function<bool ()> &done) {
  bool late = false;
  const auto limit = scheduler ().make_timer ([&] { late = true; });
  limit->arm (scheduler ().now () + 30 * p2p::kSecond);
  while (!done ()) {
    if (late) die (std::string ("no ") + what + " within 30 s");
    g_main_context_iteration (context (), TRUE);
  }
}

inline void
run_for (TimeUs span) {
  bool over = false;
  const auto timer = scheduler ().make_timer ([&] { over = true; });
  timer->arm (scheduler ().now () + span);
  while (!over) g_main_context_iteration (context (), TRUE);
}

// A server, and whom it must be certified by, where that matters.
struct Through {
  p2p::turn::Server server;
  p2p::Ref<GTlsDatabase> trusted;
};

inline p2p::Ref<GTlsDatabase>
trusted (const char *file) {
  if (std::string (file) == "-") return {};
  GError *error = nullptr;
  GTlsDatabase *made = g_tls_file_database_new (file, &error);
  if (!made) die (error->message);
  return p2p::Ref<GTlsDatabase>::adopt (made);
}

class End final : public p2p::turn::Relay::Observer {
 public:
  using Kind = p2p::turn::Event::Kind;

  explicit End (const Through &through) {
    p2p::turn::RelayConfig config;
    config.client.servers = {through.server};
    config.connector.tls_database = through.trusted;
    relay_ =
        std::make_unique<p2p::turn::Relay> (context (), scheduler (), std::move (config), *this);
    client ().start ();
  }

  p2p::turn::Client &client () { return relay_->client (); }
  void hold () { relay_->hold (); }
  void release () { relay_->release (); }
  bool allocated () { return client ().state () == p2p::turn::Client::State::allocated; }
  Address relayed () { return client ().relayed ().at (0); }
  void add_peer (const Address &peer) {
    if (const p2p::Status wrong = client ().add_peer (peer)) die (wrong->message);
  }
  std::uint64_t received_bytes () const { return received_bytes_; }

  // Asked at every event; may be empty.
  std::function<void (const p2p::turn::Event &)> on_event;

 private:
  void relay_event (const p2p::turn::Event &event) override {
    if (event.kind == Kind::failed) die (event.message);
    if (on_event) on_event (event);
  }
  void relay_received (const Address &, ByteView data) override { received_bytes_ += data.size; }
  void relay_credentials_wanted (const p2p::turn::Server &) override {
    client ().keep_credentials ();
  }

  std::unique_ptr<p2p::turn::Relay> relay_;
  std::uint64_t received_bytes_ = 0;
};

using Ends = std::vector<std::unique_ptr<End>>;

inline Ends
make_ends (const Through &through, std::size_t count) {
  Ends ends;
  for (std::size_t i = 0; i < count; ++i) ends.push_back (std::make_unique<End> (through));
  return ends;
}

inline void
await_allocations (const Ends &ends) {
  run_until ("allocation", [&] {
    for (const auto &end : ends)
      if (!end->allocated ()) return false;
    return true;
  });
}

void run_goodput (const Through &through, char **arguments);
void run_recovery (const Through &through, char **arguments);
void run_idle (const Through &through, char **arguments);

}  // namespace bench
