// The fast lane beside libnice's socket: who gets which datagram, that boundaries are kept with
// every combination of abilities, and what becomes of sends that the kernel refuses.
#include "ice/fast_udp.hpp"

#include <arpa/inet.h>
#include <dlfcn.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <poll.h>
#include <unistd.h>

#include <cerrno>
#include <functional>
#include <string>
#include <vector>

using namespace p2p;

namespace {

// What the next sends answer instead of being carried out; 0 lets them through.
std::vector<int> refusals;

int
next_refusal () {
  if (refusals.empty ()) return 0;
  const int error = refusals.front ();
  refusals.erase (refusals.begin ());
  return error;
}

}  // namespace

// In place of libc's, for the lane under test: the linker takes the program's own first.
extern "C" ssize_t
sendmsg (int fd, const msghdr *message, int flags) {
  if (const int error = next_refusal ()) {
    errno = error;
    return -1;
  }
  static const auto real =
      reinterpret_cast<ssize_t (*) (int, const msghdr *, int)> (dlsym (RTLD_NEXT, "sendmsg"));
  return real (fd, message, flags);
}

extern "C" int
sendmmsg (int fd, mmsghdr *messages, unsigned count, int flags) {
  if (const int error = next_refusal ()) {
    errno = error;
    return -1;
  }
  static const auto real =
      reinterpret_cast<int (*) (int, mmsghdr *, unsigned, int)> (dlsym (RTLD_NEXT, "sendmmsg"));
  return real (fd, messages, count, flags);
}

namespace {

struct Collector final : FastUdp::Receiver {
  void fast_received (ByteView datagram) override { datagrams.push_back (datagram.to_string ()); }
  void fast_batch_done () override { ++batches; }
  void fast_writable () override { ++writable; }
  std::vector<std::string> datagrams;
  int batches = 0, writable = 0;
};

Ref<GSocket>
bound_socket (int family) {
  const GSocketFamily kind = family == AF_INET6 ? G_SOCKET_FAMILY_IPV6 : G_SOCKET_FAMILY_IPV4;
  auto socket = Ref<GSocket>::adopt (
      g_socket_new (kind, G_SOCKET_TYPE_DATAGRAM, G_SOCKET_PROTOCOL_UDP, nullptr));
  if (!socket) return {};
  const auto ip = Ref<GInetAddress>::adopt (g_inet_address_new_loopback (kind));
  const auto address = Ref<GSocketAddress>::adopt (g_inet_socket_address_new (ip.get (), 0));
  if (!g_socket_bind (socket.get (), address.get (), FALSE, nullptr)) return {};
  g_socket_set_blocking (socket.get (), FALSE);
  return socket;
}

sockaddr_storage
address_of (GSocket *socket) {
  sockaddr_storage address{};
  socklen_t size = sizeof address;
  getsockname (g_socket_get_fd (socket), reinterpret_cast<sockaddr *> (&address), &size);
  return address;
}

std::string
stun_message () {
  std::string text (20, '\0');
  text.replace (4, 4, "\x21\x12\xa4\x42");
  return text;
}

struct Combination {
  int family;
  FastUdpAbilities abilities;
};

// Two sockets as libnice would have them, with a lane beside each.
class FastUdpTest : public testing::TestWithParam<Combination> {
 protected:
  void SetUp () override {
    refusals.clear ();
    context = Ref<GMainContext>::adopt (g_main_context_new ());
    nice_a = bound_socket (GetParam ().family);
    nice_b = bound_socket (GetParam ().family);
    if (!nice_a || !nice_b) GTEST_SKIP () << "no loopback address of this family";
    a = FastUdp::open (nice_a.get (), address_of (nice_b.get ()), GetParam ().abilities,
                       context.get (), at_a);
    b = FastUdp::open (nice_b.get (), address_of (nice_a.get ()), GetParam ().abilities,
                       context.get (), at_b);
    ASSERT_TRUE (a && b);
  }
  bool spin_until (const std::function<bool ()> &done) {
    const gint64 end = g_get_monotonic_time () + 5 * G_USEC_PER_SEC;
    while (!done () && g_get_monotonic_time () < end) {
      take_from_nice ();
      g_main_context_iteration (context.get (), FALSE);
    }
    return done ();
  }
  // What libnice would read from its socket of b, one datagram at a time.
  void take_from_nice () {
    char buffer[65536];
    const ssize_t size =
        recv (g_socket_get_fd (nice_b.get ()), buffer, sizeof buffer, MSG_DONTWAIT);
    if (size >= 0) with_nice.emplace_back (buffer, static_cast<std::size_t> (size));
  }
  std::size_t arrived () const { return at_b.datagrams.size () + with_nice.size (); }

