// Sessions in an SQLite file: any number of owners, agents and processes in one. Each store has a
// thread of its own, which waits for the disk; batches that wait together are one transaction.
#pragma once
#include "store/session_store.hpp"
#include "store/sqlite_owner.hpp"

namespace p2p {

class SqliteStore final : public SessionStore {
 public:
  explicit SqliteStore (SqliteOptions options);
  ~SqliteStore () override;

  void set_observer (Observer *observer) override;
  void open (const std::string &owner, OpenDone done) override;
  void commit (StoreBatch batch, Done done) override;
  std::uint64_t waiting_bytes () const override;
  void close (Done done) override;

 private:
  struct Front;  // on the core thread
  class Writer;  // on the store's thread

  const std::shared_ptr<Front> front_;
  std::unique_ptr<Writer> writer_;
};

}  // namespace p2p
