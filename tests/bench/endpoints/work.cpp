#include "work.hpp"

#include <glib-unix.h>
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

// Iterates while it waits: connections that were begun earlier go on.
std::string
receive (Exchange &exchange) {
  bool readable = false;
  const auto on_readable = [] (gint, GIOCondition, gpointer flag) -> gboolean {
    *static_cast<bool *> (flag) = true;
    return G_SOURCE_REMOVE;
  };
  g_unix_fd_add (exchange.fd (), G_IO_IN, on_readable, &readable);
  while (!readable) g_main_context_iteration (nullptr, TRUE);
  return exchange.receive ();
}

void
join (Endpoint &endpoint, Exchange &exchange, bool offering) {
  if (endpoint.symmetric () || offering) {
    exchange.send (endpoint.describe (""));
    const std::string remote = receive (exchange);
    say ("knows", "%s", "");
    endpoint.accept (remote);
  } else {
    const std::string offer = receive (exchange);
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
  bool done = false;
  std::size_t received = 0;
  endpoint.on_open = [&] {
    say ("open", "%s", "");
    if (!pinging) return;
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
  iterate_until_ended ();
}

// Any of the works, by calls that wait.
void
work_waiting (Endpoint &endpoint, Exchange &exchange, const Options &options) {
  bool open = false;
  endpoint.blocking = true;
  endpoint.on_open = [&open] { open = true; };
  join (endpoint, exchange, options.endpoint.offering);
  while (!open) g_main_context_iteration (nullptr, TRUE);
  say ("open", "%s", "");
  std::size_t size = 0;
  bool able = true;
  if (options.work == "send") {
    while (able) able = endpoint.send_waiting ();
  } else if (options.work == "receive") {
    Meter meter (options.seconds);
    for (; able; meter.add (size)) able = endpoint.receive_waiting (size);
  } else if (options.work == "ping") {
    Pings pings (options.count);
    do {
      pings.begin ();
      able = endpoint.send_waiting () && endpoint.receive_waiting (size);
    } while (able && pings.end ());
  } else {
    while (able) able = endpoint.receive_waiting (size) && endpoint.send_waiting ();
  }
  if (!able) fail ("this library has no calls that wait");
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

// Makes connections, some of them at a time. One more at the beginning, which is not counted,
// brings in what a process pays once.
void
hold (Exchange &exchange, const Options &options) {
  constexpr int kAtOnce = 32;
  std::vector<std::unique_ptr<Endpoint>> held;
  std::size_t before_bytes = 0;
  std::int64_t started_us = 0;
  int connecting = 0;
  const auto settle = [&connecting] (int still) {
    while (connecting > still) g_main_context_iteration (nullptr, TRUE);
  };
  for (int i = 0; i <= options.count; i++) {
    Settings settings = options.endpoint;
    settings.index = i;
    held.push_back (make_endpoint (settings));
    held.back ()->on_open = [&connecting] { connecting--; };
    held.back ()->on_message = [] (std::size_t) {};
    held.back ()->on_writable = [] {};
    connecting++;
    join (*held.back (), exchange, settings.offering);
    settle (i == 0 ? 0 : kAtOnce);
    if (i > 0) continue;
    before_bytes = resident_bytes ();
    started_us = now_us ();
  }
  settle (0);
  const double seconds = static_cast<double> (now_us () - started_us) / 1e6;
  say ("held", ",\"count\":%d,\"before\":%zu,\"after\":%zu,\"seconds\":%.3f", options.count,
       before_bytes, resident_bytes (), seconds);
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
  if (options.blocking) {
    work_waiting (*endpoint, exchange, options);
  } else if (options.work == "send") {
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
