// The process's own monitor while the network of a namespace of this test changes; with
// P2P_NETWORK_MONITOR=portable what that source can see. Each change is seen within
// a second, by the portable one within one and a half.
#include <gtest/gtest.h>

#include <algorithm>
#include <chrono>
#include <condition_variable>
#include <functional>
#include <mutex>
#include <utility>

#include "base/loop_thread.hpp"
#include "net/network_monitor.hpp"
#include "net/route_socket.hpp"
#include "network_namespace.hpp"

using namespace p2p;

namespace {

constexpr std::chrono::seconds kLimit{20};  // of a test that fails

bool
portable () {
  return g_strcmp0 (g_getenv ("P2P_NETWORK_MONITOR"), "portable") == 0;
}

// The portable source looks once a second, and the monitor waits for its moment of quiet.
TimeUs
seen_within () {
  return portable () ? kSecond * 3 / 2 : kSecond;
}

// Made on the core thread; what it saw is read on the test's.
class Watcher final : public NetworkMonitor::Observer {
 public:
  Watcher () {
    core_loop ().run_sync ([this] {
      monitor_ = NetworkMonitor::shared ();
      monitor_->add (this);
      now_ = monitor_->snapshot ();
    });
  }
  ~Watcher () override {
    core_loop ().run_sync ([this] {
      monitor_->remove (this);
      monitor_.reset ();
    });
  }
  void network_changed (const NetworkSnapshot &now, const NetworkChange &change) override {
    const std::lock_guard lock (mutex_);
    EXPECT_TRUE (change.any ());
    now_ = now;
    for (const auto &one : change.added)
      news_ += "+" + one.address + "%" + one.interface_name + " ";
    for (const auto &one : change.removed)
      news_ += "-" + one.address + "%" + one.interface_name + " ";
    if (change.default_routes_changed) news_ += "routes ";
    changed_.notify_all ();
  }
  void network_woke () override { ADD_FAILURE () << "nobody slept"; }

  // Runs the command, and waits until `done` holds for what the monitor tells: within a second of
  // the command's end. What was told is in `news` then.
  void expect (const std::string &command,
               const std::function<bool (const NetworkSnapshot &)> &done, std::string &news) {
    {
      const std::lock_guard lock (mutex_);
      news_.clear ();
    }
    ASSERT_TRUE (run (command)) << command;
    const TimeUs start = g_get_monotonic_time ();
    std::unique_lock lock (mutex_);
    ASSERT_TRUE (changed_.wait_for (lock, kLimit, [&] { return done (now_); }))
        << command << " was not seen; but: " << news_;
    EXPECT_LT (g_get_monotonic_time () - start, seen_within ()) << command;
    news = news_;
  }

 private:
  std::shared_ptr<NetworkMonitor> monitor_;
  std::mutex mutex_;
  std::condition_variable changed_;
  NetworkSnapshot now_;
  std::string news_;
};

// eth0 is one end of a cable, far the other: with far down, eth0 has no carrier. Without IPv6,
// whose addresses would come when they like.
class NetworkChanges : public testing::Test {
 protected:
  static void SetUpTestSuite () {
    // The core thread stays where it began: once in a process, also when tests are repeated.
    if (std::exchange (entered_, true)) return;
    why_not_ = enter_empty_network ();
    if (!why_not_.empty ()) return;
    if (!run ("ip link set lo up && ip link add eth0 type veth peer name far"))
      why_not_ = "ip cannot make a pair of veth interfaces";
    for (const char *name : {"eth0", "far"})
      write_text (("/proc/sys/net/ipv6/conf/" + std::string (name) + "/disable_ipv6").c_str (),
                  "1");
  }
  void SetUp () override {
    if (!why_not_.empty ())
      GTEST_SKIP () << "no network namespace can be made and filled here: " << why_not_;
    ASSERT_TRUE (
        run ("ip link set eth0 down; ip addr flush dev eth0; ip link set far up; "
             "ip link set eth0 up && "
             "ip addr add 10.1.0.2/24 dev eth0 && "
             "ip route replace default via 10.1.0.1"));
    watcher = std::make_unique<Watcher> ();
    // The kernel looks at a carrier in its own time.
    watcher->expect (
        "true",
        [] (const NetworkSnapshot &now) {
          return has (now) && (portable () || now.default_routes.size () == 1);
        },
        news);
  }
  static bool has (const NetworkSnapshot &now) { return now.has ("10.1.0.2"); }
  static bool has_not (const NetworkSnapshot &now) { return !now.has ("10.1.0.2"); }

  static bool entered_;
  static std::string why_not_;
  std::unique_ptr<Watcher> watcher;
  std::string news;
};

bool NetworkChanges::entered_ = false;
std::string NetworkChanges::why_not_;

}  // namespace

TEST_F (NetworkChanges, AddressesThatComeAndGo) {
  watcher->expect (
      "ip addr add 10.1.0.3/24 dev eth0",
      [] (const NetworkSnapshot &now) { return now.has ("10.1.0.3"); }, news);
  EXPECT_EQ (news, "+10.1.0.3%eth0 ");
  watcher->expect (
      "ip addr del 10.1.0.3/24 dev eth0",
      [] (const NetworkSnapshot &now) { return !now.has ("10.1.0.3"); }, news);
  EXPECT_EQ (news, "-10.1.0.3%eth0 ");
}

