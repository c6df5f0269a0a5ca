// Two ends of ICE in one process, and waiting for them without a sleep.
#pragma once
#include <gtest/gtest.h>

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "base/loop_thread.hpp"
#include "ice/ice_transport.hpp"

namespace p2p::test {

inline void
on_core (const std::function<void ()> &work) {
  core_loop ().run_sync (work);
}

// Asks `condition` on the core thread until it holds; false when `limit` went by before.
bool wait_until (const std::function<bool ()> &condition, TimeUs limit = 20 * kSecond);

// One transport and everything that it said. Touched on the core thread only, but for the
// destructor.
class IceEnd final : public IceTransport::Observer, public Path::Receiver {
 public:
  ~IceEnd () override {
    on_core ([this] { close (); });
  }
  Status open (const IceConfig &config);
  void close () { transport.reset (); }
  void send (const std::string &datagram) {
    sent = transport->path ().send (ByteView (datagram), datagram.size ());
  }

  void ice_candidate (const std::string &sdp) override;
  void ice_gathering_done () override;
  void ice_state (IceState state) override { states.push_back (state); }
  void ice_selected_pair (const IcePair &pair) override { pairs.push_back (pair); }
  void ice_unproven_path () override { ++unproven; }
  void ice_warning (const Error &warning) override { warnings.push_back (warning); }
  void ice_relay_back () override { ++relays_back; }

  void path_received (Path &path, ByteView datagram) override;
  void path_batch_done (Path &path) override;
  void path_writable (Path &path) override;
  void path_changed (Path &path) override;
  void path_failed (Path &path, const Error &error) override;

  bool usable () const {
    return !states.empty () &&
           (states.back () == IceState::connected || states.back () == IceState::ready);
  }
  bool ready () const { return !states.empty () && states.back () == IceState::ready; }
  bool failed () const { return !states.empty () && states.back () == IceState::failed; }

  std::unique_ptr<IceTransport> transport;
  IceEnd *far = nullptr;                                  // who gets the candidates, if anybody
  std::function<bool (const std::string &)> let_through;  // which of them
  bool inside_a_call = false;                             // set by the test around its own calls
  bool called_back_inside = false;

  std::vector<std::string> candidates;
  std::vector<IceState> states;
  std::vector<IcePair> pairs;
  std::vector<Error> warnings;
  std::vector<std::string> received;
  std::string failure;  // the last
  unsigned relays_back = 0, unproven = 0;
  unsigned gathering_done = 0, batches = 0, writable = 0, changes = 0, failures = 0;
  std::size_t received_since_batch = 0, longest_batch = 0;
  Path::Sent sent = Path::Sent::failed;
};

// Two ends, with candidates that travel as they come.
class IceCouple {
 public:
  IceCouple ();
  // Opens both and starts the exchange; false with a failure noted.
  bool connect (const IceConfig &a, const IceConfig &b);
  bool wait_usable () {
    return wait_until ([this] { return a.usable () && b.usable (); });
  }
  // A datagram each way, repeated until it arrives: it is UDP.
  bool exchange (const std::string &text);

  IceEnd a, b;
};

IceConfig loopback_config (bool controlling);

std::size_t count_descriptors ();
std::size_t count_threads ();

}  // namespace p2p::test
