// What follows from findings, and how it is told.
#include <gtest/gtest.h>
#include <json-glib/json-glib.h>

#include "base/ptr.hpp"
#include "doctor/binding.hpp"
#include "doctor/health_check.hpp"
#include "doctor/report.hpp"

namespace p2p::doctor {
namespace {

using Kind = ServerFound::Kind;

Address
at (const std::string &ip, std::uint16_t port) {
  return *Address::parse (ip, port);
}

Attempt
answered (const char *protocol, const char *transport, TimeUs took_us, bool extra = false) {
  return {protocol, transport, extra, took_us, ""};
}

Attempt
unanswered (const char *protocol, const char *transport, bool extra = false) {
  return {protocol, transport, extra, {}, "No answer came."};
}

ServerFound
stun (const Attempt &attempt) {
  return {Kind::stun, "stun://stun.example:3478", {attempt}, {}, {}};
}

ServerFound
turn (const Attempt &attempt, bool relays) {
  ServerFound out = {Kind::turn, "turn://u@turn.example:3478?transport=udp", {attempt}, {}, {}};
  if (relays) out.relay = RelayFound{{at ("203.0.113.10", 50000)}, {}, {}, ""};
  return out;
}

NatFound
nat (Mapping mapping, Filtering filtering = Filtering::unknown) {
  return {turn::Family::ipv4,
          {true, mapping, filtering},
          at ("10.1.0.2", 40000),
          at ("203.0.113.1", 50001)};
}

MachineFound
machine () {
  MachineFound out;
  out.network.addresses = {{1, "lo", "127.0.0.1", false, true, false},
                           {2, "eth0", "10.1.0.2", false, false, false},
                           {2, "eth0", "2001:db8::2", true, false, false}};
  out.network.default_routes = {{false, 2, "10.1.0.1", 0}};
  out.udp_segmentation = true;
  return out;
}

struct Case {
  const char *name;
  std::vector<ServerFound> servers;
  std::vector<NatFound> nats;
  Udp udp;
  Reach reach;
  std::size_t problems;
};

TEST (DoctorVerdict, FollowsFromServersAndNat) {
  const Attempt udp = answered ("stun", "udp", 1000), no_udp = unanswered ("stun", "udp"),
                relay_tcp = answered ("turn", "tcp", 1000),
                relay_dtls = answered ("turn", "dtls", 1000),
                relay_udp = answered ("turn", "udp", 1000), http = answered ("http", "tcp", 1000);
  const ServerFound rendezvous = {Kind::rendezvous, "ws://host", {http}, {}, {}};
  ServerFound rendezvous_with_stun = rendezvous, rendezvous_without_stun = rendezvous;
  rendezvous_with_stun.attempts.push_back (answered ("stun", "udp", 1000, true));
  rendezvous_without_stun.attempts.push_back (unanswered ("stun", "udp", true));
  const Mapping cone = Mapping::endpoint_independent,
                symmetric = Mapping::address_and_port_dependent;
  const Case cases[] = {
      {"nothing asked", {}, {}, Udp::unknown, Reach::unknown, 0},
      {"cone", {stun (udp)}, {nat (cone)}, Udp::works, Reach::direct, 0},
      {"one server", {stun (udp)}, {nat (Mapping::unknown)}, Udp::works, Reach::direct, 0},
      {"symmetric", {stun (udp)}, {nat (symmetric)}, Udp::works, Reach::some, 1},
      {"symmetric with a relay",
       {stun (udp), turn (relay_udp, true)},
       {nat (symmetric)},
       Udp::works,
       Reach::relay,
       0},
      {"symmetric, no NAT over IPv6",
       {stun (udp)},
       {nat (symmetric), {turn::Family::ipv6, {false, cone, Filtering::unknown}, {}, {}}},
       Udp::works,
       Reach::direct,
       0},
      {"UDP blocked, relay over TCP",
       {stun (no_udp), turn (relay_tcp, true)},
       {},
       Udp::blocked,
       Reach::relay,
       1},
      {"UDP blocked, no relay", {stun (no_udp), rendezvous}, {}, Udp::blocked, Reach::none, 2},
      {"all silent", {stun (no_udp)}, {}, Udp::silent, Reach::none, 2},
      {"one of two relays fails",
       {turn (relay_udp, true), turn (unanswered ("turn", "udp"), false)},
       {nat (cone)},
       Udp::works,
       Reach::direct,
       1},
      {"a relay over TCP alone", {turn (relay_tcp, true)}, {}, Udp::unknown, Reach::relay, 0},
      {"a relay over DTLS alone", {turn (relay_dtls, true)}, {}, Udp::works, Reach::relay, 0},
      {"rendezvous with STUN", {rendezvous_with_stun}, {nat (cone)}, Udp::works, Reach::direct, 0},
      {"rendezvous without STUN", {rendezvous_without_stun}, {}, Udp::unknown, Reach::unknown, 1},
  };
  for (const Case &one : cases) {
    SCOPED_TRACE (one.name);
    Findings findings;
    findings.machine = machine ();
    findings.servers = one.servers;
    findings.nats = one.nats;
    const Verdict verdict = judge (findings);
    EXPECT_STREQ (udp_name (verdict.udp), udp_name (one.udp));
    EXPECT_STREQ (reach_name (verdict.reach), reach_name (one.reach));
    EXPECT_EQ (verdict.problems.size (), one.problems);
    EXPECT_EQ (verdict.exit_code (), one.problems ? 1 : 0);
  }
}

TEST (DoctorVerdict, AdvisesARelayWhereSymmetricPeersWouldFail) {
  Findings findings;
  findings.machine = machine ();
  findings.servers = {stun (answered ("stun", "udp", 1000))};
  for (const auto &[filtering, sentences] :
       {std::pair{Filtering::unknown, 1u}, std::pair{Filtering::address_and_port_dependent, 1u},
        std::pair{Filtering::address_dependent, 0u},
        std::pair{Filtering::endpoint_independent, 0u}}) {
    findings.nats = {nat (Mapping::endpoint_independent, filtering)};
    EXPECT_EQ (judge (findings).advice.size (), sentences) << filtering_name (filtering);
  }
}

TEST (DoctorVerdict, KnowsHowFarIpv6Leads) {
  Findings findings;
  EXPECT_STREQ (ipv6_state (findings), "has no address");
  findings.machine = machine ();
  EXPECT_STREQ (ipv6_state (findings), "has no route");
  findings.machine.network.default_routes.push_back ({true, 2, "fe80::1", 0});
  EXPECT_STREQ (ipv6_state (findings), "has a route");
  findings.nats.push_back ({turn::Family::ipv6, {}, {}, {}});
  EXPECT_STREQ (ipv6_state (findings), "works");
}

TEST (DoctorClock, LiesBetweenTheBoundsOfAWholeSecond) {
  // The server wrote second 100, half a second before our 100.5 and 100.7.
  const ClockFound same = compare_clocks (100, 100500000, 100700000);
  EXPECT_EQ (same.least_us, -500000);
  EXPECT_EQ (same.most_us, 700000);
  Findings findings;
  findings.clock = same;
  EXPECT_EQ (judge (findings).advice.size (), 2u);  // no address, no server
  findings.clock = compare_clocks (100, 160500000, 160700000);
  EXPECT_EQ (judge (findings).advice.size (), 3u);
  EXPECT_NE (report_table (findings, {}).find ("clock          59.5 s to 60.7 s ahead of "),
             std::string::npos);
  findings.clock = compare_clocks (200, 160500000, 160700000);
  EXPECT_EQ (judge (findings).advice.size (), 3u);
  EXPECT_NE (report_table (findings, {}).find ("clock          39.3 s to 40.5 s behind "),
             std::string::npos);
}

TEST (DoctorBinding, SendsTestsToTheServersOwnKindOfAddressOnly) {
  const Address server = at ("198.51.100.1", 3478);
  EXPECT_TRUE (usable_other_address (server, at ("198.51.100.2", 3479)));
  EXPECT_FALSE (usable_other_address (server, at ("198.51.100.1", 3479)));
  EXPECT_FALSE (usable_other_address (server, at ("198.51.100.2", 3478)));
  EXPECT_FALSE (usable_other_address (server, at ("198.51.100.2", 0)));
  EXPECT_FALSE (usable_other_address (server, at ("10.0.0.2", 3479)));
  EXPECT_FALSE (usable_other_address (server, at ("127.0.0.1", 3479)));
  EXPECT_FALSE (usable_other_address (server, at ("2001:db8::1", 3479)));
}

Findings
example () {
  Findings out;
  out.machine = machine ();
  ServerFound relay = turn (answered ("turn", "udp", 12300), true);
  relay.attempts.push_back (answered ("stun", "tcp", 13000, true));
  relay.attempts.push_back (unanswered ("stun", "udp", true));
  relay.relay->largest_datagram_bytes = 1424;
  relay.relay->burst = BurstResult{10000000, 1000, 10, 800000};
  relay.route_mtu_bytes = 1500;
  out.servers = {relay, stun (unanswered ("stun", "udp"))};
  out.nats = {nat (Mapping::endpoint_independent, Filtering::address_dependent)};
  out.clock = ClockFound{"host:7480", -300000, 700000};
  return out;
}

TEST (DoctorReport, IsATableForPeople) {
  const Findings findings = example ();
  EXPECT_EQ (report_table (findings, judge (findings)),
             "This machine\n"
             "  addresses      eth0  10.1.0.2\n"
             "                 eth0  2001:db8::2\n"
             "  IPv6           has no route\n"
             "  UDP in trains  sends, does not receive\n"
             "\n"
             "Servers\n"
             "  turn://u@turn.example:3478?transport=udp\n"
             "    turn/udp     answers in 12.3 ms\n"
             "    stun/tcp     answers in 13.0 ms\n"
             "    relay        from 203.0.113.10:50000, datagrams up to 1424 bytes, 100.0 Mbit/s "
             "(1.0 % lost)\n"
             "    path MTU     1500 bytes, as far as the route knows\n"
             "  stun://stun.example:3478\n"
             "    stun/udp     FAILED\n"
             "\n"
             "Network\n"
             "  UDP            works\n"
             "  IPv4           address-restricted cone NAT\n"
             "    seen as      203.0.113.1:50001, sent from 10.1.0.2:40000\n"
             "    mapping      endpoint-independent\n"
             "    filtering    address-dependent\n"
             "  clock          as that of host:7480, to within 0.7 s\n"
             "\n"
             "Verdict\n"
             "  Peers can be reached directly.\n"
             "  FAILED: stun://stun.example:3478, stun over udp: No answer came.\n");
}

TEST (DoctorReport, IsJsonForPrograms) {
  const Findings findings = example ();
  const std::string text = report_json (findings, judge (findings));
  const auto parser = Ref<JsonParser>::adopt (json_parser_new ());
  ASSERT_TRUE (json_parser_load_from_data (parser.get (), text.c_str (), -1, nullptr)) << text;
  const auto value = [&parser] (const char *path) {
    JsonNode *matches = json_path_query (path, json_parser_get_root (parser.get ()), nullptr);
    const UniqueChars found (json_to_string (matches, FALSE));
    json_node_unref (matches);
    return std::string (found.get ());
  };
  EXPECT_EQ (value ("$.reach"), "[\"direct\"]");
  EXPECT_EQ (value ("$.udp"), "[\"works\"]");
  EXPECT_EQ (value ("$.machine.addresses[1].address"), "[\"10.1.0.2\"]");
  EXPECT_EQ (value ("$.servers[0].kind"), "[\"turn\"]");
  EXPECT_EQ (value ("$.servers[0].questions[0].took-us"), "[12300]");
  EXPECT_EQ (value ("$.servers[0].relay.largest-datagram-bytes"), "[1424]");
  EXPECT_EQ (value ("$.servers[0].relay.burst.mbit-per-s"), "[100.0]");
  EXPECT_EQ (value ("$.servers[1].questions[0].took-us"), "[null]");
  EXPECT_EQ (value ("$.servers[1].questions[0].problem"), "[\"No answer came.\"]");
  EXPECT_EQ (value ("$.servers[1].route-mtu-bytes"), "[null]");
  EXPECT_EQ (value ("$.nats[0].mapping"), "[\"endpoint-independent\"]");
  EXPECT_EQ (value ("$.nats[0].filtering"), "[\"address-dependent\"]");
  EXPECT_EQ (value ("$.clock.ahead-at-most-us"), "[700000]");
  EXPECT_EQ (value ("$.problems[0]"),
             "[\"stun://stun.example:3478, stun over udp: No answer came.\"]");
}

TEST (DoctorReport, SaysUnknownWhereNothingTells) {
  Findings findings;
  EXPECT_NE (report_table (findings, judge (findings)).find ("clock          unknown"),
             std::string::npos);
  EXPECT_NE (report_json (findings, judge (findings)).find ("\"clock\" : null"), std::string::npos);
}

}  // namespace
}  // namespace p2p::doctor
