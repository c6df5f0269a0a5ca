// What outlives the process: keys and opaque values of one owner, which is an agent's id.
//
// A batch is applied whole or not at all, and batches in the order of the calls: whatever ends the
// process leaves the state after some batch, none before which is missing. An owner has one holder
// at a time: each open() gets a higher term than all before it, and a holder of an older term
// cannot change another byte.
//
// Core thread only. Callbacks come on the core thread, never from inside the call, in the order of
// the calls; none after the store is destroyed.
#pragma once
#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "base/error.hpp"
#include "base/ptr.hpp"

namespace p2p {

struct StoreItem {
  std::string key;  // UTF-8, neither empty nor with a NUL; ordered by bytes
  Ref<GBytes> value;
};

struct StoreChange {
  enum class Kind { put, erase, erase_range };

  static StoreChange put (std::string key, Ref<GBytes> value) {
    return {Kind::put, std::move (key), std::move (value), {}};
  }
  static StoreChange erase (std::string key) { return {Kind::erase, std::move (key), {}, {}}; }
  // All keys from `begin` on that come before `end`.
  static StoreChange erase_range (std::string begin, std::string end) {
    return {Kind::erase_range, std::move (begin), {}, std::move (end)};
  }

  Kind kind;
  std::string key;
  Ref<GBytes> value;  // of a put alone
  std::string end;    // of an erase_range alone
};

using StoreBatch = std::vector<StoreChange>;

// As what a batch counts while it waits.
std::uint64_t batch_bytes (const StoreBatch &batch);

class SessionStore {
 public:
  class Observer {
   public:
    virtual ~Observer () = default;
    // Nothing is written any longer, for good: P2P_ERROR_FENCED when another holder took the owner
    // over, P2P_ERROR_STORE when the store failed. At most once, after open(); every batch that
    // waits fails right after it, and every later one.
    virtual void store_lost (const Error &error) = 0;
  };
  struct Opened {
    std::uint64_t term = 0;        // above all that this owner was ever given, durable by now
    std::vector<StoreItem> items;  // all of them, ordered by key
  };
  using OpenDone = std::function<void (Result<Opened>)>;
  using Done = std::function<void (const Status &)>;

  // As a kill: of the batches that wait any number from the first on is written. Waits for the one
  // that is being written.
  virtual ~SessionStore () = default;
  virtual void set_observer (Observer *observer) = 0;
  // Once for each object, before all else. A file of this machine knows whether its holder lives,
  // and refuses a second one with P2P_ERROR_FENCED; a server cannot, and fences the first one off.
  virtual void open (const std::string &owner, OpenDone done) = 0;
  // `done` comes once the batch outlives this process, or will never be written.
  virtual void commit (StoreBatch batch, Done done) = 0;
  // batch_bytes() of all whose `done` has not come. The store takes any amount: callers bound it.
  virtual std::uint64_t waiting_bytes () const = 0;
  // `done` comes when all that was given before is written and the owner is free for others.
  virtual void close (Done done) = 0;
};

}  // namespace p2p
