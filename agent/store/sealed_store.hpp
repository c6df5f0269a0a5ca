// A store whose values are encrypted before the one below sees them; keys and sizes are not. What
// was begun with a key is refused without it, with another one, and the other way round.
#pragma once
#include "base/scheduler.hpp"
#include "store/session_store.hpp"
#include "store/store_key.hpp"

namespace p2p {

class SealedStore final : public SessionStore {
 public:
  // Without a key it only refuses what is encrypted.
  SealedStore (std::unique_ptr<SessionStore> below, std::unique_ptr<StoreKey> key);
  ~SealedStore () override;

  void set_observer (Observer *observer) override { below_->set_observer (observer); }
  void open (const std::string &owner, OpenDone done) override;
  void commit (StoreBatch batch, Done done) override;
  std::uint64_t waiting_bytes () const override { return below_->waiting_bytes (); }
  void close (Done done) override { below_->close (std::move (done)); }

 private:
  void opened (Opened all, const OpenDone &done);
  StoreChange mark ();

  const std::unique_ptr<StoreKey> key_;
  std::string owner_;
  const std::unique_ptr<SessionStore> below_;  // goes first: its callbacks use the rest
};

}  // namespace p2p
