// Several meeting points for one client, on a virtual clock.
#include "signaling/fallback_carrier.hpp"

#include <gtest/gtest.h>

using namespace p2p;

namespace {

struct Wire {
  SignalingCarrier::Observer *observer = nullptr;
  std::string name;
  int opened = 0;
  bool open = false;
};

class WireCarrier final : public SignalingCarrier {
 public:
  explicit WireCarrier (Wire &wire) : wire_ (wire) {}
  void set_observer (SignalingCarrier::Observer *observer) override { wire_.observer = observer; }
  void open () override {
    ++wire_.opened;
    wire_.open = true;
  }
  void send (const std::string &) override {}
  void close () override { wire_.open = false; }
  bool address_gone () const override { return false; }
  std::string describe () const override { return wire_.name; }
  std::string stun_host () const override { return wire_.name; }

 private:
  Wire &wire_;
};

class FallbackTest : public testing::Test, public SignalingCarrier::Observer {
 protected:
  void SetUp () override {
    std::vector<std::unique_ptr<SignalingCarrier>> carriers;
    for (int i = 0; i < 3; ++i) {
      wires[i].name = std::string (1, static_cast<char> ('a' + i));
      carriers.push_back (std::make_unique<WireCarrier> (wires[i]));
    }
    carrier = std::make_unique<FallbackCarrier> (std::move (carriers), scheduler);
    carrier->set_observer (this);
  }
  void carrier_frame (ByteView) override { ++frames; }
  void carrier_closed (const Error &reason) override { closed.push_back (reason.message); }
  void fail (Wire &wire) {
    wire.open = false;
    wire.observer->carrier_closed ({P2P_ERROR_SIGNALING, wire.name + " failed"});
  }
  void hear (Wire &wire) { wire.observer->carrier_frame ({}); }
  // The one that is open.
  std::string in_use () const {
    std::string names;
    for (const Wire &wire : wires)
      if (wire.open) names += wire.name;
    return names;
  }

  VirtualScheduler scheduler;
  Wire wires[3];
  std::unique_ptr<FallbackCarrier> carrier;
  int frames = 0;
  std::vector<std::string> closed;
};

TEST_F (FallbackTest, TheNextOneIsTriedWhenOneCannotBeReached) {
  carrier->open ();
  EXPECT_EQ (in_use (), "a");
  fail (wires[0]);
  EXPECT_EQ (in_use (), "b");
  EXPECT_TRUE (closed.empty ());
  hear (wires[1]);
  EXPECT_EQ (frames, 1);
  EXPECT_EQ (carrier->describe (), "b");
  EXPECT_EQ (carrier->stun_host (), "b");
}

TEST_F (FallbackTest, ItFailsWhenAllHaveFailed) {
  carrier->open ();
  for (Wire &wire : wires) fail (wire);
  EXPECT_EQ (in_use (), "");
  EXPECT_EQ (closed, std::vector<std::string>{"c failed"});
  carrier->open ();
  EXPECT_EQ (in_use (), "a");
}

TEST_F (FallbackTest, OneThatIsLostIsLeftForTheNext) {
  carrier->open ();
  hear (wires[0]);
  fail (wires[0]);
  EXPECT_EQ (closed, std::vector<std::string>{"a failed"}) << "the client waits a moment";
  carrier->open ();
  EXPECT_EQ (in_use (), "b");
  hear (wires[1]);
  carrier->close ();
  carrier->open ();
  EXPECT_EQ (in_use (), "c") << "the client was not content with it";
}

TEST_F (FallbackTest, OneThatSaysNothingIsLeftForTheNext) {
  carrier->open ();
  scheduler.run_for (4 * kSecond);
  EXPECT_EQ (in_use (), "b");
  hear (wires[1]);
  scheduler.run_for (60 * kSecond);
  EXPECT_EQ (in_use (), "b");
  EXPECT_TRUE (closed.empty ());
}

TEST_F (FallbackTest, ClosedItStaysClosed) {
  carrier->open ();
  carrier->close ();
  scheduler.run_for (60 * kSecond);
  EXPECT_EQ (in_use (), "");
  EXPECT_EQ (wires[1].opened, 0);
}

}  // namespace
