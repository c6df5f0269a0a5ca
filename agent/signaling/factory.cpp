#include "signaling/factory.hpp"

#include <algorithm>
#include <optional>

#include "base/loop_thread.hpp"
#include "signaling/client.hpp"
#include "signaling/fallback_carrier.hpp"
#include "signaling/local_carrier.hpp"
#include "signaling/websocket_carrier.hpp"

namespace p2p {

namespace {

constexpr std::size_t kMaxServers = 16;

Error
bad_uri (const std::string &uri, const std::string &what) {
  return {P2P_ERROR_INVALID_ARGUMENT,
          "The rendezvous URI \"" + uri + "\" is malformed: " + what + "."};
}

Result<SignalingUri>
parse_websocket_uri (const std::string &text) {
  GError *raw = nullptr;
  char *scheme = nullptr, *userinfo = nullptr, *host = nullptr, *path = nullptr, *query = nullptr,
       *fragment = nullptr;
  gint port = -1;
  const bool split = g_uri_split (text.c_str (), G_URI_FLAGS_ENCODED, &scheme, &userinfo, &host,
                                  &port, &path, &query, &fragment, &raw);
  const UniqueError error (raw);
  const UniqueChars keep[] = {UniqueChars (scheme), UniqueChars (userinfo), UniqueChars (host),
                              UniqueChars (path),   UniqueChars (query),    UniqueChars (fragment)};
  if (g_error_matches (error.get (), G_URI_ERROR, G_URI_ERROR_BAD_PORT))
    return bad_uri (text, "the port must be from 1 to 65535");
  if (g_error_matches (error.get (), G_URI_ERROR, G_URI_ERROR_BAD_HOST))
    return bad_uri (text, "the host is neither a name nor an address");
  if (!split) return bad_uri (text, error->message);
  // A password in a URI ends in logs; there is nothing that it could be for.
  if (userinfo) return bad_uri ("…", "it must not hold a user name or password");
  if (!host || !*host) return bad_uri (text, "the host is missing");
  if (port == 0) return bad_uri (text, "the port must be from 1 to 65535");
  if (fragment) return bad_uri (text, "it must not hold a fragment (\"#…\")");
  SignalingUri uri;
  uri.kind = SignalingUri::Kind::rendezvous;
  uri.tls = g_ascii_strcasecmp (scheme, "wss") == 0;
  uri.host = host;
  uri.port = port < 0 ? kRendezvousPort : static_cast<std::uint16_t> (port);
  const UniqueChars joined (g_uri_join (G_URI_FLAGS_ENCODED, uri.tls ? "wss" : "ws", nullptr, host,
                                        uri.port, path && *path ? path : "/", query, nullptr));
  uri.text = joined.get ();
  return uri;
}

Result<SignalingUri>
parse_rendezvous_uri (const std::string &text) {
  for (const char *scheme : {"ws://", "wss://"})
    if (g_ascii_strncasecmp (text.c_str (), scheme, std::char_traits<char>::length (scheme)) == 0)
      return parse_websocket_uri (text);
  return bad_uri (text, "the scheme must be local, ws:// or wss://");
}

}  // namespace

Result<SignalingUri>
parse_signaling_uri (const std::string &text) {
  const std::string_view view = text;
  if (view == "local") return SignalingUri{};
  if (view.substr (0, 6) == "local:") {
    SignalingUri uri;
    uri.socket_path = text.substr (6);
    if (uri.socket_path.empty () || uri.socket_path.front () != '/')
      return bad_uri (text, "the path after \"local:\" must be absolute");
    return uri;
  }
  std::optional<SignalingUri> first;
  for (std::size_t at = 0; at <= text.size ();) {
    const std::size_t end = std::min (text.find (',', at), text.size ());
    auto uri = parse_rendezvous_uri (text.substr (at, end - at));
    if (!uri) return uri;
    if (!first)
      first = std::move (*uri);
    else
      first->others.push_back (std::move (*uri));
    at = end + 1;
  }
  if (first->others.size () >= kMaxServers)
    return bad_uri ("…", "it lists more than " + std::to_string (kMaxServers) + " servers");
  return std::move (*first);
}

Result<std::unique_ptr<Signaling>>
make_signaling (const std::string &text, std::shared_ptr<const SigningKey> key,
                const SignalingOptions &options) {
  auto uri = parse_signaling_uri (text);
  if (!uri) return uri.error ();
  Scheduler &scheduler = core_loop ().scheduler ();
  ClientTiming timing;
  if (uri->kind == SignalingUri::Kind::local) {
    auto path = uri->socket_path.empty () ? default_local_socket_path ()
                                          : checked_local_socket_path (uri->socket_path);
    if (!path) return path.error ();
    // No network to spare: what fails here mostly works a moment later.
    timing.comeback_within_us = 0;
    timing.first_retry_us = 20 * kMillisecond;
    timing.longest_retry_us = 2 * kSecond;
    return std::unique_ptr<Signaling> (std::make_unique<SignalingClient> (
        std::make_unique<LocalCarrier> (*path, scheduler), scheduler, nullptr, timing));
  }
  if (!key)
    return Error{
        P2P_ERROR_IDENTITY,
        "A rendezvous server gives ids to keys only; set an identity to use " + text + "."};
  auto first = WebSocketCarrier::create (*uri, options.tls_ca_file);
  if (!first) return first.error ();
  std::unique_ptr<SignalingCarrier> carrier = std::move (*first);
  if (!uri->others.empty ()) {
    std::vector<std::unique_ptr<SignalingCarrier>> carriers;
    carriers.push_back (std::move (carrier));
    for (const SignalingUri &other : uri->others) {
      auto made = WebSocketCarrier::create (other, options.tls_ca_file);
      if (!made) return made.error ();
      carriers.push_back (std::move (*made));
    }
    carrier = std::make_unique<FallbackCarrier> (std::move (carriers), scheduler);
  }
  return std::unique_ptr<Signaling> (
      std::make_unique<SignalingClient> (std::move (carrier), scheduler, std::move (key), timing));
}

}  // namespace p2p
