// A relay on real sockets, and all that it said.
#pragma once
#include <gtest/gtest.h>

#include <algorithm>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/loop_thread.hpp"
#include "turn/relay.hpp"

namespace p2p::test {

using turn::Address;
using turn::Event;
using turn::Sent;

inline void
on_core (const std::function<void ()> &work) {
  core_loop ().run_sync (work);
}

// Asks on the core thread until it holds.
inline bool
wait_until (const std::function<bool ()> &condition, TimeUs limit = 20 * kSecond) {
  for (const gint64 end = g_get_monotonic_time () + limit; g_get_monotonic_time () < end;) {
    bool holds = false;
    on_core ([&] { holds = condition (); });
    if (holds) return true;
    g_usleep (2000);
  }
  return false;
}

// Touched on the core thread only.
class End final : public turn::Relay::Observer {
 public:
  ~End () override { close (); }
  void open (turn::RelayConfig config) {
    on_core ([&] {
      relay = std::make_unique<turn::Relay> (core_loop ().context (), core_loop ().scheduler (),
                                             std::move (config), *this);
      relay->client ().start ();
    });
  }
  void close () {
    on_core ([this] { relay.reset (); });
  }
  bool allocated () {
    return wait_until ([this] { return count (Event::Kind::allocated) > 0; });
  }
  int count (Event::Kind kind) const {
    return static_cast<int> (std::count_if (events.begin (), events.end (),
                                            [&] (const Event &one) { return one.kind == kind; }));
  }
  std::string story () const {
    std::string out;
    for (const Event &event : events) out += event.message + "\n";
    return out;
  }
  Address relayed () const { return relay->client ().relayed ().at (0); }
  Sent send (const Address &to, const std::string &text) {
    return relay->client ().send (to, ByteView (text));
  }
  bool has (const std::string &text) const {
    return std::find (received.begin (), received.end (), text) != received.end ();
  }
  // Sent until it arrives: it is UDP.
  bool sends (const Address &to, const std::string &text, const End &at) {
    return wait_until ([&] {
      send (to, text);
      return at.has (text);
    });
  }

  void relay_event (const Event &event) override { events.push_back (event); }
  void relay_received (const Address &, ByteView data) override {
    received.push_back (data.to_string ());
  }
  void relay_credentials_wanted (const turn::Server &) override {
    if (fresh)
      relay->client ().set_credentials (*fresh);
    else
      relay->client ().keep_credentials ();
  }

  std::unique_ptr<turn::Relay> relay;
  std::vector<Event> events;
  std::vector<std::string> received;
  std::optional<turn::Credentials> fresh;
};

}  // namespace p2p::test
