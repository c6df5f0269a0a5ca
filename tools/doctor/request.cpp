#include "doctor/request.hpp"

#include <memory>

#include "base/ptr.hpp"
#include "turn/server_uri.hpp"

namespace p2p::doctor {

namespace {

// Of all kinds together: each is asked by several sockets, at once.
constexpr std::size_t kMostServers = 16;

struct StrvFree {
  void operator() (char **strings) const { g_strfreev (strings); }
};
using UniqueStrv = std::unique_ptr<char *, StrvFree>;

struct ContextFree {
  void operator() (GOptionContext *context) const { g_option_context_free (context); }
};

constexpr char kSummary[] =
    "Examines this machine's network, and the servers that p2pcat is to use: which answer, what "
    "NAT\n"
    "there is, what a relay carries. It ends within ten seconds.";
constexpr char kDescription[] =
    "The exit status is 0 when peers can be reached, directly or by a relay, and everything that "
    "was\n"
    "named has answered; 1 when not, which the report explains; 2 when the command line is wrong.";

Error
bad (const std::string &message) {
  return {P2P_ERROR_INVALID_ARGUMENT, message};
}

Status
add_servers (Request &request, char **rendezvous, char **stun, char **turn) {
  for (; rendezvous && *rendezvous; ++rendezvous) {
    auto uri = parse_signaling_uri (*rendezvous);
    if (!uri) return uri.error ();
    if (uri->kind == SignalingUri::Kind::local) continue;
    const std::vector<SignalingUri> others = std::move (uri->others);
    request.rendezvous.push_back (std::move (*uri));
    request.rendezvous.insert (request.rendezvous.end (), others.begin (), others.end ());
  }
  for (; stun && *stun; ++stun) {
    auto server = parse_stun_uri (*stun);
    if (!server) return server.error ();
    request.stun.push_back (std::move (*server));
  }
  for (; turn && *turn; ++turn) {
    auto server = turn::parse_server_uri (*turn);
    if (!server) return server.error ();
    if (server->credentials.user.empty ())
      return bad ("The TURN server " + turn::redacted_uri (*server) +
                  " has no user; write turn://user:password@host:port.");
    request.turn.push_back (std::move (*server));
  }
  if (request.rendezvous.size () + request.stun.size () + request.turn.size () > kMostServers)
    return bad ("More than " + std::to_string (kMostServers) +
                " servers are named; examine them in several runs.");
  return {};
}

}  // namespace

Result<Request>
parse_command_line (int argc, char **argv) {
  char **raw_rendezvous = nullptr, **raw_stun = nullptr, **raw_turn = nullptr, **raw_rest = nullptr;
  gboolean json = FALSE, no_burst = FALSE, version = FALSE;
  const GOptionEntry entries[] = {
      {"rendezvous", 'r', 0, G_OPTION_ARG_STRING_ARRAY, &raw_rendezvous,
       "Where the peers meet: ws://HOST:PORT or wss://HOST:PORT; can be repeated, or several with "
       "commas between them",
       "URI"},
      {"stun-server", 0, 0, G_OPTION_ARG_STRING_ARRAY, &raw_stun,
       "STUN server, stun://host:port; can be repeated", "URI"},
      {"turn-server", 0, 0, G_OPTION_ARG_STRING_ARRAY, &raw_turn,
       "TURN server, turn://user:password@host:port?transport=udp; can be repeated", "URI"},
      {"no-burst", 0, 0, G_OPTION_ARG_NONE, &no_burst,
       "Do not measure what a relay carries, which sends up to 16 MiB through each", nullptr},
      {"json", 0, 0, G_OPTION_ARG_NONE, &json, "Report as JSON", nullptr},
      {"version", 0, 0, G_OPTION_ARG_NONE, &version, "Print the version, and end", nullptr},
      {G_OPTION_REMAINING, 0, 0, G_OPTION_ARG_STRING_ARRAY, &raw_rest, nullptr, nullptr},
      {nullptr, 0, 0, G_OPTION_ARG_NONE, nullptr, nullptr, nullptr}};
  const std::unique_ptr<GOptionContext, ContextFree> context (g_option_context_new (nullptr));
  g_option_context_set_summary (context.get (), kSummary);
  g_option_context_set_description (context.get (), kDescription);
  g_option_context_add_main_entries (context.get (), entries, nullptr);
  GError *raw = nullptr;
  const bool parsed = g_option_context_parse (context.get (), &argc, &argv, &raw);
  const UniqueStrv rendezvous (raw_rendezvous), stun (raw_stun), turn (raw_turn), rest (raw_rest);
  const UniqueError error (raw);
  if (!parsed) return bad (std::string (error->message) + " (see --help)");
  if (rest) return bad ("There are no arguments beside the options (see --help).");
  Request request;
  request.json = json;
  request.burst = !no_burst;
  request.version = version;
  if (const Status wrong = add_servers (request, rendezvous.get (), stun.get (), turn.get ()))
    return *wrong;
  return request;
}

}  // namespace p2p::doctor
