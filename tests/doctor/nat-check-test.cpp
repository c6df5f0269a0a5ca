// The tests of RFC 5780 with a STUN server that acts as if a NAT were before it.
#include <gtest/gtest.h>

#include <array>

#include "doctor/nat_check.hpp"

namespace p2p::doctor {
namespace {

constexpr char kFirstIp[] = "127.0.0.77", kOtherIp[] = "127.0.0.78";

// Four sockets, [address][port], on the thread's default main context.
class StunServer {
 public:
  struct Behaviour {
    Filtering filtering = Filtering::endpoint_independent;
    Mapping mapping = Mapping::endpoint_independent;
    bool translates = true;
    bool ignores_changes = false;
  };

  explicit StunServer (const Behaviour &behaviour) : behaviour_ (behaviour) {
    for (std::size_t port = 0; port < 2; ++port) {
      open (0, port, 0);
      open (1, port, ends_[0][port].address.port);
    }
  }
  Address address (std::size_t ip, std::size_t port) const { return ends_[ip][port].address; }

 private:
  struct End {
    Ref<GSocket> socket;
    Address address;
    std::unique_ptr<FdWatch> watch;
  };

  void open (std::size_t ip, std::size_t port, std::uint16_t number) {
    End &end = ends_[ip][port];
    const auto where = Ref<GSocketAddress>::adopt (
        g_inet_socket_address_new_from_string (ip ? kOtherIp : kFirstIp, number));
    end.socket = Ref<GSocket>::adopt (g_socket_new (G_SOCKET_FAMILY_IPV4, G_SOCKET_TYPE_DATAGRAM,
                                                    G_SOCKET_PROTOCOL_UDP, nullptr));
    ASSERT_TRUE (g_socket_bind (end.socket.get (), where.get (), FALSE, nullptr));
    const auto local =
        Ref<GSocketAddress>::adopt (g_socket_get_local_address (end.socket.get (), nullptr));
    end.address =
        *Address::parse (ip ? kOtherIp : kFirstIp,
                         g_inet_socket_address_get_port (G_INET_SOCKET_ADDRESS (local.get ())));
    end.watch = std::make_unique<FdWatch> (g_main_context_get_thread_default (),
                                           g_socket_get_fd (end.socket.get ()), G_IO_IN,
                                           [this, ip, port] (GIOCondition) { answer (ip, port); });
  }

  bool passes (bool other_ip, bool other_port) const {
    switch (behaviour_.filtering) {
      case Filtering::unknown:
      case Filtering::endpoint_independent:
        return true;
      case Filtering::address_dependent:
        return !other_ip;
      case Filtering::address_and_port_dependent:
        return !other_ip && !other_port;
    }
    return false;
  }

  std::uint16_t mapped_port (std::size_t ip, std::size_t port) const {
    switch (behaviour_.mapping) {
      case Mapping::unknown:
      case Mapping::dependent:
      case Mapping::endpoint_independent:
        return 1000;
      case Mapping::address_dependent:
        return static_cast<std::uint16_t> (1000 + ip);
      case Mapping::address_and_port_dependent:
        return static_cast<std::uint16_t> (1000 + 2 * ip + port);
    }
    return 0;
  }

