#include "p2p-uri.hpp"

#include <gtest/gtest.h>

namespace p2p {
namespace {

TEST (P2pUri, NamesTheServerThePeerAndTheChannel) {
  const auto uri = parse_uri ("p2p://meet.example/bob/video?id=alice");
  ASSERT_TRUE (uri.ok ()) << uri.error ().message;
  EXPECT_EQ (uri.value ().rendezvous, "ws://meet.example:7480");
  EXPECT_EQ (uri.value ().peer, "bob");
  EXPECT_EQ (uri.value ().channel, "video");
  EXPECT_EQ (uri.value ().settings.at ("id"), "alice");
}

TEST (P2pUri, WithoutHostMeetsOnThisMachine) {
  const auto uri = parse_uri ("p2p:///bob");
  ASSERT_TRUE (uri.ok ()) << uri.error ().message;
  EXPECT_EQ (uri.value ().rendezvous, "local");
  EXPECT_EQ (uri.value ().peer, "bob");
  EXPECT_EQ (uri.value ().channel, "default");
}

TEST (P2pUri, TakesPortsTlsAndAddresses) {
  EXPECT_EQ (parse_uri ("p2p://192.0.2.1:9/bob").value ().rendezvous, "ws://192.0.2.1:9");
  EXPECT_EQ (parse_uri ("p2ps://meet.example:443/bob").value ().rendezvous,
             "wss://meet.example:443");
  EXPECT_EQ (parse_uri ("p2p://[2001:db8::1]/bob").value ().rendezvous, "ws://[2001:db8::1]:7480");
}

TEST (P2pUri, RoundTripsItsCanonicalForm) {
  for (const char *text :
       {"p2p:///bob", "p2p:///?id=bob", "p2p:///bob/video", "p2p:///?channel=video&id=bob",
        "p2p://meet.example/bob?id=alice", "p2p://meet.example:9/bob", "p2ps://meet.example/bob",
        "p2p://[2001:db8::1]:9/bob", "p2p:///a%2Fb/c%20d?id=%C3%A9",
        "p2p:///bob?max-packet-lifetime=50&ordered=false&reliable=false",
        "p2p:///bob?rendezvous=wss%3A%2F%2Fmeet.example%2Fpath"}) {
    const auto uri = parse_uri (text);
    ASSERT_TRUE (uri.ok ()) << text << ": " << uri.error ().message;
    EXPECT_EQ (format_uri (uri.value ()), text);
  }
}

TEST (P2pUri, ReadsBackWhateverItFormats) {
  P2pUri uri;
  uri.rendezvous = "ws://meet.example";  // port 80, which is not the default of the scheme p2p
  uri.peer = "a peer/with?odd#letters";
  uri.channel = "\xc3\xa9";
  uri.settings["id"] = "&=%";
  const auto again = parse_uri (format_uri (uri).c_str ());
  ASSERT_TRUE (again.ok ()) << again.error ().message;
  EXPECT_EQ (again.value ().rendezvous, "ws://meet.example:80");
  EXPECT_EQ (again.value ().peer, uri.peer);
  EXPECT_EQ (again.value ().channel, uri.channel);
  EXPECT_EQ (again.value ().settings, uri.settings);
}

struct Bad {
  const char *uri, *named;
};

class P2pUriRefuses : public testing::TestWithParam<Bad> {};

TEST_P (P2pUriRefuses, AndNamesThePart) {
  const auto uri = parse_uri (GetParam ().uri);
  ASSERT_FALSE (uri.ok ()) << GetParam ().uri;
  EXPECT_EQ (uri.error ().code, P2P_ERROR_INVALID_ARGUMENT);
  EXPECT_NE (uri.error ().message.find (GetParam ().named), std::string::npos)
      << uri.error ().message;
}

INSTANTIATE_TEST_SUITE_P (
    Parts, P2pUriRefuses,
    testing::Values (Bad{nullptr, "not a URI"}, Bad{"", "not a URI"}, Bad{"bob", "not a URI"},
                     Bad{"http://h/bob", "scheme"}, Bad{"p2p:bob", "'//'"},
                     Bad{"p2ps:///bob", "host"}, Bad{"p2p://h:99999/bob", "not a URI"},
                     Bad{"p2p://user:pass@h/bob", "user"}, Bad{"p2p://h/bob#x", "fragment"},
                     Bad{"p2p://h/a/b/c", "path"}, Bad{"p2p:////video", "channel"},
                     Bad{"p2p:///%ff", "peer"}, Bad{"p2p:///bob/%ff", "channel"},
                     Bad{"p2p:///bob?id=a&id=b", "'id'"}, Bad{"p2p:///bob?color=red", "'color'"},
                     Bad{"p2p:///bob?secret=x", "'secret'"},
                     Bad{"p2p:///bob?turn-server=turn://u:p@h", "'turn-server'"},
                     Bad{"p2p:///bob?id", "query"}, Bad{"p2p:///bob?id=%zz", "URI"},
                     Bad{"p2p://h/bob?rendezvous=local", "twice"},
                     Bad{"p2p:///bob/a?channel=b", "two channels"}));

TEST (P2pUri, DoesNotRepeatASecretInItsError) {
  const auto uri = parse_uri ("p2p:///bob?secret=hunter2");
  EXPECT_EQ (uri.error ().message.find ("hunter2"), std::string::npos);
}

}  // namespace
}  // namespace p2p