  Ref<GMainContext> context;
  Ref<GSocket> nice_a, nice_b;
  Collector at_a, at_b;
  std::unique_ptr<FastUdp> a, b;
  std::vector<std::string> with_nice;
};

std::vector<Combination>
every_combination () {
  std::vector<Combination> all;
  for (const int family : {AF_INET, AF_INET6})
    for (const bool steered : {true, false})
      for (const bool segmented : {true, false})
        for (const bool coalesced : {true, false})
          all.push_back ({family, {steered, segmented, coalesced}});
  return all;
}

std::string
name_of (const testing::TestParamInfo<Combination> &info) {
  const FastUdpAbilities &abilities = info.param.abilities;
  return std::string (info.param.family == AF_INET6 ? "Ipv6" : "Ipv4") +
         (abilities.steered ? "Steered" : "Shared") + (abilities.segmented ? "Trains" : "Singles") +
         (abilities.coalesced ? "Coalesced" : "Apart");
}

INSTANTIATE_TEST_SUITE_P (EveryFallback, FastUdpTest, testing::ValuesIn (every_combination ()),
                          name_of);

// Datagrams of a train that can be told apart; the last one is shorter.
std::string
train_of (std::size_t count, std::size_t segment_bytes) {
  std::string train;
  for (std::size_t i = 0; i < count; ++i)
    train += std::string (i + 1 < count ? segment_bytes : segment_bytes / 2,
                          static_cast<char> (0x80 + i));
  return train;
}

}  // namespace

TEST_P (FastUdpTest, KeepsTheBoundariesOfATrain) {
  const std::string train = train_of (40, 1200);
  ASSERT_EQ (a->send (ByteView (std::string_view (train)), 1200), Path::Sent::all);
  ASSERT_TRUE (spin_until ([&] { return arrived () == 40; })) << arrived ();
  const auto &got = GetParam ().abilities.steered ? at_b.datagrams : with_nice;
  ASSERT_EQ (got.size (), 40u);
  for (std::size_t i = 0; i < 40; ++i)
    EXPECT_EQ (got[i], train.substr (i * 1200, i < 39 ? 1200 : 600)) << "datagram " << i;
  EXPECT_EQ (at_b.batches > 0, GetParam ().abilities.steered);
}

TEST_P (FastUdpTest, LeavesStunAndStrangersToLibnice) {
  const auto stranger = bound_socket (GetParam ().family);
  const sockaddr_storage to = address_of (nice_b.get ());
  const auto *address = reinterpret_cast<const sockaddr *> (&to);
  const socklen_t size =
      GetParam ().family == AF_INET6 ? sizeof (sockaddr_in6) : sizeof (sockaddr_in);
  const std::string stun = stun_message (), data = std::string (100, '\x90');
  ASSERT_GT (sendto (g_socket_get_fd (nice_a.get ()), stun.data (), stun.size (), 0, address, size),
             0);
  ASSERT_GT (
      sendto (g_socket_get_fd (stranger.get ()), data.data (), data.size (), 0, address, size), 0);
  ASSERT_TRUE (spin_until ([&] { return with_nice.size () == 2; })) << with_nice.size ();
  EXPECT_TRUE (at_b.datagrams.empty ());
}

TEST_P (FastUdpTest, ADatagramThatOnlyBeginsLikeStunIsData) {
  // The kernel may clear the bit that tells QUIC from STUN; the cookie decides.
  const std::string data = std::string (100, '\x01');
  ASSERT_EQ (a->send (ByteView (std::string_view (data)), 100), Path::Sent::all);
  ASSERT_TRUE (spin_until ([&] { return arrived () == 1; }));
  EXPECT_EQ (at_b.datagrams.size (), GetParam ().abilities.steered ? 1u : 0u);
}

TEST_P (FastUdpTest, ComesBackWhenTheSocketHasRoomAgain) {
  refusals = {EAGAIN};
  const std::string train = train_of (5, 1000);
  EXPECT_EQ (a->send (ByteView (std::string_view (train)), 1000), Path::Sent::would_block);
  EXPECT_EQ (a->send (ByteView (std::string_view (train)), 1000), Path::Sent::would_block);
  ASSERT_TRUE (spin_until ([&] { return at_a.writable == 1; }));
  EXPECT_EQ (a->send (ByteView (std::string_view (train)), 1000), Path::Sent::all);
  ASSERT_TRUE (spin_until ([&] { return arrived () == 5; }));
  EXPECT_EQ (arrived (), 5u);
}

