// The monitor on a virtual clock, with a network that the test makes up.
#include "net/network_monitor.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <string>

using namespace p2p;

namespace {

struct Kernel {
  NetworkSnapshot now;
  bool answers = true;
  int reads = 0;
  std::function<void ()> spoke;
};

class FakeSource final : public NetworkSource {
 public:
  explicit FakeSource (Kernel &kernel) : kernel_ (kernel) {}
  ~FakeSource () override { kernel_.spoke = nullptr; }
  void start (std::function<void ()> spoke) override { kernel_.spoke = std::move (spoke); }
  std::optional<NetworkSnapshot> read () override {
    ++kernel_.reads;
    if (!kernel_.answers) return std::nullopt;
    return kernel_.now;
  }

 private:
  Kernel &kernel_;
};

class NetworkMonitorTest : public testing::Test, public NetworkMonitor::Observer {
 protected:
  void SetUp () override {
    add_address ("127.0.0.1");
    make ();
  }
  void make () {
    monitor = std::make_shared<NetworkMonitor> (std::make_unique<FakeSource> (kernel), scheduler,
                                                [this] { return slept; });
    monitor->add (this);
  }
  void TearDown () override {
    if (monitor) monitor->remove (this);
  }

  void network_changed (const NetworkSnapshot &now, const NetworkChange &change) override {
    std::string line = std::to_string (scheduler.now () / kMillisecond) + ":";
    for (const auto &one : change.added) line += " +" + one.address;
    for (const auto &one : change.removed) line += " -" + one.address;
    if (change.default_routes_changed) line += " routes";
    EXPECT_EQ (now.addresses, monitor->snapshot ().addresses);
    news.push_back (line);
    if (let_go) {
      monitor->remove (this);
      monitor.reset ();
    }
  }
  void network_woke () override { news.push_back ("woke"); }
  void network_lost (const NetworkSnapshot &now) override {
    lost.push_back (std::to_string (scheduler.now () / kMillisecond) + ": " +
                    std::to_string (now.addresses.size ()));
  }

  void add_address (const std::string &text) {
    NetworkAddress one;
    one.address = text;
    kernel.now.addresses.push_back (one);
    std::sort (kernel.now.addresses.begin (), kernel.now.addresses.end ());
  }
  void remove_address (const std::string &text) {
    auto &all = kernel.now.addresses;
    all.erase (std::remove_if (all.begin (), all.end (),
                               [&] (const NetworkAddress &one) { return one.address == text; }),
               all.end ());
  }
  using Lines = std::vector<std::string>;

  Kernel kernel;
  VirtualScheduler scheduler;
  TimeUs slept = 3600 * kSecond;  // before this process began
  std::shared_ptr<NetworkMonitor> monitor;
  Lines news, lost;
  bool let_go = false;
};

}  // namespace

TEST_F (NetworkMonitorTest, KnowsTheNetworkFromItsBeginning) {
  EXPECT_EQ (monitor->snapshot ().addresses.size (), 1U);
  scheduler.run_for (10 * kSecond);
  EXPECT_EQ (news, Lines{});
  EXPECT_EQ (kernel.reads, 1);
}

TEST_F (NetworkMonitorTest, TellsAChangeAfterAMomentOfQuiet) {
  add_address ("10.0.0.1");
  kernel.spoke ();
  scheduler.run_for (60 * kMillisecond);
  kernel.spoke ();
  scheduler.run_for (100 * kMillisecond - 1);
  EXPECT_EQ (news, Lines{});
  scheduler.run_for (1);
  EXPECT_EQ (news, Lines{"160: +10.0.0.1"});
  EXPECT_TRUE (monitor->snapshot ().usable ());
}

TEST_F (NetworkMonitorTest, WaitsHalfASecondAtMost) {
  add_address ("10.0.0.1");
  for (int i = 0; i < 20; ++i) {
    kernel.spoke ();
    scheduler.run_for (50 * kMillisecond);
  }
  ASSERT_FALSE (news.empty ());
  EXPECT_EQ (news, Lines{"500: +10.0.0.1"});
}

TEST_F (NetworkMonitorTest, WhatIsBackInTheMeantimeIsNoChange) {
  remove_address ("127.0.0.1");
  kernel.spoke ();
  scheduler.run_for (50 * kMillisecond);
  add_address ("127.0.0.1");
  kernel.spoke ();
  scheduler.run_for (kSecond);
  EXPECT_EQ (news, Lines{});
  EXPECT_EQ (kernel.reads, 4);
}

