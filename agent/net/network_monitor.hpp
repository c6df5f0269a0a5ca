// Tells when this machine's network is no longer what it was, and when the machine has slept.
#pragma once
#include <functional>
#include <memory>
#include <vector>

#include "base/scheduler.hpp"
#include "net/network_snapshot.hpp"
#include "net/network_source.hpp"

namespace p2p {

// One thread's; the process's own is the core thread's. A change is told once it has been quiet
// for 100 ms, or 500 ms after its beginning; what is back by then as it was, is none.
class NetworkMonitor final : public std::enable_shared_from_this<NetworkMonitor> {
 public:
  class Observer {
   public:
    virtual ~Observer () = default;
    virtual void network_changed (const NetworkSnapshot &now, const NetworkChange &change) = 0;
    // At once, before it is quiet: addresses have gone. Whoever has another way need not wait.
    // Comes once more, with them, if they are back by the time that it is quiet.
    virtual void network_lost (const NetworkSnapshot & /*now*/) {}
    // The machine is back from suspend. The network is read anew; network_changed() follows if it
    // is another one. A virtual machine that was stopped from outside does not know of it.
    virtual void network_woke () = 0;
  };

  // The process's own, made with the first caller; it goes with the last that holds it. Core thread
  // only. rtnetlink is its source; or the portable one (portable_source.hpp) where that fails, or
  // with P2P_NETWORK_MONITOR=portable in the environment.
  static std::shared_ptr<NetworkMonitor> shared ();
  // For tests, held by a shared_ptr as well. `slept` is the time that the machine has been
  // suspended for in all.
  NetworkMonitor (std::unique_ptr<NetworkSource> source, Scheduler &scheduler,
                  std::function<TimeUs ()> slept);
  ~NetworkMonitor ();
  NetworkMonitor (const NetworkMonitor &) = delete;
  NetworkMonitor &operator= (const NetworkMonitor &) = delete;

  // Each is removed before it goes, also from inside of a call, which may let the monitor go too.
  void add (Observer *observer);
  void remove (Observer *observer);
  const NetworkSnapshot &snapshot () const { return snapshot_; }
  // No kernel tells a process that it has slept: call this from a timer that runs anyway. Observers
  // may be told from inside of it.
  void check_suspend ();

 private:
  void on_spoke ();
  void wait_for_quiet ();
  void tell_lost ();
  void on_quiet ();
  void tell (const std::function<void (Observer &)> &call);

  const std::unique_ptr<NetworkSource> source_;
  Scheduler &scheduler_;
  const std::function<TimeUs ()> slept_;
  TimeUs slept_before_;
  NetworkSnapshot snapshot_;
  std::vector<NetworkAddress> told_lost_;  // since it was quiet last
  std::vector<Observer *> observers_;
  TimeUs since_ = kNever;  // the beginning of what is not told yet
  const std::unique_ptr<Scheduler::Timer> quiet_;
};

}  // namespace p2p
