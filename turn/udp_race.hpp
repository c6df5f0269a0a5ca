// Which of a server's addresses answers over UDP: each is sent a Binding request, a little after
// the one before it, and the first answer wins. A socket that is merely connected proves nothing.
#pragma once
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/fd_watch.hpp"
#include "base/ptr.hpp"
#include "base/scheduler.hpp"
#include "turn/message.hpp"

namespace p2p::turn {

class UdpRace {
 public:
  // The winner's socket, connected; or none and why. Called once, never from inside.
  using Done = std::function<void (Ref<GSocket> socket, const std::string &why)>;

  // One address alone is not asked: the Allocate tells as much.
  UdpRace (GMainContext *context, Scheduler &scheduler, std::vector<Address> addresses,
           std::optional<Address> local, TimeUs delay, TimeUs limit, Done done);

 private:
  struct Runner {
    Ref<GSocket> socket;
    TransactionId id;
    std::unique_ptr<FdWatch> watch;
  };
  void next ();
  void answered (std::size_t index);
  void finish (Ref<GSocket> socket);

  const Ref<GMainContext> context_;
  Scheduler &scheduler_;
  const std::vector<Address> addresses_;
  const std::optional<Address> local_;
  const TimeUs delay_, ends_;
  Done done_;
  std::size_t begun_ = 0;
  std::vector<std::unique_ptr<Runner>> runners_;
  std::string why_ = "it has no address";
  std::unique_ptr<Scheduler::Timer> timer_;
};

}  // namespace p2p::turn
