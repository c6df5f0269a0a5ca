// The instance of P2pTurnClient; for p2p-turn-client.cpp (the functions) and
// p2p-turn-client-class.cpp (properties and signals).
#pragma once
#include <mutex>
#include <vector>

#include "p2p/p2p-turn-client.h"
#include "turn_session.hpp"

namespace p2p {

struct TurnClientPrivate {
  Ref<GMainContext> context = thread_default_context ();
  std::shared_ptr<TurnSession> session;  // set once
  std::mutex mutex;
  // All below is guarded by mutex.
  bool running = false;
  std::vector<turn::Server> servers;
  turn::Credentials credentials;  // for URIs without
  bool allow_private = false, both_families = false, dont_fragment = false, mobility = true;
  GSocketFamily family = G_SOCKET_FAMILY_INVALID;
  Ref<GTlsDatabase> tls_database;
};

}  // namespace p2p

struct _P2pTurnClient {
  GObject parent_instance;
  p2p::TurnClientPrivate *priv;
};
