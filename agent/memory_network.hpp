// Joins agents of one process by links with settable faults, on the real or on a virtual clock.
// Core thread only, but for its construction.
#pragma once
#include <cstdint>
#include <list>
#include <memory>
#include <optional>
#include <string>

#include "core/path_source.hpp"
#include "path/memory_path.hpp"

namespace p2p {

class MemoryNetwork final : public PathSource, public std::enable_shared_from_this<MemoryNetwork> {
 public:
  enum class Clock { real, virtual_ };
  MemoryNetwork (std::uint64_t seed, Clock clock);

  const std::string &name () const override { return name_; }
  // Opens once the peer's agent has opened as well.
  std::unique_ptr<Attempt> open (const std::string &id, const std::string &peer, bool initiator,
                                 SendMessage send, Opened opened) override;

  void set_options (const LinkOptions &options);  // of every link, also of those that exist
  LinkStats stats () const;                       // of every link that ever was
  void advance (TimeUs span);                     // the virtual clock; no effect on a real one

 private:
  class Waiting;
  class End;
  struct Wire;

  Scheduler &scheduler ();
  void join (Waiting &first, Waiting &second);

  const std::string name_ = "memory";
  std::optional<VirtualScheduler> clock_;
  std::uint64_t next_seed_;
  LinkOptions options_;
  std::list<Waiting *> waiting_;
  std::list<std::weak_ptr<Wire>> wires_;
  std::shared_ptr<LinkStats> gone_ = std::make_shared<LinkStats> ();  // of links that have gone
};

}  // namespace p2p
