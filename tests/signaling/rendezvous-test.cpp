// The real p2p-rendezvous program with real clients: meeting, restarts, bad input, STUN and TLS.
#include <gio/gio.h>
#include <gnutls/x509.h>
#include <libsoup/soup.h>
#include <netinet/in.h>
#include <stun/usages/bind.h>
#include <sys/socket.h>

#include <cstring>
#include <fstream>
#include <memory>
#include <thread>

#include "base/ptr.hpp"
#include "process.hpp"
#include "signaling/frame.hpp"
#include "signaling/key_proof.hpp"

using namespace p2p;

namespace {

class Server {
 public:
  explicit Server (const std::vector<std::string> &options = {},
                   const std::string &listen = "127.0.0.1:0") {
    std::vector<std::string> command = {RENDEZVOUS, "--listen", listen};
    command.insert (command.end (), options.begin (), options.end ());
    process_ = std::make_unique<Process> (command);
    const std::string line = process_->expect ("listening on ");
    uri_ = line.substr (13, line.find (' ', 13) - 13);
  }
  const std::string &uri () const { return uri_; }
  std::string address () const { return uri_.substr (uri_.find ("//") + 2); }
  std::uint16_t port () const {
    return static_cast<std::uint16_t> (std::stoi (uri_.substr (uri_.rfind (':') + 1)));
  }
  int end (int signal) { return process_->end (signal); }

 private:
  std::unique_ptr<Process> process_;
  std::string uri_;
};

std::unique_ptr<Process>
helper (const std::string &uri, const std::string &id, const std::string &ca = {}) {
  std::vector<std::string> command = {SIGNALING_HELPER, uri, id};
  if (!ca.empty ()) command.push_back (ca);
  return std::make_unique<Process> (command);
}

// A bare WebSocket on the test's own main context.
class RawWebSocket {
 public:
  explicit RawWebSocket (const std::string &uri)
      : session_ (Ref<SoupSession>::adopt (soup_session_new ())) {
    const auto message = Ref<SoupMessage>::adopt (soup_message_new ("GET", uri.c_str ()));
    soup_session_websocket_connect_async (
        session_.get (), message.get (), nullptr, nullptr, G_PRIORITY_DEFAULT, nullptr,
        [] (GObject *session, GAsyncResult *result, gpointer data) {
          auto *self = static_cast<RawWebSocket *> (data);
          self->connection_ = Ref<SoupWebsocketConnection>::adopt (
              soup_session_websocket_connect_finish (SOUP_SESSION (session), result, nullptr));
          self->tried_ = true;
        },
        this);
    spin ([&] { return tried_; });
    if (!connection_) return;
    using MessageHandler = void (*) (SoupWebsocketConnection *, int, GBytes *, gpointer);
    const MessageHandler received = [] (SoupWebsocketConnection *, int, GBytes *bytes,
                                        gpointer data) {
      gsize size = 0;
      const void *text = g_bytes_get_data (bytes, &size);
      static_cast<RawWebSocket *> (data)->lines_.emplace_back (static_cast<const char *> (text),
                                                               size);
    };
    g_signal_connect (connection_.get (), "message", G_CALLBACK (received), this);
  }
  ~RawWebSocket () {
    if (connection_) g_signal_handlers_disconnect_by_data (connection_.get (), this);
  }

  bool open () const { return static_cast<bool> (connection_); }
  void say (const std::string &text) {
    soup_websocket_connection_send_text (connection_.get (), text.c_str ());
  }
  void say_binary (const std::string &bytes) {
    soup_websocket_connection_send_binary (connection_.get (), bytes.data (), bytes.size ());
  }
  std::string line () {
    if (!spin ([&] { return !lines_.empty (); })) return {};
    const std::string first = lines_.front ();
    lines_.erase (lines_.begin ());
    return first;
  }
  // The code of the close frame.
  int closed () {
    spin ([&] {
      return soup_websocket_connection_get_state (connection_.get ()) ==
             SOUP_WEBSOCKET_STATE_CLOSED;
    });
    return soup_websocket_connection_get_close_code (connection_.get ());
  }

