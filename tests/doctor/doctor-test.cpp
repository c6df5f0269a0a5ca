// `p2pcat doctor` with coturn, which knows RFC 5780, with a rendezvous server, and with servers
// that say nothing.
#include <gtest/gtest.h>
#include <json-glib/json-glib.h>
#include <sys/wait.h>

#include <memory>

#include "coturn.hpp"
#include "process.hpp"

namespace p2p::test {
namespace {

// One run, and its report.
class Examination {
 public:
  explicit Examination (std::vector<std::string> options, bool as_json = true) {
    std::vector<std::string> words = {P2PCAT, "doctor"};
    if (as_json) words.emplace_back ("--json");
    words.insert (words.end (), options.begin (), options.end ());
    std::vector<char *> argv;
    for (std::string &word : words) argv.push_back (word.data ());
    argv.push_back (nullptr);
    char *out = nullptr, *err = nullptr;
    int status = 0;
    const gint64 begun_us = g_get_monotonic_time ();
    EXPECT_TRUE (g_spawn_sync (nullptr, argv.data (), nullptr, G_SPAWN_DEFAULT, nullptr, nullptr,
                               &out, &err, &status, nullptr));
    took_s = static_cast<double> (g_get_monotonic_time () - begun_us) / G_USEC_PER_SEC;
    const UniqueChars owned_out (out), owned_err (err);
    text = out ? out : "";
    errors = err ? err : "";
    exit_code = WIFEXITED (status) ? WEXITSTATUS (status) : -1;
    if (as_json) json_parser_load_from_data (parser_.get (), text.c_str (), -1, nullptr);
  }

  // What a JSONPath finds, as a JSON array.
  std::string find (const char *path) const {
    JsonNode *root = json_parser_get_root (parser_.get ());
    if (!root) return "no JSON: " + text + errors;
    JsonNode *matches = json_path_query (path, root, nullptr);
    const UniqueChars found (json_to_string (matches, FALSE));
    json_node_unref (matches);
    return found.get ();
  }
  gint64 number (const char *path) const {
    const std::string found = find (path);
    return g_ascii_strtoll (found.c_str () + 1, nullptr, 10);
  }

  std::string text, errors;
  int exit_code = -1;
  double took_s = 0;

 private:
  const Ref<JsonParser> parser_ = Ref<JsonParser>::adopt (json_parser_new ());
};

std::string
at (std::uint16_t port) {
  return "127.0.0.1:" + std::to_string (port);
}

// Takes datagrams and connections, and answers nothing.
class SilentServer {
 public:
  SilentServer () {
    const auto any =
        Ref<GSocketAddress>::adopt (g_inet_socket_address_new_from_string ("127.0.0.1", 0));
    tcp_ = Ref<GSocket>::adopt (
        g_socket_new (G_SOCKET_FAMILY_IPV4, G_SOCKET_TYPE_STREAM, G_SOCKET_PROTOCOL_TCP, nullptr));
    udp_ = Ref<GSocket>::adopt (g_socket_new (G_SOCKET_FAMILY_IPV4, G_SOCKET_TYPE_DATAGRAM,
                                              G_SOCKET_PROTOCOL_UDP, nullptr));
    EXPECT_TRUE (g_socket_bind (tcp_.get (), any.get (), FALSE, nullptr));
    EXPECT_TRUE (g_socket_listen (tcp_.get (), nullptr));
    EXPECT_TRUE (g_socket_bind (udp_.get (), any.get (), FALSE, nullptr));
  }
  static std::string where (const Ref<GSocket> &socket) {
    const auto local =
        Ref<GSocketAddress>::adopt (g_socket_get_local_address (socket.get (), nullptr));
    return at (g_inet_socket_address_get_port (G_INET_SOCKET_ADDRESS (local.get ())));
  }
  std::string tcp () const { return where (tcp_); }
  std::string udp () const { return where (udp_); }

 private:
  Ref<GSocket> tcp_, udp_;
};

class DoctorWithServers : public testing::Test {
 protected:
  void SetUp () override {
    if (!Coturn::installed ()) GTEST_SKIP () << "turnserver (package coturn) is not installed";
    ASSERT_TRUE (coturn_.start ()) << coturn_.log ();
    const std::string line = rendezvous_.expect ("listening on ws://");
    rendezvous_uri_ = line.substr (line.find ("ws://"));
    rendezvous_uri_ = rendezvous_uri_.substr (0, rendezvous_uri_.find (' '));
  }
  std::string turn (const std::string &transport, const std::string &password = "a%3Ab%40c") const {
    return "--turn-server=turn://user:" + password + "@" + at (coturn_.port ()) +
           "?transport=" + transport;
  }
  std::string stun () const { return "--stun-server=stun://" + at (coturn_.port ()); }

