// Which of a server's addresses serves DTLS: a handshake with each, begun a little after the one
// before it, or at once when that one fails. The first that is done wins.
#pragma once
#include <functional>
#include <memory>
#include <optional>
#include <vector>

#include "base/error.hpp"
#include "base/ptr.hpp"
#include "base/scheduler.hpp"
#include "turn/connection.hpp"

namespace p2p::turn {

class DtlsRace {
 public:
  struct Config {
    std::vector<Address> addresses;
    std::optional<Address> local;
    Ref<GTlsDatabase> database;        // none: that of the system
    Ref<GSocketConnectable> identity;  // whose certificate each must show
    TimeUs delay = 0;
  };
  // The winner's connection, or the reason of the last that failed, which is no sentence. Called
  // once, never from inside; never where nobody answers.
  using Done = std::function<void (Result<std::shared_ptr<Connection>>)>;

  // On the context's thread, where it is the thread's default. Destroying it ends all.
  DtlsRace (GMainContext *context, Scheduler &scheduler, Config config, Done done);
  ~DtlsRace ();
  DtlsRace (const DtlsRace &) = delete;
  DtlsRace &operator= (const DtlsRace &) = delete;

 private:
  struct State;
  const std::shared_ptr<State> state_;
};

}  // namespace p2p::turn