 private:
  static bool spin (const std::function<bool ()> &done) {
    bool late = false;
    GSource *deadline = g_timeout_source_new (static_cast<guint> (kDeadlineUs / 1000));
    g_source_set_callback (
        deadline, [] (gpointer flag) -> gboolean { return !(*static_cast<bool *> (flag) = true); },
        &late, nullptr);
    g_source_attach (deadline, nullptr);
    while (!done () && !late) g_main_context_iteration (nullptr, TRUE);
    g_source_destroy (deadline);
    g_source_unref (deadline);
    return !late;
  }
  Ref<SoupSession> session_;
  Ref<SoupWebsocketConnection> connection_;
  bool tried_ = false;
  std::vector<std::string> lines_;
};

bool
has (const std::string &text, const std::string &part) {
  return text.find (part) != std::string::npos;
}

// A self-signed certificate for 127.0.0.1 with its key, in one PEM file.
void
write_certificate (const std::string &path, unsigned char last_byte = 1, int valid_s = 3600) {
  gnutls_x509_privkey_t key = nullptr;
  gnutls_x509_crt_t certificate = nullptr;
  gnutls_datum_t pem{};
  const unsigned char address[] = {127, 0, 0, last_byte}, serial[] = {1};
  gnutls_x509_privkey_init (&key);
  gnutls_x509_privkey_generate (key, GNUTLS_PK_ECDSA,
                                GNUTLS_CURVE_TO_BITS (GNUTLS_ECC_CURVE_SECP256R1), 0);
  gnutls_x509_crt_init (&certificate);
  gnutls_x509_crt_set_version (certificate, 3);
  gnutls_x509_crt_set_serial (certificate, serial, sizeof serial);
  gnutls_x509_crt_set_activation_time (certificate, time (nullptr) - 3600);
  gnutls_x509_crt_set_expiration_time (certificate, time (nullptr) + valid_s);
  gnutls_x509_crt_set_dn (certificate, "CN=test", nullptr);
  gnutls_x509_crt_set_subject_alt_name (certificate, GNUTLS_SAN_IPADDRESS, address, sizeof address,
                                        GNUTLS_FSAN_SET);
  gnutls_x509_crt_set_basic_constraints (certificate, 1, -1);
  gnutls_x509_crt_set_key (certificate, key);
  EXPECT_EQ (gnutls_x509_crt_sign2 (certificate, certificate, key, GNUTLS_DIG_SHA256, 0), 0);
  std::ofstream file (path);
  gnutls_x509_crt_export2 (certificate, GNUTLS_X509_FMT_PEM, &pem);
  file.write (reinterpret_cast<char *> (pem.data), pem.size);
  gnutls_free (pem.data);
  gnutls_x509_privkey_export2 (key, GNUTLS_X509_FMT_PEM, &pem);
  file.write (reinterpret_cast<char *> (pem.data), pem.size);
  gnutls_free (pem.data);
  gnutls_x509_crt_deinit (certificate);
  gnutls_x509_privkey_deinit (key);
}

}  // namespace

TEST (Rendezvous, TwoClientsExchangeMessages) {
  Server server;
  auto alice = helper (server.uri (), "alice"), bob = helper (server.uri (), "bob");
  alice->say ("ask bob");
  bob->say ("ask *");
  alice->expect ("+bob");
  bob->expect ("+alice");
  alice->say ("send bob hello there");
  EXPECT_EQ (bob->expect ("alice"), "alice: hello there");
  bob->say ("send alice hi");
  EXPECT_EQ (alice->expect ("bob"), "bob: hi");
  alice->say ("stun");
  EXPECT_EQ (alice->expect ("stun"), "stun " + server.address ());
  EXPECT_EQ (bob->end (0), 0);
  alice->expect ("-bob");
}

TEST (Rendezvous, TheLastWordsOfAProcessThatExitsArrive) {
  Server server;
  auto bob = helper (server.uri (), "bob");
  for (int i = 0; i < 20; ++i) {
    const std::string id = "alice" + std::to_string (i);  // each process has a key of its own
    auto alice = helper (server.uri (), id);
    bob->say ("ask " + id);
    alice->say ("ask bob");
    alice->expect ("+bob");
    bob->expect ("+" + id);
    alice->say ("leave bob farewell");
    EXPECT_EQ (alice->end (0), 0);
    EXPECT_EQ (bob->expect (id), id + ": farewell");
  }
}

TEST (Rendezvous, ClientsComeBackAfterARestart) {
  auto server = std::make_unique<Server> ();
  const std::string uri = server->uri ();
  auto alice = helper (uri, "alice"), bob = helper (uri, "bob");
  alice->say ("ask bob");
  bob->say ("ask alice");
  alice->expect ("+bob");
  server->end (SIGKILL);
  alice->expect ("-bob");
  alice->expect ("connecting Lost the rendezvous server");
  server = std::make_unique<Server> (std::vector<std::string>{}, server->address ());
  alice->expect ("registered");
  alice->expect ("+bob");
  bob->expect ("connecting");
  bob->expect ("+alice");
  alice->say ("send bob again");
  EXPECT_EQ (bob->expect ("alice"), "alice: again");
}