TEST_F (NetworkChanges, TheLastAddressGoesAndAnotherComes) {
  watcher->expect (
      "ip addr del 10.1.0.2/24 dev eth0",
      [] (const NetworkSnapshot &now) { return !now.usable (); }, news);
  EXPECT_EQ (news, portable () ? "-10.1.0.2%eth0 " : "-10.1.0.2%eth0 routes ");
  watcher->expect (
      "ip addr add 10.1.0.9/24 dev eth0", [] (const NetworkSnapshot &now) { return now.usable (); },
      news);
  EXPECT_EQ (news, "+10.1.0.9%eth0 ");
}

TEST_F (NetworkChanges, ALinkThatGoesDownAndUp) {
  watcher->expect ("ip link set eth0 down", has_not, news);
  EXPECT_EQ (news, portable () ? "-10.1.0.2%eth0 " : "-10.1.0.2%eth0 routes ");
  watcher->expect ("ip link set eth0 up", has, news);
  EXPECT_EQ (news, "+10.1.0.2%eth0 ");
}

TEST_F (NetworkChanges, ACarrierThatIsLost) {
  watcher->expect ("ip link set far down", has_not, news);
  EXPECT_EQ (news, portable () ? "-10.1.0.2%eth0 " : "-10.1.0.2%eth0 routes ");
}

TEST_F (NetworkChanges, ACarrierThatComesBack) {
  watcher->expect ("ip link set far down", has_not, news);
  watcher->expect ("ip link set far up", has, news);
  EXPECT_EQ (news, portable () ? "+10.1.0.2%eth0 " : "+10.1.0.2%eth0 routes ");
}

TEST_F (NetworkChanges, AnotherGatewayAndAnotherMetric) {
  if (portable ()) GTEST_SKIP () << "that source knows nothing of routes";
  const auto gateway_is = [] (const char *gateway, std::uint32_t metric) {
    return [=] (const NetworkSnapshot &now) {
      return std::any_of (now.default_routes.begin (), now.default_routes.end (),
                          [&] (const DefaultRoute &one) {
                            return one.gateway == gateway && one.metric == metric && !one.ipv6;
                          });
    };
  };
  watcher->expect ("ip route replace default via 10.1.0.77", gateway_is ("10.1.0.77", 0), news);
  EXPECT_EQ (news, "routes ");
  watcher->expect ("ip route add default via 10.1.0.78 metric 50", gateway_is ("10.1.0.78", 50),
                   news);
  EXPECT_EQ (news, "routes ");
}

TEST_F (NetworkChanges, AnInterfaceThatIsRemoved) {
  const char *const make =
      "ip link add spare type veth peer name other && ip link set other up && "
      "ip link set spare up && ip addr add 10.2.0.2/24 dev spare";
  watcher->expect (
      make, [] (const NetworkSnapshot &now) { return now.has ("10.2.0.2"); }, news);
  watcher->expect (
      "ip link del spare", [] (const NetworkSnapshot &now) { return !now.has ("10.2.0.2"); }, news);
  EXPECT_TRUE (news.find ("-10.2.0.2%spare ") != std::string::npos) << news;
}

TEST_F (NetworkChanges, AnIpv6AddressCountsWhenItHasNoDouble) {
  if (portable ()) GTEST_SKIP () << "getifaddrs() lists it before it is certain";
  write_text ("/proc/sys/net/ipv6/conf/eth0/disable_ipv6", "0");
  watcher->expect (
      "ip addr add 2001:db8::2/64 dev eth0 nodad",
      [] (const NetworkSnapshot &now) { return now.has ("2001:db8::2"); }, news);
  EXPECT_TRUE (news.find ("+2001:db8::2%eth0 ") != std::string::npos) << news;
  write_text ("/proc/sys/net/ipv6/conf/eth0/disable_ipv6", "1");
}

TEST_F (NetworkChanges, MoreThanTheQueueHoldsIsReadAnew) {
  if (portable ()) GTEST_SKIP () << "that source has no queue";
  const auto context = Ref<GMainContext>::adopt (g_main_context_new ());
  auto socket = RouteSocket::create (context.get ());
  ASSERT_TRUE (socket) << socket.error ().message;
  int spoken = 0;
  (*socket)->start ([&spoken] { ++spoken; });
  ASSERT_TRUE (
      run ("for i in $(seq 2000); do echo addr add 10.3.0.1/32 dev eth0; "
           "echo addr del 10.3.0.1/32 dev eth0; done | ip -batch - && "
           "ip addr add 10.3.0.2/32 dev eth0"));
  while (g_main_context_iteration (context.get (), FALSE)) {
  }
  EXPECT_GE (spoken, 1);
  EXPECT_GE ((*socket)->stats ().overruns, 1U);
  EXPECT_EQ ((*socket)->stats ().malformed, 0U);
  const auto now = (*socket)->read ();
  ASSERT_TRUE (now);
  EXPECT_TRUE (now->has ("10.3.0.2"));
  EXPECT_FALSE (now->has ("10.3.0.1"));
}
