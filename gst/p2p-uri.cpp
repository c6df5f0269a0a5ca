#include "p2p-uri.hpp"

#include <array>
#include <memory>
#include <string_view>

#include "base/ptr.hpp"

namespace p2p {
namespace {

struct UriUnref {
  void operator() (GUri *uri) const { g_uri_unref (uri); }
};
using UniqueUri = std::unique_ptr<GUri, UriUnref>;

constexpr std::array kSettings = {"channel",
                                  "drain-timeout",
                                  "id",
                                  "ice-transport-policy",
                                  "identity",
                                  "idle-timeout",
                                  "keep-listening",
                                  "max-packet-lifetime",
                                  "max-queue-bytes",
                                  "ordered",
                                  "peer-comeback-timeout",
                                  "peer-fingerprint",
                                  "ping-interval",
                                  "ping-timeout",
                                  "priority",
                                  "reliable",
                                  "rendezvous",
                                  "resume",
                                  "stun-server",
                                  "turn-standby",
                                  "wait-for-connection"};

Error
bad (std::string message) {
  return {P2P_ERROR_INVALID_ARGUMENT, std::move (message)};
}

std::string
escape (const std::string &text) {
  return UniqueChars (g_uri_escape_string (text.c_str (), nullptr, FALSE)).get ();
}

// One part of the path, without its escapes.
Result<std::string>
unescape (std::string_view part, const char *name) {
  const UniqueChars text (g_uri_unescape_segment (part.data (), part.data () + part.size (), ""));
  if (!text || !g_utf8_validate (text.get (), -1, nullptr))
    return bad (std::string ("The ") + name + " in the URI is not text in percent-encoded UTF-8.");
  return std::string (text.get ());
}

Status
parse_path (std::string_view path, P2pUri &uri) {
  if (!path.empty ()) path.remove_prefix (1);  // GUri: a path after a host begins with a slash
  const auto slash = path.find ('/');
  auto peer = unescape (path.substr (0, slash), "peer");
  if (!peer) return peer.error ();
  uri.peer = *peer;
  if (slash == std::string_view::npos) return {};

  const auto rest = path.substr (slash + 1);
  if (rest.find ('/') != std::string_view::npos)
    return bad ("The URI's path has more parts than a peer and a channel.");
  auto channel = unescape (rest, "channel");
  if (!channel) return channel.error ();
  if (uri.peer.empty ()) return bad ("The URI names a channel, but no peer before it.");
  if (!channel->empty ()) uri.channel = *channel;
  return {};
}

Status
check_setting (const std::string &name) {
  if (name == "secret" || name == "turn-server")
    return bad ("A URI must not carry the secret of '" + name +
                "'; set the property of the element instead.");
  for (const char *known : kSettings)
    if (name == known) return {};
  return bad ("The URI has an unknown parameter '" + name + "'.");
}

Status
parse_query (const char *query, P2pUri &uri) {
  GUriParamsIter iter;
  g_uri_params_iter_init (&iter, query, -1, "&", G_URI_PARAMS_NONE);
  for (;;) {
    char *name = nullptr, *value = nullptr;
    GError *raw = nullptr;
    if (!g_uri_params_iter_next (&iter, &name, &value, &raw)) {
      if (!raw) return {};
      const UniqueError error (raw);
      return bad (std::string ("The URI's query cannot be read: ") + error->message + ".");
    }
    const UniqueChars owned_name (name), owned_value (value);
    if (auto error = check_setting (name)) return error;
    if (!uri.settings.emplace (name, value).second)
      return bad (std::string ("The URI has the parameter '") + name + "' twice.");
  }
}

// Moves what has a place of its own out of the query's settings.
Status
place_settings (bool has_host, P2pUri &uri) {
  if (auto node = uri.settings.extract ("rendezvous")) {
    if (has_host) return bad ("The URI names a rendezvous server twice: as host and as parameter.");
    uri.rendezvous = node.mapped ();
  }
  if (auto node = uri.settings.extract ("channel")) {
    if (uri.channel != kDefaultChannel && uri.channel != node.mapped ())
      return bad ("The URI names two channels: one in the path and one as parameter.");
    if (!node.mapped ().empty ()) uri.channel = node.mapped ();
  }
  return {};
}

}  // namespace

Result<P2pUri>
parse_uri (const char *text) {
  GError *raw = nullptr;
  const auto flags = static_cast<GUriFlags> (G_URI_FLAGS_HAS_PASSWORD | G_URI_FLAGS_ENCODED_QUERY |
                                             G_URI_FLAGS_ENCODED_PATH);
  const UniqueUri parsed (g_uri_parse (text ? text : "", flags, &raw));
  if (!parsed) {
    const UniqueError error (raw);
    return bad (std::string ("This is not a URI: ") + error->message + ".");
  }
  const std::string scheme = g_uri_get_scheme (parsed.get ());
  if (scheme != "p2p" && scheme != "p2ps")
    return bad ("The URI's scheme is '" + scheme + "'; it must be p2p or p2ps.");
  if (g_uri_get_userinfo (parsed.get ()))
    return bad (
        "The URI has a user or password before the host; set the property 'secret' instead.");
  if (g_uri_get_fragment (parsed.get ()))
    return bad ("The URI has a fragment (#…), which means nothing here.");

  P2pUri uri;
  const char *host = g_uri_get_host (parsed.get ());
  const bool has_host = host && *host;
  const int port = g_uri_get_port (parsed.get ());
  if (has_host) {
    const bool ipv6 = std::string_view (host).find (':') != std::string_view::npos;
    uri.rendezvous = (scheme == "p2ps" ? "wss://" : "ws://") +
                     (ipv6 ? "[" + std::string (host) + "]" : std::string (host)) + ":" +
                     std::to_string (port > 0 ? port : kDefaultRendezvousPort);
  } else if (scheme == "p2ps") {
    return bad ("The URI has no host: p2ps:// needs that of the rendezvous server.");
  } else if (!host) {
    return bad ("The URI has no '//' after 'p2p:'; write p2p:///PEER for a peer of this machine.");
  } else if (port > 0) {
    return bad ("The URI has a port, but no host.");
  }
  if (auto error = parse_path (g_uri_get_path (parsed.get ()), uri)) return *error;
  if (const char *query = g_uri_get_query (parsed.get ()))
    if (auto error = parse_query (query, uri)) return *error;
  if (auto error = place_settings (has_host, uri)) return *error;
  return uri;
}

std::string
format_uri (const P2pUri &uri) {
  std::map<std::string, std::string> settings = uri.settings;
  std::string text = "p2p://";
  if (uri.rendezvous != kLocalRendezvous) {
    const UniqueUri server (g_uri_parse (uri.rendezvous.c_str (), G_URI_FLAGS_NONE, nullptr));
    const std::string scheme = server ? g_uri_get_scheme (server.get ()) : "";
    const char *host = server ? g_uri_get_host (server.get ()) : nullptr;
    const std::string path = server ? g_uri_get_path (server.get ()) : "";
    // Only HOST:PORT fits before the peer; any other address of a server goes into the query.
    if (host && *host && (scheme == "ws" || scheme == "wss") && (path.empty () || path == "/") &&
        !g_uri_get_query (server.get ()) && !g_uri_get_userinfo (server.get ())) {
      const int port = g_uri_get_port (server.get ());
      const bool ipv6 = std::string_view (host).find (':') != std::string_view::npos;
      text = (scheme == "wss" ? "p2ps://" : "p2p://") +
             (ipv6 ? "[" + std::string (host) + "]" : std::string (host));
      const int effective = port > 0 ? port : scheme == "wss" ? 443 : 80;
      if (effective != kDefaultRendezvousPort) text += ":" + std::to_string (effective);
    } else {
      settings["rendezvous"] = uri.rendezvous;
    }
  }
  text += "/" + escape (uri.peer);
  if (uri.channel != kDefaultChannel) {
    if (uri.peer.empty ())
      settings["channel"] = uri.channel;
    else
      text += "/" + escape (uri.channel);
  }
  char separator = '?';
  for (const auto &[name, value] : settings) {
    text += separator + name + "=" + escape (value);
    separator = '&';
  }
  return text;
}

}  // namespace p2p
