// A store in the memory of this process: for tests, where it outlives agents, but no process.
#pragma once
#include <deque>
#include <map>
#include <memory>

#include "base/scheduler.hpp"
#include "store/session_store.hpp"

namespace p2p {

// What several stores have in common, as they would a file.
struct MemoryDisk {
  struct Owner {
    std::uint64_t term = 0;
    bool held = false;
    std::map<std::string, Ref<GBytes>> items;
  };
  std::map<std::string, Owner> owners;
};

class MemoryStore final : public SessionStore {
 public:
  // A batch is written `delay_us` after the commit. A `shared` disk is like a server: who opens
  // takes the owner over from a living holder, who is fenced; else the newcomer is refused.
  struct Options {
    TimeUs delay_us = 0;
    bool shared = false;
  };
  MemoryStore (Scheduler &scheduler, std::shared_ptr<MemoryDisk> disk, Options options);
  MemoryStore (Scheduler &scheduler, std::shared_ptr<MemoryDisk> disk)
      : MemoryStore (scheduler, std::move (disk), Options{}) {}
  ~MemoryStore () override;

  void set_observer (Observer *observer) override { observer_ = observer; }
  void open (const std::string &owner, OpenDone done) override;
  void commit (StoreBatch batch, Done done) override;
  std::uint64_t waiting_bytes () const override { return waiting_bytes_; }
  void close (Done done) override;

 private:
  struct Work {
    TimeUs due = 0;
    std::function<void ()> run;
  };

  void later (TimeUs delay_us, std::function<void ()> run);
  void run_due ();
  Status write (const StoreBatch &batch);
  void release ();
  bool holds () const;

  Scheduler &scheduler_;
  const std::shared_ptr<MemoryDisk> disk_;
  const Options options_;
  Observer *observer_ = nullptr;
  std::string owner_;
  std::uint64_t term_ = 0;  // 0: not open
  std::uint64_t waiting_bytes_ = 0;
  Status lost_;
  std::deque<Work> work_;
  std::unique_ptr<Scheduler::Timer> timer_;
  const std::shared_ptr<bool> alive_ = std::make_shared<bool> (true);
};

// The disk of that name, which lives as long as the process.
std::shared_ptr<MemoryDisk> named_memory_disk (const std::string &name);

}  // namespace p2p
