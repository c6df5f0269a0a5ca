#include "signaling/local_hub.hpp"

#include <unistd.h>

namespace p2p {

namespace {

// The broker closes a client at 256 KiB that it has not confirmed; this is never reached before.
constexpr std::size_t kMaxQueuedBytes = 1024 * 1024;
constexpr int kAcceptsPerTurn = 32;

BrokerConfig
local_config () {
  BrokerConfig config;
  config.require_proof = false;  // the kernel says who connects: this user, or root
  config.hold_us = 0;            // an id is free as soon as its process is gone
  config.max_clients = 4096;
  config.max_clients_per_source = 0;
  config.max_ids_per_client = 64;
  config.max_asks_per_id = 4096;
  // A process connects to some 500 peers a second, with six or seven frames for each.
  config.frames = {8000, 32000};
  config.bytes = {16 * 1024 * 1024, 16 * 1024 * 1024};
  config.max_memory_bytes = 64 * 1024 * 1024;
  return config;
}

std::map<std::string, std::weak_ptr<LocalHub>> &
hubs () {
  // Never destroyed: the core thread still runs while the process exits.
  static auto *const by_path = new std::map<std::string, std::weak_ptr<LocalHub>>;
  return *by_path;
}

}  // namespace

Result<std::shared_ptr<LocalHub>>
LocalHub::share (const std::string &socket_path, Scheduler &scheduler) {
  if (const auto it = hubs ().find (socket_path); it != hubs ().end ())
    if (auto hub = it->second.lock ()) return hub;
  auto lock = HostLock::try_take (socket_path);
  if (!lock) return lock.error ();
  if (!*lock) return std::shared_ptr<LocalHub> ();
  auto listener = listen_at (socket_path);
  if (!listener) return listener.error ();
  std::shared_ptr<LocalHub> hub (
      new LocalHub (socket_path, std::move (*lock), std::move (*listener), scheduler));
  hubs ()[socket_path] = hub;
  return hub;
}

LocalHub::LocalHub (std::string socket_path, std::unique_ptr<HostLock> lock, Ref<GSocket> listener,
                    Scheduler &scheduler)
    : path_ (std::move (socket_path)),
      lock_ (std::move (lock)),
      listener_ (std::move (listener)),
      broker_ (local_config (), scheduler, *this),
      overflow_timer_ (scheduler.make_timer ([this] { drop_overflowing (); })),
      accept_source_ (g_socket_create_source (listener_.get (), G_IO_IN, nullptr)) {
  const GSocketSourceFunc ready = [] (GSocket *, GIOCondition, gpointer data) -> gboolean {
    static_cast<LocalHub *> (data)->on_connection ();
    return G_SOURCE_CONTINUE;
  };
  // The source is a member: it cannot run after the hub is gone.
  g_source_set_callback (accept_source_.get (),
                         reinterpret_cast<GSourceFunc> (reinterpret_cast<void *> (ready)), this,
                         nullptr);
  g_source_attach (accept_source_.get (), g_main_context_get_thread_default ());
}

LocalHub::~LocalHub () {
  hand_on ();
  hubs ().erase (path_);
  // In this order: who finds the lock free must not find the socket of a host that is going.
  accept_source_.reset ();
  unlink (path_.c_str ());
  g_socket_close (listener_.get (), nullptr);
  lock_.reset ();
}

// What was said before the host goes is still told: the last words of its own process among it,
// which may end as soon as this returns.
void
LocalHub::hand_on () {
  std::vector<Broker::ClientId> ids;
  for (const auto &[id, connection] : connections_) ids.push_back (id);
  for (const Broker::ClientId id : ids)
    if (const auto it = connections_.find (id); it != connections_.end ()) it->second->read_now ();
  for (const auto &[id, connection] : connections_) connection->flush ();
}

void
LocalHub::on_connection () {
  for (int i = 0; i < kAcceptsPerTurn; ++i) {
    auto socket = Ref<GSocket>::adopt (g_socket_accept (listener_.get (), nullptr, nullptr));
    if (!socket) return;
    if (!same_user (socket.get ())) {
      g_message ("A process of another user was turned away from %s", path_.c_str ());
      continue;
    }
    const Broker::ClientId id = next_client_++;
    std::unique_ptr<LineConnection> connection (
        new LineConnection (std::move (socket), kMaxFrameBytes, kMaxQueuedBytes, *this));
    clients_[connection.get ()] = id;
    connections_[id] = std::move (connection);
    broker_.connect (id, "");
  }
}

Broker::ClientId
LocalHub::client_of (const LineConnection &connection) const {
  const auto it = clients_.find (&connection);
  return it == clients_.end () ? 0 : it->second;
}

void
LocalHub::broker_send (Broker::ClientId client, const std::string &frame) {
  const auto it = connections_.find (client);
  if (it == connections_.end () || it->second->send_line (frame)) return;
  overflowing_.push_back (client);
  overflow_timer_->arm (0);
}

void
LocalHub::drop_overflowing () {
  for (const Broker::ClientId client : std::exchange (overflowing_, {})) {
    broker_.disconnect (client);
    broker_close (client, Broker::CloseReason::slow);
  }
}

void
LocalHub::broker_close (Broker::ClientId client, Broker::CloseReason) {
  const auto it = connections_.find (client);
  if (it == connections_.end ()) return;
  const std::unique_ptr<LineConnection> connection = std::move (it->second);
  clients_.erase (connection.get ());
  connections_.erase (it);
  connection->flush ();
}

void
LocalHub::line_received (LineConnection &connection, ByteView line) {
  broker_.receive (client_of (connection), line);
}

void
LocalHub::line_too_long (LineConnection &connection) {
  broker_.receive_bad (
      client_of (connection),
      {"too-long", "", "The frame is longer than " + std::to_string (kMaxFrameBytes) + " bytes."});
}

void
LocalHub::line_closed (LineConnection &connection, const std::string &) {
  const Broker::ClientId client = client_of (connection);
  broker_close (client, Broker::CloseReason::silent);
  broker_.disconnect (client);
}

}  // namespace p2p