// A second until the next attempt, half of one for the first, and what the attempt itself takes.
TEST (Rendezvous, AServerThatIsStartedAnewHasItsClientsBackSoon) {
  auto server = std::make_unique<Server> ();
  const std::string uri = server->uri ();
  std::vector<std::unique_ptr<Process>> clients;
  for (int i = 0; i < 8; ++i) clients.push_back (helper (uri, "client" + std::to_string (i)));
  for (auto &client : clients) client->expect ("registered");
  server->end (SIGKILL);
  for (auto &client : clients) client->expect ("connecting Lost the rendezvous server");
  // Down until somebody has tried in vain.
  clients[0]->expect ("connecting No connection");
  server = std::make_unique<Server> (std::vector<std::string>{}, server->address ());
  const gint64 back = g_get_monotonic_time ();
  for (auto &client : clients) client->expect ("registered");
  EXPECT_LT (g_get_monotonic_time () - back, 3 * G_USEC_PER_SEC / 2);
}

// The older connection is as good as dead: the test does not iterate it meanwhile.
TEST (Rendezvous, TheSameKeyTakesOverFromItsDeadConnectionAtOnce) {
  Server server;
  const auto key = *make_ephemeral_signing_key ();
  RawWebSocket older (server.uri ()), newer (server.uri ());
  const auto enroll = [&key] (RawWebSocket &socket) {
    const std::string welcome = socket.line ();
    const auto parsed = parse_frame (ByteView (std::string_view (welcome)));
    Frame frame;
    frame.type = FrameType::enroll;
    frame.id = "alice";
    frame.key = key->public_key_der ();
    const std::string proof =
        registration_proof_text (std::get<Frame> (parsed).challenge, frame.id);
    frame.signature = *key->sign (ByteView (std::string_view (proof)));
    socket.say (to_json (frame));
    EXPECT_EQ (socket.line (), R"({"type":"registered","id":"alice"})");
    socket.say (R"({"type":"ask","id":"alice","peer":"bob"})");
  };
  auto bob = helper (server.uri (), "bob");
  bob->say ("ask alice");
  enroll (older);
  bob->expect ("+alice");
  enroll (newer);
  EXPECT_EQ (bob->line (), "-alice");
  EXPECT_EQ (bob->line (), "+alice");
  bob->say ("send alice hello");
  EXPECT_TRUE (has (newer.line (), "\"present\":true"));
  EXPECT_TRUE (has (newer.line (), "\"type\":\"message\""));
  EXPECT_TRUE (has (older.line (), "\"present\":true"));
  EXPECT_TRUE (has (older.line (), "\"replaced\"")) << "and no message after it";
  older.closed ();
}

TEST (Rendezvous, UnreachableServerIsReportedAtEveryAttempt) {
  auto server = std::make_unique<Server> ();
  const std::string uri = server->uri ();
  server->end (SIGKILL);
  auto alice = helper (uri, "alice");
  EXPECT_EQ (alice->line (), "connecting");
  EXPECT_TRUE (has (alice->line (), "connecting No connection to the rendezvous server " + uri));
  EXPECT_TRUE (has (alice->line (), "connecting No connection"));
}

TEST (Rendezvous, AnotherKeyDoesNotGetTheId) {
  Server server;
  auto first = helper (server.uri (), "alice");
  first->expect ("registered");
  auto second = helper (server.uri (), "alice");
  second->expect ("refused The id \"alice\" is in use");
  first->end (SIGKILL);
  auto third = helper (server.uri (), "alice");
  third->expect ("refused");
}

TEST (Rendezvous, TerminationClosesCleanly) {
  for (const int signal : {SIGTERM, SIGINT}) {
    Server server;
    RawWebSocket raw (server.uri ());
    ASSERT_TRUE (raw.open ());
    EXPECT_TRUE (has (raw.line (), "welcome"));
    std::thread ender ([&] {
      const int status = server.end (signal);
      EXPECT_TRUE (WIFEXITED (status));
      EXPECT_EQ (WEXITSTATUS (status), 0);
    });
    EXPECT_EQ (raw.closed (), SOUP_WEBSOCKET_CLOSE_GOING_AWAY);
    ender.join ();
  }
}

