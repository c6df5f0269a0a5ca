#include "p2pcat-options.hpp"

#include <memory>

#include "base/ptr.hpp"

namespace p2p {
namespace {

struct StrvFree {
  void operator() (char **strings) const { g_strfreev (strings); }
};
using UniqueStrv = std::unique_ptr<char *, StrvFree>;

constexpr int kNotGiven = G_MININT;
constexpr int kMinPingIntervalMs = 10, kMaxSpanMs = 60 * 60 * 1000;  // as in the library

struct ContextFree {
  void operator() (GOptionContext *context) const { g_option_context_free (context); }
};

constexpr char kSummary[] =
    "Joins standard input and output with those of a peer, through NATs.\n"
    "  p2pcat --id bob    waits for a peer\n"
    "  p2pcat bob         connects to bob\n"
    "  p2pcat doctor      tells what this network lets through; see p2pcat doctor --help";
constexpr char kDescription[] =
    "The secret can also come from the environment, as P2P_SECRET; other users of the machine can\n"
    "read a command line. A peer with the id doctor is reached by: p2pcat -- doctor\n"
    "The exit status is 0 when both directions have ended in order.";

// A string that GOption has allocated.
class Text {
 public:
  ~Text () { g_free (text_); }
  Text () = default;
  Text (const Text &) = delete;
  Text &operator= (const Text &) = delete;
  char **out () { return &text_; }
  bool given () const { return text_; }
  std::string or_else (const char *fallback) const { return text_ ? text_ : fallback; }

