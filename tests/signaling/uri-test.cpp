// Signaling URIs: what is taken, and that an error names the part that is wrong.
#include <gtest/gtest.h>

#include "signaling/factory.hpp"

using namespace p2p;

TEST (SignalingUri, TakesTheFourForms) {
  EXPECT_EQ (parse_signaling_uri ("local")->socket_path, "");
  EXPECT_EQ (parse_signaling_uri ("local:/run/x.sock")->socket_path, "/run/x.sock");
  auto uri = parse_signaling_uri ("ws://example.org");
  ASSERT_TRUE (uri.ok ());
  EXPECT_EQ (uri->kind, SignalingUri::Kind::rendezvous);
  EXPECT_EQ (uri->text, "ws://example.org:7480/");
  EXPECT_FALSE (uri->tls);
  uri = parse_signaling_uri ("wss://[2001:db8::1]:443/meet?x=1");
  ASSERT_TRUE (uri.ok ());
  EXPECT_TRUE (uri->tls);
  EXPECT_EQ (uri->host, "2001:db8::1");
  EXPECT_EQ (uri->port, 443);
  EXPECT_EQ (uri->text, "wss://[2001:db8::1]:443/meet?x=1");
}

TEST (SignalingUri, SeveralServersStandWithCommas) {
  const auto uri = parse_signaling_uri ("ws://one:1,wss://[::2]:2/x,ws://three");
  ASSERT_TRUE (uri.ok ());
  EXPECT_EQ (uri.value ().text, "ws://one:1/");
  ASSERT_EQ (uri.value ().others.size (), 2u);
  EXPECT_EQ (uri.value ().others[0].text, "wss://[::2]:2/x");
  EXPECT_EQ (uri.value ().others[1].port, kRendezvousPort);
}

TEST (SignalingUri, ErrorsNameThePart) {
  const struct {
    const char *uri, *part;
  } cases[] = {
      {"", "scheme"},
      {"http://example.org", "scheme"},
      {"example.org:7480", "scheme"},
      {"local:relative.sock", "path"},
      {"local:", "path"},
      {"ws://", "host"},
      {"ws://:7480", "host"},
      {"ws://example.org:0", "port"},
      {"ws://example.org:99999", "port"},
      {"ws://example.org:http", "port"},
      {"ws://example.org/#x", "fragment"},
      {"ws://user:hunter2@example.org", "password"},
      {"ws://one,local", "scheme"},
      {"ws://one,", "scheme"},
      {",ws://one", "scheme"},
      {"ws://one,ws://:1", "host"},
      {"ws://1,ws://2,ws://3,ws://4,ws://5,ws://6,ws://7,ws://8,ws://9,ws://10,ws://11,ws://12,"
       "ws://13,ws://14,ws://15,ws://16,ws://17",
       "16 servers"},
  };
  for (const auto &one : cases) {
    const auto uri = parse_signaling_uri (one.uri);
    ASSERT_FALSE (uri.ok ()) << one.uri;
    EXPECT_EQ (uri.error ().code, P2P_ERROR_INVALID_ARGUMENT);
    EXPECT_NE (uri.error ().message.find (one.part), std::string::npos) << uri.error ().message;
    EXPECT_EQ (uri.error ().message.find ("hunter2"), std::string::npos);
  }
}

TEST (SignalingUri, RendezvousNeedsAKey) {
  EXPECT_EQ (make_signaling ("ws://localhost", nullptr).error ().code, P2P_ERROR_IDENTITY);
}

TEST (SignalingUri, UnreadableAuthoritiesAreAnErrorThatNamesTheFile) {
  const auto made =
      make_signaling ("wss://localhost", *make_ephemeral_signing_key (), {"/none.pem"});
  ASSERT_FALSE (made.ok ());
  EXPECT_NE (made.error ().message.find ("/none.pem"), std::string::npos);
}
