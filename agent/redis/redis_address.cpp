#include "redis/redis_address.hpp"

#include <limits>

#include "base/ptr.hpp"

namespace p2p {

namespace {

constexpr guint64 kMaxDatabase = 65535;  // a server has 16, unless it was told otherwise

Error
bad_uri (const std::string &what) {
  return {
      P2P_ERROR_INVALID_ARGUMENT,
      "The Redis URI is malformed: " + what +
          ". It looks like redis://:password@host:6379/0 or redis+unix:///path/of/socket?db=0."};
}

bool
to_database (const char *text, unsigned &database) {
  guint64 number = 0;
  if (!g_ascii_string_to_unsigned (text, 10, 0, kMaxDatabase, &number, nullptr)) return false;
  database = static_cast<unsigned> (number);
  return true;
}

// "%3A" becomes ":"; false for what is no text then.
bool
unescape (const char *text, std::string &out) {
  const UniqueChars plain (g_uri_unescape_string (text ? text : "", nullptr));
  if (plain) out = plain.get ();
  return plain != nullptr;
}

std::string
host_text (const RedisAddress &address) {
  const bool ipv6 = address.host.find (':') != std::string::npos;
  return (ipv6 ? "[" + address.host + "]" : address.host) + ":" + std::to_string (address.port);
}

}  // namespace

Result<RedisAddress>
parse_redis_uri (const std::string &uri) {
  const bool network = uri.rfind ("redis://", 0) == 0;
  const bool local = uri.rfind ("redis+unix://", 0) == 0;
  if (!network && !local) return bad_uri ("the scheme must be redis:// or redis+unix://");
  GError *raw = nullptr;
  char *user = nullptr, *password = nullptr, *host = nullptr, *path = nullptr, *query = nullptr,
       *fragment = nullptr;
  gint port = -1;
  const bool split = g_uri_split_with_user (
      uri.c_str (), static_cast<GUriFlags> (G_URI_FLAGS_ENCODED | G_URI_FLAGS_HAS_PASSWORD),
      nullptr, &user, &password, nullptr, &host, &port, &path, &query, &fragment, &raw);
  const UniqueError error (raw);
  const UniqueChars keep[] = {UniqueChars (user), UniqueChars (password), UniqueChars (host),
                              UniqueChars (path), UniqueChars (query),    UniqueChars (fragment)};
  // GUri's own text may quote the part that holds the password.
  if (g_error_matches (error.get (), G_URI_ERROR, G_URI_ERROR_BAD_PORT) || port == 0)
    return bad_uri ("the port must be from 1 to 65535");
  if (g_error_matches (error.get (), G_URI_ERROR, G_URI_ERROR_BAD_HOST))
    return bad_uri ("the host is neither a name nor an address");
  if (!split)
    return bad_uri ("it holds what must be written as %XX, such as : / @ or # in the password");
  if (fragment) return bad_uri ("it must not hold a fragment (\"#…\")");
  RedisAddress address;
  if (!unescape (user, address.user) || !unescape (password, address.password))
    return bad_uri ("a %XX in the user or the password is no character");
  if (!address.user.empty () && address.password.empty ())
    return bad_uri ("there is a user and no password; a password alone stands after \":\"");
  if (network) {
    if (!host || !*host) return bad_uri ("the host is missing");
    if (query) return bad_uri ("it must not hold a query (\"?…\")");
    if (!unescape (host, address.host)) return bad_uri ("a %XX in the host is no character");
    if (port > 0) address.port = static_cast<std::uint16_t> (port);
    const std::string rest = path;
    if (rest.size () > 1 && !to_database (rest.c_str () + 1, address.database))
      return bad_uri ("the database after the host must be a number from 0 to 65535");
    address.text = "redis://" + host_text (address) + "/" + std::to_string (address.database);
    return address;
  }
  if ((host && *host) || port > 0) return bad_uri ("a Unix socket has a path and no host");
  if (!unescape (path, address.socket_path) || address.socket_path.size () < 2)
    return bad_uri ("the absolute path of the Unix socket is missing");
  const std::string wanted = query ? query : "";
  if (!wanted.empty () &&
      (wanted.rfind ("db=", 0) != 0 || !to_database (wanted.c_str () + 3, address.database)))
    return bad_uri ("the only query is db= with a number from 0 to 65535");
  address.text = "redis+unix://" + address.socket_path + "?db=" + std::to_string (address.database);
  return address;
}

}  // namespace p2p
