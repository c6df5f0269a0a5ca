// Names to addresses, in the background: libnice must never see a name, because one that does not
// resolve keeps it from ever ending its gathering.
#pragma once
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "base/scheduler.hpp"

namespace p2p {

struct LookedUp {
  std::string ipv4, ipv6;  // the first address of each family, in the resolver's order
  std::string problem;     // why there is none
};

// One round of look-ups, on the thread-default context of the caller. Destroying it cancels.
class NameLookup {
 public:
  using Answers = std::map<std::string, LookedUp>;
  // `done` is called once, never from inside: when all have answered, or after `timeout` with what
  // is there. Addresses among the names are answered as they are.
  NameLookup (const std::vector<std::string> &names, Scheduler &scheduler, TimeUs timeout,
              std::function<void (const Answers &)> done);
  ~NameLookup ();
  NameLookup (const NameLookup &) = delete;
  NameLookup &operator= (const NameLookup &) = delete;

 private:
  struct State;
  std::shared_ptr<State> state_;
};

}  // namespace p2p
