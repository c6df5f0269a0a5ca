#include "work.hpp"

#include <glib.h>
#include <unistd.h>

#include <cstdio>
#include <mutex>
#include <vector>

#include "exchange.hpp"
#include "meter.hpp"
#include "pings.hpp"

namespace bench {

namespace {

void
join (Endpoint &endpoint, Exchange &exchange, bool offering) {
  if (endpoint.symmetric () || offering) {
    exchange.send (endpoint.describe (""));
    const std::string remote = exchange.receive ();
    say ("knows", "%s", "");
    endpoint.accept (remote);
  } else {
    const std::string offer = exchange.receive ();
    say ("knows", "%s", "");
    exchange.send (endpoint.describe (offer));
  }
}

[[noreturn]] void
iterate_until_ended () {
  for (;;) g_main_context_iteration (nullptr, TRUE);
}

// Sends until the library has no room, then again when it has.
class Sender {
 public:
  Sender (Endpoint &endpoint, std::size_t message_bytes, double mbit)
      : endpoint_ (endpoint), message_bytes_ (message_bytes), pace_ (mbit) {
    endpoint_.on_open = [this] {
      say ("open", "%s", "");
      feed ();
    };
    endpoint_.on_writable = [this] { feed (); };
  }

 private:
  void feed () {
    // A library may call back from within send().
    const std::lock_guard<std::recursive_mutex> guard (mutex_);
    if (feeding_) return;
    feeding_ = true;
    bool more = true;
    while (more) {
      const std::int64_t wait_us = pace_.wait_us (message_bytes_);
      if (wait_us > 0) {
        g_timeout_add (static_cast<guint> (wait_us / 1000 + 1), on_time, this);
        break;
      }
      more = endpoint_.send ();
    }
    feeding_ = false;
  }

  static gboolean on_time (gpointer sender) {
    static_cast<Sender *> (sender)->feed ();
    return G_SOURCE_REMOVE;
  }

  Endpoint &endpoint_;
  const std::size_t message_bytes_;
  Pace pace_;
  std::recursive_mutex mutex_;
  bool feeding_ = false;
};

void
ping (Endpoint &endpoint, Exchange &exchange, const Options &options) {
  Pings pings (options.count);
  const bool pinging = options.work == "ping";
  bool done = false, open = false;
  std::size_t received = 0;
  endpoint.blocking = options.blocking;
  endpoint.on_open = [&] {
    say ("open", "%s", "");
    open = true;
    if (options.blocking || !pinging) return;
    pings.begin ();
    endpoint.send ();
  };
  endpoint.on_message = [&] (std::size_t size) {
    // A byte stream may bring a message in parts.
    received += size;
    if (received < options.endpoint.message_bytes) return;
    received = 0;
    if (pinging && (done = done || !pings.end ())) return;
    if (pinging) pings.begin ();
    endpoint.send ();
  };
  join (endpoint, exchange, options.endpoint.offering);
  if (options.blocking) {
    while (!open) g_main_context_iteration (nullptr, TRUE);
    const auto each = [&] {
      if (!pinging) return true;
      const bool more = pings.end ();
      pings.begin ();
      return more;
    };
    pings.begin ();
    if (!endpoint.echo (pinging, each)) fail ("this library has no blocking calls");
  }
  iterate_until_ended ();
}

std::size_t
resident_bytes () {
  std::size_t total = 0, resident = 0;
  FILE *file = std::fopen ("/proc/self/statm", "r");
  if (file && std::fscanf (file, "%zu %zu", &total, &resident) != 2) resident = 0;
  if (file) std::fclose (file);
  return resident * static_cast<std::size_t> (sysconf (_SC_PAGESIZE));
}

// Makes connections one after the other. One more at the beginning, which is not counted, brings in
// what a process pays once.
void
hold (Exchange &exchange, const Options &options) {
  std::vector<std::unique_ptr<Endpoint>> held;
  std::size_t before = 0;
  std::int64_t started_us = 0;
  for (int i = 0; i <= options.count; i++) {
    Settings settings = options.endpoint;
    settings.index = i;
    held.push_back (make_endpoint (settings));
    bool open = false;
    held.back ()->on_open = [&open] { open = true; };
    held.back ()->on_message = [] (std::size_t) {};
    held.back ()->on_writable = [] {};
    join (*held.back (), exchange, settings.offering);
    while (!open) g_main_context_iteration (nullptr, TRUE);
    held.back ()->on_open = [] {};
    if (i > 0) continue;
    before = resident_bytes ();
    started_us = now_us ();
  }
  const double seconds = static_cast<double> (now_us () - started_us) / 1e6;
  say ("held", ",\"count\":%d,\"before\":%zu,\"after\":%zu,\"seconds\":%.3f", options.count, before,
       resident_bytes (), seconds);
  iterate_until_ended ();
}

}  // namespace

bool
is_work (const std::string &name) {
  for (const char *known : {"send", "receive", "ping", "pong", "hold"})
    if (name == known) return true;
  return false;
}

void
run (const Options &options) {
  Exchange exchange (options.exchange, options.endpoint.offering);
  if (options.work == "hold") {
    hold (exchange, options);
    return;
  }
  const std::unique_ptr<Endpoint> endpoint = make_endpoint (options.endpoint);
  if (options.work == "send") {
    Sender sender (*endpoint, options.endpoint.message_bytes, options.mbit);
    endpoint->on_message = [] (std::size_t) {};
    join (*endpoint, exchange, options.endpoint.offering);
    iterate_until_ended ();
  } else if (options.work == "receive") {
    Meter meter (options.seconds);
    endpoint->on_open = [] { say ("open", "%s", ""); };
    endpoint->on_writable = [] {};
    endpoint->on_message = [&meter] (std::size_t size) { meter.add (size); };
    join (*endpoint, exchange, options.endpoint.offering);
    iterate_until_ended ();
  } else {
    endpoint->on_writable = [] {};
    ping (*endpoint, exchange, options);
  }
}

}  // namespace bench