TEST_F (NetworkMonitorTest, WhatIsLostIsToldAtOnceAndOnceMoreWhenItIsBack) {
  remove_address ("127.0.0.1");
  kernel.spoke ();
  EXPECT_EQ (lost, Lines{"0: 0"});
  kernel.spoke ();
  EXPECT_EQ (lost.size (), 1U) << "nothing more has gone";
  scheduler.run_for (50 * kMillisecond);
  add_address ("127.0.0.1");
  kernel.spoke ();
  scheduler.run_for (kSecond);
  EXPECT_EQ (lost, (Lines{"0: 0", "150: 1"}));
  EXPECT_EQ (news, Lines{});
}

TEST_F (NetworkMonitorTest, EachChangeIsToldOnceAndAgainstTheLastOneTold) {
  add_address ("10.0.0.1");
  kernel.now.default_routes.push_back ({false, 2, "10.0.0.254", 0});
  kernel.spoke ();
  scheduler.run_for (200 * kMillisecond);
  remove_address ("10.0.0.1");
  kernel.spoke ();
  scheduler.run_for (200 * kMillisecond);
  kernel.now.default_routes[0].gateway = "10.0.0.253";
  kernel.spoke ();
  scheduler.run_for (200 * kMillisecond);
  EXPECT_EQ (news, (Lines{"100: +10.0.0.1 routes", "300: -10.0.0.1", "500: routes"}));
}

TEST_F (NetworkMonitorTest, ASourceThatDoesNotAnswerIsAskedAgain) {
  kernel.answers = false;
  add_address ("10.0.0.1");
  kernel.spoke ();
  scheduler.run_for (kSecond);
  EXPECT_EQ (news, Lines{});
  kernel.answers = true;
  scheduler.run_for (kSecond);
  EXPECT_EQ (news, Lines{"1100: +10.0.0.1"});
  const int reads = kernel.reads;
  scheduler.run_for (10 * kSecond);
  EXPECT_EQ (kernel.reads, reads);
}

TEST_F (NetworkMonitorTest, ASourceThatIsSilentAtFirstIsAskedAgain) {
  kernel.answers = false;
  make ();
  kernel.answers = true;
  scheduler.run_for (kSecond);
  EXPECT_EQ (news, Lines{"100: +127.0.0.1"});
}

TEST_F (NetworkMonitorTest, MoreThanASecondOfSleepIsToldOnceAndTheNetworkReadAnew) {
  slept += kSecond;
  monitor->check_suspend ();
  EXPECT_EQ (news, Lines{});
  add_address ("10.0.0.1");
  slept += 1;
  monitor->check_suspend ();
  monitor->check_suspend ();
  EXPECT_EQ (news, Lines{"woke"});
  scheduler.run_for (kSecond);
  EXPECT_EQ (news, (Lines{"woke", "100: +10.0.0.1"}));
}

TEST_F (NetworkMonitorTest, SleepIsNoticedWhenTheKernelSpeaks) {
  slept += 3600 * kSecond;
  kernel.spoke ();
  EXPECT_EQ (news, Lines{"woke"});
  scheduler.run_for (kSecond);
  EXPECT_EQ (news, Lines{"woke"});
}

TEST_F (NetworkMonitorTest, AnObserverMayLetTheMonitorGo) {
  let_go = true;
  add_address ("10.0.0.1");
  kernel.spoke ();
  scheduler.run_for (kSecond);
  EXPECT_EQ (news.size (), 1U);
  EXPECT_EQ (monitor, nullptr);
  EXPECT_FALSE (kernel.spoke) << "the source has gone with it";
}

TEST_F (NetworkMonitorTest, AnObserverThatAnotherRemovesIsNotTold) {
  struct Remover final : NetworkMonitor::Observer {
    void network_changed (const NetworkSnapshot &, const NetworkChange &) override {
      monitor->remove (other);
    }
    void network_woke () override {}
    NetworkMonitor *monitor = nullptr;
    NetworkMonitor::Observer *other = nullptr;
  } remover;
  remover.monitor = monitor.get ();
  remover.other = this;
  monitor->remove (this);
  monitor->add (&remover);
  monitor->add (this);
  add_address ("10.0.0.1");
  kernel.spoke ();
  scheduler.run_for (kSecond);
  EXPECT_EQ (news, Lines{});
  EXPECT_EQ (monitor->snapshot ().addresses.size (), 2U);
}
