#include "net/network_monitor.hpp"

#include <time.h>

#include <algorithm>

#include "base/loop_thread.hpp"
#include "net/portable_source.hpp"
#include "net/route_socket.hpp"

namespace p2p {

namespace {

// One event of ours is several of the kernel's: a link, its addresses, then its routes.
constexpr TimeUs kQuiet = 100 * kMillisecond, kLongestQuiet = 500 * kMillisecond;
// The two clocks are read one after the other, and a thread may be held up in between.
constexpr TimeUs kShortestSleep = kSecond;

TimeUs
time_of (clockid_t clock) {
  timespec time{};
  clock_gettime (clock, &time);
  return TimeUs{time.tv_sec} * kSecond + time.tv_nsec / 1000;
}

TimeUs
time_slept () {
  return time_of (CLOCK_BOOTTIME) - time_of (CLOCK_MONOTONIC);
}

std::unique_ptr<NetworkSource>
make_source (LoopThread &loop) {
  if (g_strcmp0 (g_getenv ("P2P_NETWORK_MONITOR"), "portable") != 0) {
    auto socket = RouteSocket::create (loop.context ());
    if (socket) return std::move (*socket);
    g_info ("%s GNetworkMonitor is used.", socket.error ().message.c_str ());
  }
  return make_portable_source (loop.context (), loop.scheduler ());
}

}  // namespace

std::shared_ptr<NetworkMonitor>
NetworkMonitor::shared () {
  // Never destroyed: the core thread still runs while the process exits.
  static auto &known = *new std::weak_ptr<NetworkMonitor>;
  auto monitor = known.lock ();
  if (!monitor)
    known = monitor = std::make_shared<NetworkMonitor> (make_source (core_loop ()),
                                                        core_loop ().scheduler (), time_slept);
  return monitor;
}

NetworkMonitor::NetworkMonitor (std::unique_ptr<NetworkSource> source, Scheduler &scheduler,
                                std::function<TimeUs ()> slept)
    : source_ (std::move (source)),
      scheduler_ (scheduler),
      slept_ (std::move (slept)),
      slept_before_ (slept_ ()),
      quiet_ (scheduler.make_timer ([this] { on_quiet (); })) {
  // Started first: what changes in between is told.
  source_->start ([this] { on_spoke (); });
  if (auto now = source_->read ())
    snapshot_ = std::move (*now);
  else
    wait_for_quiet ();
}

NetworkMonitor::~NetworkMonitor () = default;

void
NetworkMonitor::add (Observer *observer) {
  observers_.push_back (observer);
}

void
NetworkMonitor::remove (Observer *observer) {
  observers_.erase (std::remove (observers_.begin (), observers_.end (), observer),
                    observers_.end ());
}

void
NetworkMonitor::check_suspend () {
  const TimeUs slept = slept_ ();
  if (slept - slept_before_ <= kShortestSleep) return;
  g_info ("the machine has slept for %" G_GINT64_FORMAT " s", (slept - slept_before_) / kSecond);
  slept_before_ = slept;
  wait_for_quiet ();
  tell ([] (Observer &one) { one.network_woke (); });
}

void
NetworkMonitor::on_spoke () {
  wait_for_quiet ();
  const auto keep = shared_from_this ();
  tell_lost ();
  check_suspend ();  // may be the end of this
}

void
NetworkMonitor::tell_lost () {
  auto now = source_->read ();
  if (!now) return;
  const NetworkChange change = difference (snapshot_, *now);
  if (change.removed.empty () || change.removed == told_lost_) return;
  told_lost_ = change.removed;
  tell ([&now] (Observer &one) { one.network_lost (*now); });
}

void
NetworkMonitor::wait_for_quiet () {
  const TimeUs now = scheduler_.now ();
  if (since_ == kNever) since_ = now;
  quiet_->arm (std::min (now + kQuiet, since_ + kLongestQuiet));
}

void
NetworkMonitor::on_quiet () {
  since_ = kNever;
  const bool lost_told = !std::exchange (told_lost_, {}).empty ();
  auto now = source_->read ();
  if (!now) {
    // Mostly no descriptor is free; it is asked until it answers.
    since_ = scheduler_.now ();
    quiet_->arm (since_ + kLongestQuiet);
    return;
  }
  const NetworkChange change = difference (snapshot_, *now);
  if (!change.any ()) {
    if (lost_told) tell ([now = snapshot_] (Observer &one) { one.network_lost (now); });
    return;
  }
  snapshot_ = std::move (*now);
  g_info ("the network has changed: %zu addresses have come and %zu gone, default routes are %s",
          change.added.size (), change.removed.size (),
          change.default_routes_changed ? "others" : "the same");
  // The snapshot of this moment, whatever an observer does.
  tell ([&change, now = snapshot_] (Observer &one) { one.network_changed (now, change); });
}

void
NetworkMonitor::tell (const std::function<void (Observer &)> &call) {
  const auto keep = shared_from_this ();
  const std::vector<Observer *> all = observers_;
  for (Observer *const one : all)
    if (std::find (observers_.begin (), observers_.end (), one) != observers_.end ()) call (*one);
}

}  // namespace p2p
