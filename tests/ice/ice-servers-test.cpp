// URIs of STUN and TURN servers: what is understood, what is refused, and that no password leaks.
#include "ice/ice_servers.hpp"

#include <gtest/gtest.h>

#include <tuple>

namespace p2p {
namespace {

TEST (StunUri, UnderstandsBothSpellings) {
  const std::tuple<const char *, const char *, int> table[] = {
      {"stun://example.org", "example.org", 3478},
      {"stun://example.org:19302", "example.org", 19302},
      {"stun:example.org:1", "example.org", 1},
      {"STUN:192.0.2.1:65535", "192.0.2.1", 65535},
      {"stun://[2001:db8::1]:3479", "2001:db8::1", 3479},
      {"stun:[::1]", "::1", 3478},
  };
  for (const auto &[uri, host, port] : table) {
    auto server = parse_stun_uri (uri);
    ASSERT_TRUE (server) << uri << ": " << server.error ().message;
    EXPECT_EQ (server->host, host) << uri;
    EXPECT_EQ (server->port, port) << uri;
  }
}

TEST (StunUri, RefusesEverythingElse) {
  for (const char *uri : {"",
                          "stun",
                          "stun:",
                          "stun://",
                          "stuns://example.org",
                          "http://example.org",
                          "stun://:3478",
                          "stun://a:",
                          "stun://a:0",
                          "stun://a:65536",
                          "stun://a:-1",
                          "stun://a:+1",
                          "stun://a: 1",
                          "stun://a:1x",
                          "stun://[::1",
                          "stun://[::1]3478",
                          "stun://[::1]:",
                          "stun://[example]",
                          "stun://2001:db8::1",
                          "stun://a/b",
                          "stun://a?x",
                          "stun://u@a",
                          "stun://a b",
                          "stun:///",
                          "stun://[fe80::1%eth0]"}) {
    auto server = parse_stun_uri (uri);
    ASSERT_FALSE (server) << uri;
    EXPECT_EQ (server.error ().code, P2P_ERROR_INVALID_ARGUMENT) << uri;
    EXPECT_FALSE (server.error ().message.empty ()) << uri;
  }
  EXPECT_FALSE (parse_stun_uri ("stun:" + std::string (254, 'a')));
}

TEST (TurnUri, UnderstandsAsWebrtcbin) {
  using turn::Protocol;
  struct {
    const char *uri, *user, *password, *host;
    int port;
    Protocol protocol;
  } const table[] = {
      {"turn://u:p@h", "u", "p", "h", 3478, Protocol::udp},
      {"turn:u:p@h", "u", "p", "h", 3478, Protocol::udp},
      {"turn://u:p@h:1?transport=udp", "u", "p", "h", 1, Protocol::udp},
      {"turn://u:p@h:443?transport=tcp", "u", "p", "h", 443, Protocol::tcp},
      {"turn://u:p@h?transport=tcp", "u", "p", "h", 3478, Protocol::tcp},
      {"turns://u:p@h", "u", "p", "h", 5349, Protocol::tls},
      {"turns://u:p@h:443?transport=tcp", "u", "p", "h", 443, Protocol::tls},
      {"turns://u:p@h?transport=udp", "u", "p", "h", 5349, Protocol::dtls},
      {"turns://u:p@h:443?transport=udp", "u", "p", "h", 443, Protocol::dtls},
      {"TURN://u%3Ax:p%40%25%2f@[::1]:5", "u:x", "p@%/", "::1", 5, Protocol::udp},
      {"turn://1700000000%3Aann:a:b@c@h", "1700000000:ann", "a:b@c", "h", 3478, Protocol::udp},
  };
  for (const auto &row : table) {
    auto server = parse_turn_uri (row.uri);
    ASSERT_TRUE (server) << row.uri << ": " << server.error ().message;
    EXPECT_EQ (server->credentials.user, row.user) << row.uri;
    EXPECT_EQ (server->credentials.password, row.password) << row.uri;
    EXPECT_EQ (server->host, row.host) << row.uri;
    EXPECT_EQ (server->port, row.port) << row.uri;
    EXPECT_EQ (server->protocol, row.protocol) << row.uri;
  }
}

TEST (TurnUri, RefusesEverythingElseWithoutShowingThePassword) {
  for (const char *uri : {"",
                          "turn:",
                          "turn://",
                          "turn:h",
                          "turn://h",
                          "turn://SECRET",
                          "turn://u@h",
                          "turn://u:SECRET",
                          "turn://:SECRET@h",
                          "turn://u:@h",
                          "turn://u:SECRET@",
                          "turn://u:SECRET@:1",
                          "turn://u:SECRET@h:",
                          "turn://u:SECRET@h:0",
                          "turn://u:SECRET@h:99999",
                          "turn://u:SECRET%@h",
                          "turn://u:SECRET%2@h",
                          "turn://u:SECRET%zz@h",
                          "turn://u:SECRET%00@h",
                          "turn://u%0a:SECRET@h",
                          "turn://u:SECRET\n@h",
                          "turn://u:SECRET@h?x=y",
                          "turn://u:SECRET@h?transport=sctp",
                          "turn://u:SECRET@h?transport=udp&x=y",
                          "turn://u:SECRET@h/x",
                          "turn://u:SECRET@[::1",
                          "turn://u:SECRET@2001:db8::1",
                          "https://u:SECRET@h"}) {
    auto server = parse_turn_uri (uri);
    ASSERT_FALSE (server) << uri;
    EXPECT_EQ (server.error ().code, P2P_ERROR_INVALID_ARGUMENT) << uri;
    EXPECT_EQ (server.error ().message.find ("SECRET"), std::string::npos) << uri;
    EXPECT_EQ (redact_turn_uri (uri).find ("SECRET"), std::string::npos) << uri;
  }
  EXPECT_FALSE (parse_turn_uri ("turn://u:" + std::string (509, 'p') + "@h"));
}

TEST (TurnUri, RedactedKeepsAllButThePassword) {
  EXPECT_EQ (redact_turn_uri ("turn://u%40x:a@b:c@h:1?transport=tcp"),
             "turn://u%40x@h:1?transport=tcp");
}

}  // namespace
}  // namespace p2p