  void answer (std::size_t ip, std::size_t port) {
    std::array<std::uint8_t, 1500> bytes;
    sockaddr_storage from{};
    socklen_t from_bytes = sizeof from;
    const ssize_t size =
        recvfrom (g_socket_get_fd (ends_[ip][port].socket.get ()), bytes.data (), bytes.size (),
                  MSG_DONTWAIT, reinterpret_cast<sockaddr *> (&from), &from_bytes);
    if (size < 0) return;
    const auto request =
        turn::Message::parse (ByteView (bytes.data (), static_cast<std::size_t> (size)));
    ASSERT_TRUE (request);
    const std::uint32_t change = request->find_u32 (0x0003).value_or (0);
    const bool other_ip = change & 4, other_port = change & 2;
    if (!passes (other_ip, other_port)) return;
    Address mapped = *Address::from_sockaddr (from);
    if (behaviour_.translates) mapped.port = mapped_port (ip, port);
    turn::MessageWriter writer (turn::MessageClass::success, turn::Method::binding, request->id ());
    writer.add_xor_address (turn::kXorMappedAddress, mapped);
    const Address other = address (1, 1);
    const std::uint8_t value[8] = {0,
                                   1,
                                   static_cast<std::uint8_t> (other.port >> 8),
                                   static_cast<std::uint8_t> (other.port),
                                   other.ip[0],
                                   other.ip[1],
                                   other.ip[2],
                                   other.ip[3]};
    writer.add (0x802c, ByteView (value, sizeof value));
    const auto reply = writer.take ();
    const bool moves = !behaviour_.ignores_changes;
    const End &end = ends_[moves && other_ip ? 1 - ip : ip][moves && other_port ? 1 - port : port];
    sendto (g_socket_get_fd (end.socket.get ()), reply.data (), reply.size (), 0,
            reinterpret_cast<sockaddr *> (&from), from_bytes);
  }

  const Behaviour behaviour_;
  std::array<std::array<End, 2>, 2> ends_;
};

class NatCheckTest : public testing::Test {
 protected:
  NatCheckTest () { g_main_context_push_thread_default (context_.get ()); }
  ~NatCheckTest () override { g_main_context_pop_thread_default (context_.get ()); }

  NatBehaviour run (const StunServer::Behaviour &behaviour, bool other_is_named = false) {
    const StunServer server (behaviour);
    LoopScheduler scheduler (context_.get ());
    std::set<Address> contacted = {server.address (0, 0)};
    if (other_is_named) contacted.insert (server.address (1, 0));
    std::optional<NatCheck::Outcome> outcome;
    int answers = 0;
    const NatCheck check (
        context_.get (), scheduler, turn::Family::ipv4, {server.address (0, 0)}, contacted,
        [&] (const Address &, TimeUs) { ++answers; },
        [&] (const NatCheck::Outcome &found) { outcome = found; });
    while (!outcome) g_main_context_iteration (context_.get (), TRUE);
    EXPECT_EQ (answers, 1);
    return classify (outcome->seen);
  }

  const Ref<GMainContext> context_ = Ref<GMainContext>::adopt (g_main_context_new ());
};

TEST_F (NatCheckTest, TellsEveryFiltering) {
  for (const Filtering filtering : {Filtering::endpoint_independent, Filtering::address_dependent,
                                    Filtering::address_and_port_dependent}) {
    const NatBehaviour found = run ({filtering, Mapping::endpoint_independent, true, false});
    EXPECT_STREQ (filtering_name (found.filtering), filtering_name (filtering));
    EXPECT_EQ (found.mapping, Mapping::endpoint_independent);
    EXPECT_EQ (found.translated, true);
  }
}

TEST_F (NatCheckTest, TellsEveryMapping) {
  for (const Mapping mapping : {Mapping::endpoint_independent, Mapping::address_dependent,
                                Mapping::address_and_port_dependent}) {
    const NatBehaviour found = run ({Filtering::endpoint_independent, mapping, true, false});
    EXPECT_STREQ (mapping_name (found.mapping), mapping_name (mapping));
  }
}

TEST_F (NatCheckTest, TellsThatThereIsNoNat) {
  const NatBehaviour found =
      run ({Filtering::endpoint_independent, Mapping::endpoint_independent, false, false});
  EXPECT_EQ (common_name (found), "no NAT");
}

TEST_F (NatCheckTest, BelievesNoServerThatDoesNotDoTheTests) {
  const NatBehaviour found =
      run ({Filtering::endpoint_independent, Mapping::endpoint_independent, true, true});
  EXPECT_EQ (found.filtering, Filtering::unknown);
}

TEST_F (NatCheckTest, KnowsThatAnAddressThatIsSentToAnywayProvesLess) {
  const NatBehaviour found =
      run ({Filtering::endpoint_independent, Mapping::endpoint_independent, true, false}, true);
  EXPECT_EQ (found.filtering, Filtering::unknown);
}

}  // namespace
}  // namespace p2p::doctor