  // Two addresses, with which coturn offers the tests of RFC 5780.
  Coturn coturn_{{"127.0.0.1", "127.0.0.2"}};
  Process rendezvous_{{RENDEZVOUS, "--listen", "127.0.0.1:0"}};
  std::string rendezvous_uri_;
};

TEST_F (DoctorWithServers, TellsWhatEachDoesAndThatThereIsNoNat) {
  const Examination run ({"--rendezvous", rendezvous_uri_, stun (), turn ("udp"), turn ("tcp")});
  EXPECT_EQ (run.exit_code, 0) << run.text << run.errors;
  EXPECT_EQ (run.find ("$.servers[*].kind"), "[\"rendezvous\",\"stun\",\"turn\",\"turn\"]");
  EXPECT_EQ (run.find ("$.servers[*].questions[*].answers"),
             "[true,true,true,true,true,true,true,true,true]")
      << run.text;
  EXPECT_EQ (run.find ("$.nats[*].name"), "[\"no NAT\"]");
  EXPECT_EQ (run.find ("$.nats[*].filtering"), "[\"endpoint-independent\"]");
  EXPECT_EQ (run.find ("$.reach"), "[\"direct\"]");
  for (const char *relay : {"$.servers[2]", "$.servers[3]"}) {
    const std::string path = relay;
    EXPECT_GE (run.number ((path + ".relay.largest-datagram-bytes").c_str ()), 1200) << run.text;
    EXPECT_GT (run.number ((path + ".relay.burst.received-bytes").c_str ()), 0) << run.text;
    EXPECT_LE (run.number ((path + ".relay.burst.received-bytes").c_str ()), 17 << 20);
    EXPECT_GT (run.number ((path + ".route-mtu-bytes").c_str ()), 1500);  // of loopback
  }
  // The same clock, read in whole seconds.
  EXPECT_LE (run.number ("$.clock.ahead-at-least-us"), 0);
  EXPECT_GE (run.number ("$.clock.ahead-at-most-us"), 0);
}

TEST_F (DoctorWithServers, SendsNoBurstWhereNoneIsWanted) {
  const Examination run ({"--no-burst", turn ("udp")});
  EXPECT_EQ (run.exit_code, 0) << run.text << run.errors;
  EXPECT_GE (run.number ("$.servers[0].relay.largest-datagram-bytes"), 1200) << run.text;
  EXPECT_EQ (run.text.find ("burst"), std::string::npos);
}

TEST_F (DoctorWithServers, NamesWhatFailsAndShowsNoPassword) {
  const Examination run (
      {turn ("udp", "no-such-password"), "--rendezvous", "ws://" + at (coturn_.port ())}, false);
  EXPECT_EQ (run.exit_code, 1);
  EXPECT_NE (run.text.find ("FAILED: turn://user@" + at (coturn_.port ())), std::string::npos)
      << run.text;
  EXPECT_NE (run.text.find ("401"), std::string::npos) << run.text;
  EXPECT_NE (run.text.find ("FAILED: ws://"), std::string::npos) << run.text;
  EXPECT_EQ (run.text.find ("no-such-password"), std::string::npos);
}

TEST (Doctor, EndsInTimeWhereNothingAnswers) {
  const SilentServer silent;
  const Examination run ({"--rendezvous", "ws://" + silent.tcp (), "--stun-server",
                          "stun://" + silent.udp (), "--turn-server", "turn://u:p@" + silent.udp (),
                          "--turn-server", "turn://u:p@" + silent.tcp () + "?transport=tcp"});
  EXPECT_EQ (run.exit_code, 1);
  EXPECT_LT (run.took_s, 15);  // ten, on a machine that has other work
  EXPECT_EQ (run.find ("$.reach"), "[\"none\"]") << run.text;
  EXPECT_EQ (run.find ("$.clock"), "[null]");
  EXPECT_EQ (run.find ("$.nats[*]"), "[]");
  // Each by its name, and that nobody can be reached.
  for (const std::string &what : {"ws://" + silent.tcp (), "stun://" + silent.udp (),
                                  "turn://u@" + silent.udp (), "turn://u@" + silent.tcp ()})
    EXPECT_NE (run.find ("$.problems").find (what), std::string::npos) << what << run.text;
}

TEST (Doctor, TellsOfTheMachineAloneWhenNoServerIsNamed) {
  const Examination run ({});
  EXPECT_EQ (run.exit_code, 0) << run.text << run.errors;
  EXPECT_NE (run.find ("$.machine.addresses[*].address").find ("127.0.0.1"), std::string::npos);
  EXPECT_EQ (run.find ("$.reach"), "[\"unknown\"]");
  EXPECT_EQ (run.find ("$.servers"), "[[]]");
}

TEST (Doctor, RefusesACommandLineThatMeansNothing) {
  for (const char *option :
       {"bob", "--no-such-option", "--rendezvous=ftp://x", "--stun-server=x:y:z", "--turn-server=x",
        "--turn-server=turn:127.0.0.1"}) {
    const Examination run ({option}, false);
    EXPECT_EQ (run.exit_code, 2) << option;
    EXPECT_EQ (run.errors.rfind ("p2pcat doctor: ", 0), 0u) << option << run.errors;
  }
}

}  // namespace
}  // namespace p2p::test
