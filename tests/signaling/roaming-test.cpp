// A client whose machine gets another address, in a network namespace with the real server.
#include "network_namespace.hpp"
#include "process.hpp"

using namespace p2p;

namespace {

// The server is at 10.5.0.1; clients reach it from the address that the route names.
bool
route_from (const std::string &address) {
  return run ("ip addr add " + address +
              "/32 dev lo && ip route replace local 10.5.0.1 dev lo src " + address +
              " table local");
}

}  // namespace

TEST (Roaming, AClientIsBackWithinASecondOfItsNewAddress) {
  const std::string why_not = enter_empty_network ();
  if (!why_not.empty () || !run ("ip link set lo up && ip addr add 10.5.0.1/32 dev lo") ||
      !route_from ("10.5.0.2"))
    GTEST_SKIP () << "no network namespace can be made and filled here: " << why_not;
  Process server ({RENDEZVOUS, "--listen", "10.5.0.1:7480"});
  server.expect ("listening on ");
  Process alice ({SIGNALING_HELPER, "ws://10.5.0.1:7480", "alice"});
  Process bob ({SIGNALING_HELPER, "ws://10.5.0.1:7480", "bob"});
  alice.say ("ask bob");
  bob.say ("ask *");
  alice.expect ("+bob");
  bob.expect ("+alice");
  ASSERT_TRUE (route_from ("10.5.0.3"));
  // She may see his old connection first, and him go with it.
  alice.say ("greet bob again");
  const gint64 start = g_get_monotonic_time ();
  ASSERT_TRUE (run ("ip addr del 10.5.0.2/32 dev lo"));
  for (Process *client : {&alice, &bob}) {
    client->expect ("connecting This machine no longer has the address");
    client->expect ("registered");
  }
  bob.expect ("alice: again");
  EXPECT_LT (g_get_monotonic_time () - start, G_USEC_PER_SEC);
}
