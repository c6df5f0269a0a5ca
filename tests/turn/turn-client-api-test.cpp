// P2pTurnClient as applications use it, at a real server (coturn).
#include <gtest/gtest.h>
#include <p2p/p2p.h>

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "coturn.hpp"

namespace p2p::test {
namespace {

using turn::Protocol;

// Iterates the default main context until it holds.
bool
wait_until (const std::function<bool ()> &done, int limit_s = 20) {
  bool late = false;
  GSource *limit = g_timeout_source_new_seconds (static_cast<guint> (limit_s));
  g_source_set_callback (
      limit,
      [] (gpointer data) -> gboolean {
        *static_cast<bool *> (data) = true;
        return G_SOURCE_REMOVE;
      },
      &late, nullptr);
  g_source_attach (limit, nullptr);
  while (!done () && !late) g_main_context_iteration (nullptr, TRUE);
  g_source_destroy (limit);
  g_source_unref (limit);
  return done ();
}

std::string
uri_of (const turn::Server &server) {
  const UniqueChars password (
      g_uri_escape_string (server.credentials.password.c_str (), nullptr, FALSE));
  return std::string (turn::is_secure (server.protocol) ? "turns" : "turn") + "://" +
         server.credentials.user + ":" + password.get () + "@" + server.host + ":" +
         std::to_string (server.port) +
         "?transport=" + (turn::is_datagram (server.protocol) ? "udp" : "tcp");
}

struct Outcome {
  bool done = false, good = false;
  UniqueError error;
};

void
on_allocated (GObject *source, GAsyncResult *result, gpointer data) {
  auto &out = *static_cast<Outcome *> (data);
  GError *error = nullptr;
  out.good = p2p_turn_client_allocate_finish (P2P_TURN_CLIENT (source), result, &error);
  out.error.reset (error);
  out.done = true;
}

void
on_closed (GObject *source, GAsyncResult *result, gpointer data) {
  auto &out = *static_cast<Outcome *> (data);
  out.good = p2p_turn_client_close_finish (P2P_TURN_CLIENT (source), result, nullptr);
  out.done = true;
}

std::string
text_of (GBytes *bytes) {
  gsize size = 0;
  const auto *data = static_cast<const char *> (g_bytes_get_data (bytes, &size));
  return {data, size};
}

class TurnClientApi : public testing::Test {
 protected:
  void SetUp () override {
    if (!Coturn::installed ()) GTEST_SKIP () << "turnserver (package coturn) is not installed";
    coturn = std::make_unique<Coturn> ();
    ASSERT_TRUE (coturn->start ()) << coturn->log ();
  }
  Ref<P2pTurnClient> make (Protocol protocol = Protocol::udp) {
    auto client = Ref<P2pTurnClient>::adopt (p2p_turn_client_new ());
    EXPECT_TRUE (p2p_turn_client_add_turn_server (
        client.get (), uri_of (coturn->server (protocol)).c_str (), nullptr));
    return client;
  }
  static void allocate (P2pTurnClient *client, Outcome *out) {
    p2p_turn_client_allocate_async (client, nullptr, on_allocated, out);
    EXPECT_TRUE (wait_until ([&] { return out->done; }));
  }
  Ref<P2pTurnClient> allocated (Protocol protocol = Protocol::udp) {
    auto client = make (protocol);
    if (turn::is_secure (protocol))
      g_object_set (client.get (), "tls-database", coturn->database ().get (), nullptr);
    Outcome out;
    allocate (client.get (), &out);
    EXPECT_TRUE (out.good) << (out.error ? out.error->message : "");
    return client;
  }
  static Ref<GSocketAddress> relayed (P2pTurnClient *client) {
    return Ref<GSocketAddress>::adopt (
        p2p_turn_client_get_relayed_address (client, G_SOCKET_FAMILY_INVALID));
  }
  static bool send (P2pTurnClient *client, GSocketAddress *to, const std::string &text,
                    UniqueError *error = nullptr) {
    const auto bytes = Ref<GBytes>::adopt (g_bytes_new (text.data (), text.size ()));
    GError *raw = nullptr;
    const bool sent = p2p_turn_client_send (client, to, bytes.get (), &raw);
    const UniqueError owned (raw);
    if (error && raw) error->reset (g_error_copy (raw));
    return sent;
  }

