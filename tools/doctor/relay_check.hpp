// One TURN server: whether it gives a relayed address, which datagrams come back from there when we
// send to ourselves, and how much in a burst.
#pragma once
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "doctor/findings.hpp"
#include "turn/relay.hpp"

namespace p2p::doctor {

class RelayCheck final : private turn::Relay::Observer {
 public:
  struct Outcome {
    std::optional<TimeUs> took_us;  // until there was an allocation
    std::string problem;            // else
    RelayFound relay;
  };
  using Done = std::function<void ()>;
  // From the first request to the allocation; and then for datagrams of every size.
  static constexpr TimeUs kAllocateLimit = 5 * kSecond, kEchoLimit = kSecond;

  // `done` is called when all but the burst is known, and again after a burst; never from inside.
  RelayCheck (GMainContext *context, Scheduler &scheduler, turn::RelayConfig config, Done done);

  const Outcome &outcome () const { return outcome_; }
  bool can_burst () const {
    return stage_ == Stage::probed && outcome_.relay.largest_datagram_bytes;
  }
  void burst ();

 private:
  enum class Stage { allocating, granting, echoing, probed, bursting, failed };

  void relay_event (const turn::Event &event) override;
  void relay_received (const Address &peer, ByteView data) override;
  void relay_credentials_wanted (const turn::Server &server) override;
  void send_sizes ();
  void pump ();
  void enter (Stage stage, TimeUs limit);
  void timed_out ();
  void probed (const std::string &note);
  void fail (const std::string &why);

  Scheduler &scheduler_;
  const Done done_;
  const TimeUs begun_;
  Stage stage_ = Stage::allocating;
  Outcome outcome_;
  std::size_t largest_sent_ = 0;
  std::vector<std::uint8_t> datagram_;
  std::optional<EchoBurst> burst_;
  std::unique_ptr<Scheduler::Timer> limit_, tell_;
  std::unique_ptr<turn::Relay> relay_;
};

}  // namespace p2p::doctor
