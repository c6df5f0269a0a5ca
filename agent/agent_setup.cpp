// What is set on a P2pAgent, on its way to the core.
#include "agent_private.hpp"
#include "object_signaling.hpp"
#include "private.hpp"
#include "signaling/factory.hpp"
#include "signaling_host.hpp"
#include "store/store_factory.hpp"
#include "store_box.hpp"

namespace p2p {

Status
agent_change (P2pAgent *self, const char *property, Status outcome,
              const std::function<void (AgentSettings &)> &change) {
  AgentPrivate &priv = agent_private (self);
  const std::lock_guard lock (priv.mutex);
  if (outcome) {
    priv.unset[property] = *outcome;
    return outcome;
  }
  priv.unset.erase (property);
  change (priv.settings);
  // Under the lock, so that the last change is the one that stays.
  if (priv.core) priv.core->configure (priv.settings);
  return {};
}

Status
agent_set_secret (P2pAgent *self, const char *peer, const char *secret) {
  std::optional<SecretKey> key;
  Status outcome;
  if (secret && *secret) {
    auto derived = SecretKey::derive (secret);
    if (derived.ok ())
      key = derived.value ();
    else
      outcome = derived.error ();
  }
  const std::string property = peer ? std::string ("secret of ") + peer : "secret";
  return agent_change (self, property.c_str (), outcome, [&] (AgentSettings &settings) {
    (peer ? settings.peers[peer] : settings.credentials).secret = key;
  });
}

static Error
started_already (const char *what) {
  return {P2P_ERROR_FAILED, std::string ("The ") + what +
                                " of an agent cannot be changed once it has started; make another "
                                "agent."};
}

Status
agent_set_rendezvous (P2pAgent *self, const char *uri) {
  const std::string text = uri ? uri : "none";
  Status outcome;
  if (text != "none") {
    const auto parsed = parse_signaling_uri (text);
    if (!parsed.ok ()) outcome = parsed.error ();
  }
  AgentPrivate &priv = agent_private (self);
  {
    const std::lock_guard lock (priv.mutex);
    if (priv.started) return started_already ("rendezvous");
    if (!outcome) priv.rendezvous = text;
  }
  return agent_change (self, "rendezvous", outcome, [] (AgentSettings &) {});
}

Status
agent_set_tls_ca_file (P2pAgent *self, const char *path) {
  AgentPrivate &priv = agent_private (self);
  const std::lock_guard lock (priv.mutex);
  if (priv.started) return started_already ("rendezvous-ca-file");
  priv.tls_ca_file = from_nullable (path);
  return {};
}

Status
agent_set_signaling (P2pAgent *self, P2pSignaling *signaling) {
  AgentPrivate &priv = agent_private (self);
  const std::lock_guard lock (priv.mutex);
  if (priv.started) return started_already ("signaling");
  priv.signaling = Ref<P2pSignaling>::share (signaling);
  return {};
}

Status
agent_set_stun_server (P2pAgent *self, const char *uri) {
  std::vector<StunServer> servers;
  Status outcome;
  if (uri && *uri) {
    const auto parsed = parse_stun_uri (uri);
    if (parsed.ok ())
      servers.push_back (parsed.value ());
    else
      outcome = parsed.error ();
  }
  return agent_change (self, "stun-server", outcome, [&] (AgentSettings &settings) {
    settings.stun_servers = servers;
    agent_private (self).stun_uri = from_nullable (uri);
  });
}

Status
agent_set_turn_server (P2pAgent *self, const char *uri, bool replace) {
  std::vector<turn::Server> servers;
  Status outcome;
  if (uri && *uri) {
    const auto parsed = parse_turn_uri (uri);
    if (parsed.ok ())
      servers.push_back (parsed.value ());
    else
      outcome = parsed.error ();
  }
  return agent_change (self, "turn-server", outcome, [&] (AgentSettings &settings) {
    std::string &shown = agent_private (self).turn_uri;
    if (replace) {
      settings.turn_servers.clear ();
      shown.clear ();
    }
    settings.turn_servers.insert (settings.turn_servers.end (), servers.begin (), servers.end ());
    if (shown.empty () && !servers.empty ()) shown = redact_turn_uri (uri);
  });
}

// Only Redis has one in its URI: what is before the last @ of the authority.
std::string
without_password (const std::string &uri) {
  const std::size_t begin = uri.find ("://");
  if (begin == std::string::npos) return uri;
  const std::size_t slash = uri.find ('/', begin + 3);
  const std::size_t at = uri.rfind ('@', slash);
  if (at == std::string::npos || at < begin) return uri;
  return uri.substr (0, begin + 3) + uri.substr (at + 1);
}

static std::function<Result<std::unique_ptr<SessionStore>> ()>
make_store_of (const AgentPrivate &priv) {
  if (priv.store)
    return [object = priv.store, context = priv.context] {
      return session_store_of (object.get (), context);
    };
  if (priv.store_uri.empty ()) return nullptr;
  return [uri = priv.store_uri, key = priv.store_key] { return make_session_store (uri, key); };
}

Status
agent_set_session_store (P2pAgent *self, bool uri, const char *text) {
  AgentPrivate &priv = agent_private (self);
  const char *property = uri ? "session-store-uri" : "session-store-key";
  Status outcome;
  if (uri && text && *text) {
    auto parsed = parse_store_uri (text);
    if (!parsed) outcome = parsed.error ();
  }
  {
    const std::lock_guard lock (priv.mutex);
    if (priv.started) return started_already (property);
    if (!outcome) (uri ? priv.store_uri : priv.store_key) = from_nullable (text);
  }
  return agent_change (self, property, outcome, [self] (AgentSettings &settings) {
    settings.make_store = make_store_of (agent_private (self));
  });
}

Status
agent_set_session_store_object (P2pAgent *self, P2pSessionStore *store) {
  AgentPrivate &priv = agent_private (self);
  {
    const std::lock_guard lock (priv.mutex);
    if (priv.started) return started_already ("session-store");
    priv.store = Ref<P2pSessionStore>::share (store);
  }
  return agent_change (self, "session-store", {}, [self] (AgentSettings &settings) {
    settings.make_store = make_store_of (agent_private (self));
  });
}

static AgentCore::MakeSignaling
make_signaling_of (const AgentPrivate &priv) {
  SignalingSpec spec{priv.rendezvous, priv.tls_ca_file, {}};
  if (priv.signaling) {
    const auto built_in = signaling_spec (priv.signaling.get ());
    if (!built_in)
      return [object = priv.signaling, context = priv.context] (Identity &) {
        return Result<std::unique_ptr<Signaling>> (
            std::make_unique<ObjectSignaling> (object, context));
      };
    spec = *built_in;
  } else if (priv.rendezvous == "none") {
    return {};
  }
  return [spec] (Identity &identity) {
    // The agent keeps its identity for as long as its signaling.
    return make_signaling_client (spec,
                                  std::shared_ptr<Identity> (std::shared_ptr<void> (), &identity));
  };
}

Status
agent_start (P2pAgent *self) {
  AgentPrivate &priv = agent_private (self);
  AgentCore::MakeSignaling make;
  {
    const std::lock_guard lock (priv.mutex);
    if (!priv.unset.empty ()) return priv.unset.begin ()->second;
    if (priv.started) return {};
    priv.started = true;
    make = make_signaling_of (priv);
  }
  priv.core->start (std::move (make), [events = priv.events] (const Status &outcome) {
    events->registered (outcome);
  });
  return {};
}

// In the context. Lists the connection unless it is listed, or removed already.
static void
list_connection (P2pAgent *self, P2pConnection *connection,
                 const std::shared_ptr<ConnectionCore> &core) {
  AgentPrivate &priv = agent_private (self);
  GListStore *list = priv.connections.get ();
  if (core->snapshot ().state != P2P_CONNECTION_STATE_REMOVED) {
    if (!g_list_store_find (list, connection, nullptr)) g_list_store_append (list, connection);
    return;
  }
  const std::lock_guard lock (priv.mutex);
  priv.objects.erase (core.get ());
}

Ref<P2pConnection>
agent_connection (P2pAgent *self, const std::shared_ptr<ConnectionCore> &core) {
  AgentPrivate &priv = agent_private (self);
  Ref<P2pConnection> connection;
  {
    const std::lock_guard lock (priv.mutex);
    Ref<P2pConnection> &known = priv.objects[core.get ()];
    if (known) return known;
    known = Ref<P2pConnection>::adopt (
        connection_new (core, priv.context, [weak = WeakObject<P2pAgent> (self)] (auto *changed) {
          if (const auto agent = weak.lock ())
            agent_signals::net_config_changed (agent.get (), changed);
        }));
    connection = known;
  }
  priv.events->post (
      [connection, core] (P2pAgent *agent) { list_connection (agent, connection.get (), core); });
  return connection;
}

static void
on_incoming (P2pAgent *self, const std::shared_ptr<ConnectionCore> &core) {
  const Ref<P2pConnection> connection = agent_connection (self, core);
  list_connection (self, connection.get (), core);
  agent_signals::incoming (self, connection.get ());
}

static void
on_removed (P2pAgent *self, const std::shared_ptr<ConnectionCore> &core) {
  AgentPrivate &priv = agent_private (self);
  Ref<P2pConnection> connection;
  {
    const std::lock_guard lock (priv.mutex);
    const auto found = priv.objects.find (core.get ());
    if (found == priv.objects.end ()) return;
    connection = std::move (found->second);
    priv.objects.erase (found);
  }
  guint position = 0;
  GListStore *list = priv.connections.get ();
  if (g_list_store_find (list, connection.get (), &position)) g_list_store_remove (list, position);
}

void
agent_connect_events (P2pAgent *self) {
  AgentPrivate &priv = agent_private (self);
  priv.events = std::make_shared<AgentEvents> (
      self, priv.context,
      AgentEvents::Handlers{agent_signals::signaling_changed, on_incoming, on_removed,
                            agent_signals::rejected, agent_signals::warning,
                            agent_signals::network_available});
  priv.core->set_observer (priv.events);
}

}  // namespace p2p