  std::unique_ptr<Coturn> coturn;
};

void
on_received (P2pTurnClient *, GSocketAddress *, GBytes *datagram, gpointer data) {
  static_cast<std::vector<std::string> *> (data)->push_back (text_of (datagram));
}

TEST_F (TurnClientApi, SeveralSubscribersReadWhatIsSentToTheOwnAddress) {
  for (const Protocol protocol : {Protocol::udp, Protocol::tcp, Protocol::tls, Protocol::dtls}) {
    const auto client = allocated (protocol);
    ASSERT_TRUE (p2p_turn_client_is_allocated (client.get ()));
    std::vector<std::string> first, second;
    g_signal_connect (client.get (), "received", G_CALLBACK (on_received), &first);
    g_signal_connect (client.get (), "received", G_CALLBACK (on_received), &second);
    const auto own = relayed (client.get ());
    ASSERT_TRUE (p2p_turn_client_add_peer (client.get (), own.get (), nullptr));
    ASSERT_TRUE (send (client.get (), own.get (), "hello"));
    ASSERT_TRUE (wait_until ([&] { return !first.empty (); })) << coturn->log ();
    EXPECT_EQ (first, std::vector<std::string>{"hello"});
    EXPECT_EQ (first, second);
  }
}

TEST_F (TurnClientApi, PullsDatagramsOneByOne) {
  const auto client = allocated ();
  struct Pulled {
    std::vector<std::string> texts, peers;
    int errors = 0;
  } pulled;
  const GAsyncReadyCallback on_pulled = [] (GObject *source, GAsyncResult *result, gpointer data) {
    auto &out = *static_cast<Pulled *> (data);
    GSocketAddress *peer = nullptr;
    const auto bytes = Ref<GBytes>::adopt (
        p2p_turn_client_receive_finish (P2P_TURN_CLIENT (source), result, &peer, nullptr));
    if (!bytes) {
      ++out.errors;
      return;
    }
    const UniqueChars text (g_socket_connectable_to_string (G_SOCKET_CONNECTABLE (peer)));
    out.peers.emplace_back (text.get ());
    out.texts.push_back (text_of (bytes.get ()));
    g_object_unref (peer);
  };
  for (int i = 0; i < 3; ++i)
    p2p_turn_client_receive_async (client.get (), nullptr, on_pulled, &pulled);
  const auto own = relayed (client.get ());
  ASSERT_TRUE (p2p_turn_client_add_peer (client.get (), own.get (), nullptr));
  for (const char *text : {"one", "two"}) ASSERT_TRUE (send (client.get (), own.get (), text));
  ASSERT_TRUE (wait_until ([&] { return pulled.texts.size () == 2; })) << coturn->log ();
  const UniqueChars own_text (g_socket_connectable_to_string (G_SOCKET_CONNECTABLE (own.get ())));
  EXPECT_EQ (pulled.peers[0], own_text.get ());
  // The one that still waits ends with the client.
  Outcome closed;
  p2p_turn_client_close_async (client.get (), nullptr, on_closed, &closed);
  EXPECT_TRUE (wait_until ([&] { return closed.done && pulled.errors == 1; }));
}

TEST_F (TurnClientApi, ClosesByReleasingTheAllocation) {
  const auto client = allocated ();
  Outcome out;
  p2p_turn_client_close_async (client.get (), nullptr, on_closed, &out);
  ASSERT_TRUE (wait_until ([&] { return out.done; }));
  EXPECT_TRUE (out.good);
  EXPECT_TRUE (coturn->is_left_with_nothing ()) << coturn->log ();
  EXPECT_FALSE (p2p_turn_client_is_allocated (client.get ()));
  UniqueError error;
  const auto anybody =
      Ref<GSocketAddress>::adopt (g_inet_socket_address_new_from_string ("127.0.0.1", 1));
  EXPECT_FALSE (send (client.get (), anybody.get (), "late", &error));
  EXPECT_TRUE (g_error_matches (error.get (), P2P_ERROR, P2P_ERROR_CLOSED));
}

TEST_F (TurnClientApi, ReleasesTheAllocationWithTheLastReference) {
  { const auto client = allocated (); }
  EXPECT_TRUE (coturn->is_left_with_nothing ()) << coturn->log ();
}

TEST_F (TurnClientApi, RefusesDatagramsThatAreTooLongAndNamesTheSize) {
  const auto client = allocated ();
  const auto own = relayed (client.get ());
  ASSERT_TRUE (p2p_turn_client_add_peer (client.get (), own.get (), nullptr));
  const guint most = p2p_turn_client_get_max_datagram_size (client.get ());
  ASSERT_GE (most, 1200U);
  UniqueError error;
  EXPECT_FALSE (send (client.get (), own.get (), std::string (most + 1, 'x'), &error));
  EXPECT_TRUE (g_error_matches (error.get (), P2P_ERROR, P2P_ERROR_MESSAGE_TOO_LARGE));
  EXPECT_NE (std::string (error->message).find (std::to_string (most)), std::string::npos);
  EXPECT_TRUE (send (client.get (), own.get (), std::string (most, 'x')));
}

TEST_F (TurnClientApi, RefusesPeersByPolicyAndCountsThem) {
  const auto client = allocated ();
  for (const char *ip : {"169.254.169.254", "224.0.0.1", "0.0.0.0"}) {
    const auto peer = Ref<GSocketAddress>::adopt (g_inet_socket_address_new_from_string (ip, 80));
    GError *raw = nullptr;
    EXPECT_FALSE (p2p_turn_client_add_peer (client.get (), peer.get (), &raw));
    const UniqueError error (raw);
    EXPECT_TRUE (g_error_matches (error.get (), P2P_ERROR, P2P_ERROR_REFUSED)) << ip;
  }
  GVariant *stats = p2p_turn_client_get_stats (client.get ());
  guint64 refused = 0;
  EXPECT_TRUE (g_variant_lookup (stats, "refused-peers", "t", &refused));
  EXPECT_EQ (refused, 3U);
  const UniqueChars text (g_variant_print (stats, FALSE));
  EXPECT_EQ (std::string (text.get ()).find (Coturn::kPassword), std::string::npos);
  g_variant_unref (stats);
}

TEST_F (TurnClientApi, TellsOfABadNetworkAndThatItRecovered) {
  const auto client = allocated (Protocol::tcp);
  struct Told {
    int bad = 0, recovered = 0;
    P2pTurnReason reason = P2P_TURN_REASON_NONE;
  } told;
  const auto on_bad = +[] (P2pTurnClient *, P2pTurnReason reason, GError *error, Told *out) {
    EXPECT_NE (error->message[0], '\0');
    ++out->bad;
    out->reason = reason;
  };
  const auto on_recovered = +[] (P2pTurnClient *, Told *out) { ++out->recovered; };
  g_signal_connect (client.get (), "bad-network", G_CALLBACK (on_bad), &told);
  g_signal_connect (client.get (), "recovered", G_CALLBACK (on_recovered), &told);
  coturn->stop ();
  ASSERT_TRUE (wait_until ([&] { return told.bad == 1; }));
  EXPECT_EQ (told.reason, P2P_TURN_REASON_DISCONNECTED);
  ASSERT_TRUE (coturn->start ());
  EXPECT_TRUE (wait_until ([&] { return told.recovered == 1; }));
}

TEST_F (TurnClientApi, SaysThatThePasswordIsWrongUnlessAnotherIsGiven) {
  auto server = coturn->server (Protocol::udp);
  server.credentials.password = "wrong";
  for (const bool given : {false, true}) {
    const auto client = Ref<P2pTurnClient>::adopt (p2p_turn_client_new ());
    g_object_set (client.get (), "turn-server", uri_of (server).c_str (), nullptr);
    char *read_back = nullptr;
    g_object_get (client.get (), "turn-server", &read_back, nullptr);
    const UniqueChars owned (read_back);
    EXPECT_EQ (std::string (read_back).find ("wrong"), std::string::npos);
    const auto on_wanted = +[] (P2pTurnClient *self, const char *, gpointer) -> gboolean {
      p2p_turn_client_set_credentials (self, Coturn::kUser, Coturn::kPassword);
      return TRUE;
    };
    if (given)
      g_signal_connect (client.get (), "credentials-wanted", G_CALLBACK (on_wanted), nullptr);
    Outcome out;
    allocate (client.get (), &out);
    EXPECT_EQ (out.good, given);
    if (!given) {
      EXPECT_TRUE (g_error_matches (out.error.get (), P2P_ERROR, P2P_ERROR_NOT_AUTHORIZED))
          << out.error->message;
    }
  }
}

TEST_F (TurnClientApi, TheExampleReadsItsLineBack) {
  for (const Protocol protocol : {Protocol::udp, Protocol::tcp}) {
    const std::string uri = uri_of (coturn->server (protocol));
    const auto example = Ref<GSubprocess>::adopt (g_subprocess_new (
        G_SUBPROCESS_FLAGS_STDOUT_PIPE, nullptr, g_getenv ("TURN_ECHO"), uri.c_str (), nullptr));
    ASSERT_TRUE (example);
    char *out = nullptr;
    ASSERT_TRUE (
        g_subprocess_communicate_utf8 (example.get (), nullptr, nullptr, &out, nullptr, nullptr));
    const UniqueChars owned (out);
    EXPECT_STREQ (out, "hello, relay\n") << coturn->log ();
    EXPECT_TRUE (g_subprocess_get_successful (example.get ()));
  }
  EXPECT_TRUE (coturn->is_left_with_nothing ());
}

TEST (TurnClientUri, IsReadAsRfc7065AndWebrtcbinWriteIt) {
  const auto client = Ref<P2pTurnClient>::adopt (p2p_turn_client_new ());
  for (const char *good :
       {"turn:example.org", "turn:example.org:3478?transport=tcp", "turns:example.org",
        "turns:example.org?transport=udp", "turns://u:p@[2001:db8::1]:443?transport=tcp",
        "turn://us%40er:p%3aw@example.org"})
    EXPECT_TRUE (p2p_turn_client_add_turn_server (client.get (), good, nullptr)) << good;
  for (const char *bad : {"", "stun:example.org", "turn:", "turn://u@example.org",
                          "turn:example.org:0", "turn:example.org:65536", "turn:a?transport=sctp",
                          "turn://u:%zz@a", "turn://u:secret@a b"}) {
    GError *raw = nullptr;
    EXPECT_FALSE (p2p_turn_client_add_turn_server (client.get (), bad, &raw)) << bad;
    const UniqueError error (raw);
    ASSERT_TRUE (error);
    EXPECT_EQ (std::string (error->message).find ("secret"), std::string::npos);
  }
}

}  // namespace
}  // namespace p2p::test
