#include "store/store_factory.hpp"

#include "base/loop_thread.hpp"
#include "store/memory_store.hpp"
#include "store/redis_store.hpp"
#include "store/sealed_store.hpp"
#include "store/sqlite_store.hpp"

namespace p2p {

namespace {

Error
bad_uri (const std::string &uri, const std::string &what) {
  return {P2P_ERROR_INVALID_ARGUMENT,
          "The session store's URI \"" + uri + "\" is malformed: " + what + "."};
}

Result<StoreUri>
parse_sqlite_uri (const std::string &text, const std::string &rest) {
  constexpr char kOption[] = "?synchronous=";
  StoreUri uri;
  std::string path = rest;
  const auto option = path.rfind (kOption);
  if (option != std::string::npos) {
    const std::string value = path.substr (option + std::char_traits<char>::length (kOption));
    if (value != "full" && value != "normal")
      return bad_uri (text, "synchronous must be full or normal");
    uri.full_sync = value == "full";
    path.resize (option);
  }
  if (path.empty ()) return bad_uri (text, "the path of the file is missing");
  const UniqueChars absolute (g_canonicalize_filename (path.c_str (), nullptr));
  uri.path = absolute.get ();
  return uri;
}

}  // namespace

Result<StoreUri>
parse_store_uri (const std::string &text) {
  const auto colon = text.find (':');
  const std::string scheme = text.substr (0, colon);
  const std::string rest = colon == std::string::npos ? "" : text.substr (colon + 1);
  if (scheme == "sqlite") return parse_sqlite_uri (text, rest);
  if (scheme == "redis" || scheme == "redis+unix") {
    auto address = parse_redis_uri (text);
    if (!address) return address.error ();
    StoreUri uri;
    uri.kind = StoreUri::Kind::redis;
    uri.redis = std::move (*address);
    return uri;
  }
  if (scheme == "memory" && !rest.empty ()) {
    StoreUri uri;
    uri.kind = StoreUri::Kind::memory;
    uri.name = rest;
    return uri;
  }
  return bad_uri ("…", "it must begin with sqlite: or redis://");
}

Result<std::unique_ptr<SessionStore>>
make_session_store (const std::string &text, const std::string &key_file) {
  auto uri = parse_store_uri (text);
  if (!uri) return uri.error ();
  std::unique_ptr<StoreKey> key;
  if (!key_file.empty ()) {
    auto read = StoreKey::from_file (key_file);
    if (!read) return read.error ();
    key = std::move (*read);
  }
  std::unique_ptr<SessionStore> store;
  switch (uri->kind) {
    case StoreUri::Kind::sqlite:
      store = std::make_unique<SqliteStore> (SqliteOptions{uri->path, uri->full_sync});
      break;
    case StoreUri::Kind::redis:
      store = std::make_unique<RedisStore> (core_loop ().context (), core_loop ().scheduler (),
                                            uri->redis);
      break;
    case StoreUri::Kind::memory:
      store =
          std::make_unique<MemoryStore> (core_loop ().scheduler (), named_memory_disk (uri->name));
      break;
  }
  return std::unique_ptr<SessionStore> (
      std::make_unique<SealedStore> (std::move (store), std::move (key)));
}

}  // namespace p2p
