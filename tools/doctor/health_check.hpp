// Whether a rendezvous server is there: it is asked for its health over HTTP, and its answer tells
// what time it has.
#pragma once
#include <functional>
#include <optional>
#include <string>

#include "base/ptr.hpp"
#include "doctor/findings.hpp"

namespace p2p::doctor {

// The server wrote `date_s`, in whole seconds since 1970, between these two times of ours.
ClockFound compare_clocks (std::int64_t date_s, TimeUs sent_us, TimeUs received_us);

class HealthCheck {
 public:
  struct Outcome {
    std::optional<TimeUs> took_us;
    std::string problem;
    std::optional<ClockFound> clock;
  };
  // Called once, never from inside, on the thread's default main context.
  using Done = std::function<void (const Outcome &)>;

  HealthCheck (const std::string &host, std::uint16_t port, bool tls, Done done);
  ~HealthCheck ();
  HealthCheck (const HealthCheck &) = delete;
  HealthCheck &operator= (const HealthCheck &) = delete;

 private:
  struct State;
  const std::shared_ptr<State> state_;
};

}  // namespace p2p::doctor