 private:
  char *text_ = nullptr;
};

Error
bad (const std::string &message) {
  return {P2P_ERROR_INVALID_ARGUMENT, message};
}

Result<std::string>
find_secret (const Text &secret, const Text &file) {
  if (secret.given () && file.given ())
    return bad ("Give either --secret or --secret-file, not both.");
  if (secret.given ()) return secret.or_else ("");
  if (!file.given ()) {
    const char *from_environment = g_getenv ("P2P_SECRET");
    return std::string (from_environment ? from_environment : "");
  }
  char *raw = nullptr;
  GError *error = nullptr;
  if (!g_file_get_contents (file.or_else ("").c_str (), &raw, nullptr, &error)) {
    const UniqueError owned (error);
    return bad (std::string ("The secret cannot be read: ") + owned->message + ".");
  }
  const UniqueChars text (raw);
  const std::string first (g_strstrip (text.get ()));
  if (first.empty ()) return bad ("The file with the secret is empty.");
  return first;
}

}  // namespace

Result<CatOptions>
parse_cat_options (int argc, char **argv) {
  CatOptions options;
  Text id, channel, rendezvous, secret, secret_file, fingerprint, identity, stun;
  char **raw_turn = nullptr, **raw_peers = nullptr;
  int timeout = 0, ping_interval = kNotGiven, ping_timeout = kNotGiven, comeback = kNotGiven;
  gboolean verbose = FALSE, new_secret = FALSE, show_fingerprint = FALSE, version = FALSE;
  const GOptionEntry entries[] = {
      {"id", 'i', 0, G_OPTION_ARG_STRING, id.out (), "Id of this side (default: a random one)",
       "ID"},
      {"rendezvous", 'r', 0, G_OPTION_ARG_STRING, rendezvous.out (),
       "Where the peers meet: local (default), ws://HOST:PORT or wss://HOST:PORT, or several of "
       "these "
       "with commas between them",
       "URI"},
      {"channel", 'c', 0, G_OPTION_ARG_STRING, channel.out (),
       "Name of the channel (default: default)", "NAME"},
      {"secret", 's', 0, G_OPTION_ARG_STRING, secret.out (), "Secret that both sides know",
       "SECRET"},
      {"secret-file", 0, 0, G_OPTION_ARG_FILENAME, secret_file.out (), "File with the secret",
       "FILE"},
      {"new-secret", 0, 0, G_OPTION_ARG_NONE, &new_secret, "Print a new strong secret, and end",
       nullptr},
      {"peer-fingerprint", 0, 0, G_OPTION_ARG_STRING, fingerprint.out (),
       "SHA-256 fingerprint of the peer's certificate", "HEX"},
      {"identity", 0, 0, G_OPTION_ARG_FILENAME, identity.out (),
       "File with this side's key and certificate", "FILE"},
      {"show-fingerprint", 0, 0, G_OPTION_ARG_NONE, &show_fingerprint,
       "Print the fingerprint of this side's certificate, and end", nullptr},
      {"stun-server", 0, 0, G_OPTION_ARG_STRING, stun.out (), "STUN server, stun://host:port",
       "URI"},
      {"turn-server", 0, 0, G_OPTION_ARG_STRING_ARRAY, &raw_turn,
       "TURN server, turn://user:password@host:port?transport=udp, or turns: for TLS and, with "
       "transport=udp, DTLS; can be repeated",
       "URI"},
      {"timeout", 't', 0, G_OPTION_ARG_INT, &timeout,
       "Give up when there is no connection after so long (default: never)", "SECONDS"},
      {"ping-interval", 0, 0, G_OPTION_ARG_INT, &ping_interval,
       "After how much silence the peer is asked whether it is there (default: 1000)", "MS"},
      {"ping-timeout", 0, 0, G_OPTION_ARG_INT, &ping_timeout,
       "After how much silence the connection is broken (default: twice the interval)", "MS"},
      {"peer-comeback-timeout", 0, 0, G_OPTION_ARG_INT, &comeback,
       "How long a broken connection waits for the peer (default: 30000; 0: for ever)", "MS"},
      {"verbose", 'v', 0, G_OPTION_ARG_NONE, &verbose, "Tell on standard error what goes on",
       nullptr},
      {"version", 0, 0, G_OPTION_ARG_NONE, &version, "Print the version, and end", nullptr},
      {G_OPTION_REMAINING, 0, 0, G_OPTION_ARG_STRING_ARRAY, &raw_peers, nullptr, "[PEER]"},
      {nullptr, 0, 0, G_OPTION_ARG_NONE, nullptr, nullptr, nullptr}};
  const std::unique_ptr<GOptionContext, ContextFree> context (g_option_context_new (nullptr));
  g_option_context_set_summary (context.get (), kSummary);
  g_option_context_set_description (context.get (), kDescription);
  g_option_context_add_main_entries (context.get (), entries, nullptr);
  GError *error = nullptr;
  const bool parsed = g_option_context_parse (context.get (), &argc, &argv, &error);
  const UniqueStrv turn (raw_turn), peers (raw_peers);
  if (!parsed) {
    const UniqueError owned (error);
    return bad (std::string (owned->message) + " (see --help)");
  }
  for (char **server = turn.get (); server && *server; server++)
    options.turn_servers.emplace_back (*server);
  if (peers) {
    options.peer = peers.get ()[0];
    if (peers.get ()[1]) return bad ("Give one peer only.");
  }
  options.id = id.or_else ("");
  options.channel = channel.or_else (options.channel.c_str ());
  options.rendezvous = rendezvous.or_else (options.rendezvous.c_str ());
  options.peer_fingerprint = fingerprint.or_else ("");
  options.identity = identity.or_else ("");
  options.stun_server = stun.or_else ("");
  options.timeout_s = timeout;
  options.verbose = verbose;
  options.new_secret = new_secret;
  options.show_fingerprint = show_fingerprint;
  options.version = version;
  if (timeout < 0) return bad ("The timeout must not be negative.");
  const auto take_span = [] (int ms, int least, std::optional<unsigned> &span) {
    if (ms == kNotGiven) return true;
    span = static_cast<unsigned> (ms);
    return ms >= least && ms <= kMaxSpanMs;
  };
  if (!take_span (ping_interval, kMinPingIntervalMs, options.ping_interval_ms) ||
      !take_span (ping_timeout, 0, options.ping_timeout_ms) ||
      !take_span (comeback, 0, options.peer_comeback_timeout_ms))
    return bad (
        "A ping interval is 10 to 3600000 ms, a ping timeout and a comeback timeout are 0 to "
        "3600000 ms.");
  if (new_secret || show_fingerprint || version) return options;
  if (options.peer.empty () && options.id.empty ())
    return bad ("Give the peer to connect to, or with --id the id to wait under (see --help).");
  auto found = find_secret (secret, secret_file);
  if (!found) return found.error ();
  options.secret = std::move (*found);
  return options;
}

}  // namespace p2p