TEST (Rendezvous, TerminationWithoutClientsAndWithSilentOnesEndsToo) {
  Server empty;
  EXPECT_EQ (empty.end (SIGTERM), 0);
  // One that never reads its close frame.
  Server server;
  RawWebSocket raw (server.uri ());
  ASSERT_TRUE (raw.open ());
  EXPECT_EQ (server.end (SIGTERM), 0);
}

TEST (Rendezvous, BadInputGetsAJsonErrorAndNothingElse) {
  Server server;
  RawWebSocket raw (server.uri ());
  ASSERT_TRUE (raw.open ());
  EXPECT_TRUE (has (raw.line (), "\"challenge\""));
  raw.say ("nonsense");
  EXPECT_TRUE (has (raw.line (), "\"bad-json\""));
  raw.say (R"({"type":"register","id":"a b","key":""})");
  EXPECT_TRUE (has (raw.line (), "\"field\":\"id\""));
  raw.say (R"({"type":"register","id":"a","key":"AAAA","signature":"AAAA"})");
  EXPECT_TRUE (has (raw.line (), "\"bad-proof\""));
  raw.say (R"({"type":"message","id":"a","peer":"b","data":""})");
  EXPECT_TRUE (has (raw.line (), "\"not-registered\""));
  raw.say (std::string (kMaxFrameBytes + 1, ' '));
  EXPECT_TRUE (has (raw.line (), "\"too-long\""));
  raw.say_binary ("{\"type\":\"ping\"}");
  EXPECT_TRUE (has (raw.line (), "\"bad-json\""));
  raw.say (R"({"type":"ping","seq":9})");
  EXPECT_EQ (raw.line (), R"({"type":"pong","seq":9})");
  for (int i = 0; i < 40; ++i) raw.say ("x");
  EXPECT_EQ (raw.closed (), SOUP_WEBSOCKET_CLOSE_POLICY_VIOLATION);
}

TEST (Rendezvous, ConnectionsPerAddressAreLimited) {
  Server server ({"--max-per-address", "2"});
  RawWebSocket first (server.uri ()), second (server.uri ()), third (server.uri ());
  EXPECT_TRUE (has (first.line (), "welcome"));
  EXPECT_TRUE (has (second.line (), "welcome"));
  EXPECT_TRUE (has (third.line (), "\"full\""));
  EXPECT_EQ (third.closed (), SOUP_WEBSOCKET_CLOSE_POLICY_VIOLATION);
}

TEST (Rendezvous, HealthIsServedOverHttp) {
  Server server;
  const auto session = Ref<SoupSession>::adopt (soup_session_new ());
  const std::string uri = "http://" + server.address ();
  const auto get = [&] (const std::string &path) {
    const auto message = Ref<SoupMessage>::adopt (soup_message_new ("GET", (uri + path).c_str ()));
    const auto body = Ref<GBytes>::adopt (
        soup_session_send_and_read (session.get (), message.get (), nullptr, nullptr));
    gsize size = 0;
    const void *data = body ? g_bytes_get_data (body.get (), &size) : nullptr;
    return std::to_string (soup_message_get_status (message.get ())) + " " +
           std::string (static_cast<const char *> (data), size);
  };
  EXPECT_TRUE (has (get ("/healthz"), "200 {\"status\":\"ok\",\"clients\":0"));
  // What is no WebSocket is a bad request anywhere else.
  EXPECT_EQ (get ("/etc/passwd").substr (0, 3), "400");
}

// libnice asks without a magic cookie, as RFC 3489 has it; everybody else as RFC 8489 has it.
class RendezvousStun : public testing::TestWithParam<StunCompatibility> {};
INSTANTIATE_TEST_SUITE_P (EveryGeneration, RendezvousStun,
                          testing::Values (STUN_COMPATIBILITY_RFC3489, STUN_COMPATIBILITY_RFC5389));

