// Keeps one session in the agent's store: what the session tells of its channels, and the record of
// the rest. One batch is under way at a time; what changes meanwhile makes the next one, so that a
// slow store makes batches longer and not a queue. Core thread only.
#pragma once
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/scheduler.hpp"
#include "core/session_record.hpp"
#include "session/session.hpp"
#include "store/session_store.hpp"

namespace p2p {

class Keeper final : public SessionKeeper {
 public:
  // The store is the agent's, and outlives its connections; null when it was lost.
  Keeper (std::weak_ptr<SessionStore> store, Scheduler &clock, std::string peer);
  Keeper (const Keeper &) = delete;
  Keeper &operator= (const Keeper &) = delete;

  // Null before the session goes.
  void set_session (Session *session);
  // Written with the next batch, when it differs from the last one.
  void set_record (const SessionRecord &record);
  const std::optional<SessionRecord> &record () const { return record_; }
  // The session is over: everything of it is erased, and nothing is kept any more.
  void forget ();
  // A first batch that erases what is there of another session with this peer.
  void begin ();

  // The items of a store by peer; `record` is the one of "session", the rest are the session's own.
  struct Kept {
    std::string peer, record;
    std::vector<MemoryItem> items;
  };
  static std::vector<Kept> sort (const std::vector<StoreItem> &items);

 private:
  void session_has_changes (bool urgent) override;
  void arm ();
  void turn ();
  StoreChange erase_all () const;
  void commit (StoreBatch batch, bool of_session);

  const std::weak_ptr<SessionStore> store_;
  Scheduler &clock_;
  const std::string prefix_;
  Session *session_ = nullptr;
  std::optional<SessionRecord> record_;
  std::string record_text_;  // as last written
  bool record_dirty_ = false, changes_ = false, erase_first_ = false, over_ = false;
  bool busy_ = false, urgent_ = false;
  TimeUs committed_at_ = 0;
  const std::unique_ptr<Scheduler::Timer> timer_;
  const std::shared_ptr<bool> alive_ = std::make_shared<bool> (true);
};

}  // namespace p2p