TEST_P (FastUdpTest, SendsTheTailOfABurstByItself) {
  // 70 datagrams take two calls: the first passes, the second finds the socket full.
  refusals = GetParam ().abilities.segmented ? std::vector<int>{EIO, 0, EAGAIN}
                                             : std::vector<int>{0, EAGAIN};
  const std::string train = train_of (70, 400), other = std::string (300, '\xee');
  EXPECT_EQ (a->send (ByteView (std::string_view (train)), 400), Path::Sent::all);
  EXPECT_EQ (a->send (ByteView (std::string_view (other)), 300), Path::Sent::would_block);
  ASSERT_TRUE (spin_until ([&] { return at_a.writable == 1; }));
  // The caller may have dropped what it was refused: the next burst is its own, from its first
  // byte.
  EXPECT_EQ (a->send (ByteView (std::string_view (other)), 300), Path::Sent::all);
  ASSERT_TRUE (spin_until ([&] { return arrived () == 71; })) << arrived ();
  EXPECT_EQ ((GetParam ().abilities.steered ? at_b.datagrams : with_nice).back (), other);
}

TEST_P (FastUdpTest, GoesOnWithoutSegmentationWhereItIsRefused) {
  refusals = {EIO};
  const std::string train = train_of (10, 1000);
  if (!GetParam ().abilities.segmented) {
    // Nothing is left to give up: the burst is lost, the next one passes.
    EXPECT_EQ (a->send (ByteView (std::string_view (train)), 1000), Path::Sent::failed);
  }
  EXPECT_EQ (a->send (ByteView (std::string_view (train)), 1000), Path::Sent::all);
  EXPECT_FALSE (a->abilities ().segmented);
  ASSERT_TRUE (spin_until ([&] { return arrived () == 10; })) << arrived ();
}

TEST_P (FastUdpTest, ADatagramTooLongForTheWayIsLostAndNothingElse) {
  refusals = {EMSGSIZE, EMSGSIZE};
  const std::string train = train_of (10, 1000);
  EXPECT_EQ (a->send (ByteView (std::string_view (train)), 1000), Path::Sent::too_long);
  refusals.clear ();
  EXPECT_EQ (a->abilities ().segmented, GetParam ().abilities.segmented);
  EXPECT_EQ (a->send (ByteView (std::string_view (train)), 1000), Path::Sent::all);
  ASSERT_TRUE (spin_until ([&] { return arrived () == 10; }));
}

TEST_P (FastUdpTest, MayBeEndedFromInsideOfItsOwnCallback) {
  struct Ender final : FastUdp::Receiver {
    void fast_received (ByteView) override { lane.reset (); }
    void fast_batch_done () override { ADD_FAILURE () << "called after its end"; }
    void fast_writable () override {}
    std::unique_ptr<FastUdp> lane;
  } ender;
  b.reset ();
  ender.lane = FastUdp::open (nice_b.get (), address_of (nice_a.get ()), GetParam ().abilities,
                              context.get (), ender);
  const std::string train = train_of (10, 1000);
  ASSERT_EQ (a->send (ByteView (std::string_view (train)), 1000), Path::Sent::all);
  // Without steering nothing arrives at the lane, but in libnice's socket.
  EXPECT_TRUE (spin_until (
      [&] { return GetParam ().abilities.steered ? !ender.lane : with_nice.size () == 10; }));
}

TEST_P (FastUdpTest, AFullQueueBelowTheSocketIsTriedAgainEverMoreRarely) {
  const std::string datagram (100, '\x90');
  // The socket says all the time that it is writable: whoever believes it never sleeps.
  int turns = 0;
  for (int tries = 1; tries <= 4; ++tries) {
    refusals = {ENOBUFS};
    EXPECT_EQ (a->send (ByteView (std::string_view (datagram)), 100), Path::Sent::would_block);
    while (at_a.writable < tries) turns += g_main_context_iteration (context.get (), TRUE);
  }
  EXPECT_EQ (turns, 4);
  refusals.clear ();
  EXPECT_EQ (a->send (ByteView (std::string_view (datagram)), 100), Path::Sent::all);
}

TEST (FastUdpWishTest, TheEnvironmentOverridesWhatIsConfigured) {
  g_unsetenv ("P2P_FAST_UDP");
  EXPECT_FALSE (fast_udp_wish ({}));
  EXPECT_TRUE (fast_udp_wish (FastUdpAbilities ()));
  g_setenv ("P2P_FAST_UDP", "no-segmentation,no-coalescing", TRUE);
  const FastUdpWish some = fast_udp_wish ({});
  ASSERT_TRUE (some);
  EXPECT_TRUE (some->steered);
  EXPECT_FALSE (some->segmented);
  EXPECT_FALSE (some->coalesced);
  g_setenv ("P2P_FAST_UDP", "off", TRUE);
  EXPECT_FALSE (fast_udp_wish (FastUdpAbilities ()));
  g_unsetenv ("P2P_FAST_UDP");
}