TEST_P (RendezvousStun, TellsTheClientItsAddress) {
  Server server;
  const int fd = socket (AF_INET, SOCK_DGRAM, 0);
  sockaddr_in to{};
  to.sin_family = AF_INET;
  to.sin_port = htons (server.port ());
  to.sin_addr.s_addr = htonl (INADDR_LOOPBACK);
  ASSERT_EQ (connect (fd, reinterpret_cast<sockaddr *> (&to), sizeof to), 0);
  StunAgent agent;
  const std::uint16_t known[] = {STUN_ATTRIBUTE_MAPPED_ADDRESS, STUN_ATTRIBUTE_XOR_MAPPED_ADDRESS,
                                 0};
  stun_agent_init (&agent, known, GetParam (), STUN_AGENT_USAGE_IGNORE_CREDENTIALS);
  std::uint8_t request[256], reply[256];
  StunMessage message;
  const std::size_t size = stun_usage_bind_create (&agent, &message, request, sizeof request);
  // Garbage before it, and a request cut short, are no concern of anybody.
  ASSERT_EQ (send (fd, "\xff garbage", 9, 0), 9);
  ASSERT_GT (send (fd, request, size - 4, 0), 0);
  ASSERT_EQ (send (fd, request, size, 0), static_cast<ssize_t> (size));
  pollfd readable = {fd, POLLIN, 0};
  ASSERT_EQ (poll (&readable, 1, 20000), 1);
  const ssize_t received = recv (fd, reply, sizeof reply, 0);
  ASSERT_GT (received, 0);
  ASSERT_EQ (stun_agent_validate (&agent, &message, reply, static_cast<std::size_t> (received),
                                  nullptr, nullptr),
             STUN_VALIDATION_SUCCESS);
  sockaddr_storage seen{}, other{};
  socklen_t seen_size = sizeof seen, other_size = sizeof other;
  ASSERT_EQ (stun_usage_bind_process (&message, reinterpret_cast<sockaddr *> (&seen), &seen_size,
                                      reinterpret_cast<sockaddr *> (&other), &other_size),
             STUN_USAGE_BIND_RETURN_SUCCESS);
  sockaddr_in own{};
  socklen_t own_size = sizeof own;
  getsockname (fd, reinterpret_cast<sockaddr *> (&own), &own_size);
  const auto *mapped = reinterpret_cast<const sockaddr_in *> (&seen);
  EXPECT_EQ (mapped->sin_port, own.sin_port);
  EXPECT_EQ (mapped->sin_addr.s_addr, own.sin_addr.s_addr);
  close (fd);
}

TEST (Rendezvous, TlsIsVerifiedByTheGivenAuthority) {
  TemporaryDirectory directory;
  const std::string pem = directory / "server.pem", other = directory / "other.pem";
  write_certificate (pem);
  write_certificate (other);
  Server server ({"--tls-cert", pem});
  EXPECT_EQ (server.uri ().substr (0, 6), "wss://");
  auto alice = helper (server.uri (), "alice", pem);
  alice->expect ("registered");
  auto stranger = helper (server.uri (), "bob", other);
  EXPECT_EQ (stranger->line (), "connecting");
  EXPECT_TRUE (has (stranger->line (), "connecting No connection to the rendezvous server"));
  auto system_trust = helper (server.uri (), "carol");
  EXPECT_EQ (system_trust->line (), "connecting");
  EXPECT_TRUE (has (system_trust->line (), "connecting No connection to the rendezvous server"));
}

TEST (Rendezvous, TlsCertificateMustBeForTheHostAndInTime) {
  TemporaryDirectory directory;
  const std::string pem = directory / "server.pem";
  for (const bool in_time : {true, false}) {
    write_certificate (pem, in_time ? 2 : 1, in_time ? 3600 : -60);
    Server server ({"--tls-cert", pem});
    auto alice = helper (server.uri (), "alice", pem);
    EXPECT_EQ (alice->line (), "connecting");
    EXPECT_TRUE (has (alice->line (), "connecting No connection to the rendezvous server"));
  }
}

TEST (Rendezvous, OptionsThatCannotWorkAreSaidAndEndIt) {
  for (const std::vector<std::string> &options : {std::vector<std::string>{"--listen", "nonsense"},
                                                  {"--listen", "127.0.0.1:99999"},
                                                  {"--tls-key", "x"},
                                                  {"--tls-cert", "/none.pem"},
                                                  {"surplus"},
                                                  {"--max-clients", "0"}}) {
    std::vector<std::string> command = {RENDEZVOUS};
    command.insert (command.end (), options.begin (), options.end ());
    Process process (command);
    EXPECT_EQ (process.line (), "");
    const int status = process.end (0);
    EXPECT_TRUE (WIFEXITED (status));
    EXPECT_NE (WEXITSTATUS (status), 0) << options[0];
  }
  Process version ({RENDEZVOUS, "--version"});
  version.expect ("p2p-rendezvous ");
  EXPECT_EQ (version.end (0), 0);
}
