#include "store/memory_store.hpp"

namespace p2p {

MemoryStore::MemoryStore (Scheduler &scheduler, std::shared_ptr<MemoryDisk> disk, Options options)
    : scheduler_ (scheduler),
      disk_ (std::move (disk)),
      options_ (options),
      timer_ (scheduler.make_timer ([this] { run_due (); })) {}

MemoryStore::~MemoryStore () {
  *alive_ = false;
  release ();
}

void
MemoryStore::later (TimeUs delay_us, std::function<void ()> run) {
  work_.push_back ({scheduler_.now () + delay_us, std::move (run)});
  if (work_.size () == 1) timer_->arm (work_.front ().due);
}

void
MemoryStore::run_due () {
  const auto alive = alive_;
  while (*alive && !work_.empty () && work_.front ().due <= scheduler_.now ()) {
    const Work work = std::move (work_.front ());
    work_.pop_front ();
    work.run ();
  }
  if (*alive && !work_.empty ()) timer_->arm (work_.front ().due);
}

bool
MemoryStore::holds () const {
  return term_ != 0 && disk_->owners[owner_].term == term_;
}

void
MemoryStore::release () {
  if (holds ()) disk_->owners[owner_].held = false;
  term_ = 0;
}

void
MemoryStore::open (const std::string &owner, OpenDone done) {
  later (0, [this, owner, done = std::move (done)] {
    MemoryDisk::Owner &mine = disk_->owners[owner];
    if (mine.held && !options_.shared) {
      done (Error{P2P_ERROR_FENCED, "The sessions of \"" + owner +
                                        "\" are in use by another agent. Close it first, or use "
                                        "another id."});
      return;
    }
    owner_ = owner;
    term_ = ++mine.term;
    mine.held = true;
    Opened opened;
    opened.term = term_;
    for (const auto &[key, value] : mine.items) opened.items.push_back ({key, value});
    done (std::move (opened));
  });
}

Status
MemoryStore::write (const StoreBatch &batch) {
  if (term_ == 0) return Error{P2P_ERROR_STORE, "The session store is not open."};
  if (!holds ())
    return Error{P2P_ERROR_FENCED, "Another agent took over the sessions of \"" + owner_ + "\"."};
  auto &items = disk_->owners[owner_].items;
  for (const StoreChange &change : batch) {
    switch (change.kind) {
      case StoreChange::Kind::put:
        items[change.key] = change.value;
        break;
      case StoreChange::Kind::erase:
        items.erase (change.key);
        break;
      case StoreChange::Kind::erase_range:
        if (change.key < change.end)
          items.erase (items.lower_bound (change.key), items.lower_bound (change.end));
        break;
    }
  }
  return {};
}

void
MemoryStore::commit (StoreBatch batch, Done done) {
  const std::uint64_t bytes = batch_bytes (batch);
  waiting_bytes_ += bytes;
  later (options_.delay_us, [this, batch = std::move (batch), done = std::move (done), bytes] {
    const auto alive = alive_;
    if (!lost_) {
      lost_ = write (batch);
      if (lost_ && observer_) observer_->store_lost (*lost_);
    }
    if (!*alive) return;
    waiting_bytes_ -= bytes;
    done (lost_);
  });
}

void
MemoryStore::close (Done done) {
  later (options_.delay_us, [this, done = std::move (done)] {
    release ();
    done (lost_);
  });
}

std::shared_ptr<MemoryDisk>
named_memory_disk (const std::string &name) {
  static std::map<std::string, std::shared_ptr<MemoryDisk>> disks;
  auto &disk = disks[name];
  if (!disk) disk = std::make_shared<MemoryDisk> ();
  return disk;
}

}  // namespace p2p
