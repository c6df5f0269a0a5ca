// The meeting point of one machine, hosted in one of the processes that use it. Core thread only.
#pragma once
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "base/error.hpp"
#include "base/scheduler.hpp"
#include "signaling/broker.hpp"
#include "signaling/line_connection.hpp"
#include "signaling/local_place.hpp"

namespace p2p {

class LocalHub final : private Broker::FrontEnd, private LineConnection::Observer {
 public:
  // The hub of this process at that path, started when no process hosts one; null when another
  // process does. It goes with its last user, and then another process takes over.
  static Result<std::shared_ptr<LocalHub>> share (const std::string &socket_path,
                                                  Scheduler &scheduler);
  ~LocalHub () override;

  BrokerStats stats () const { return broker_.stats (); }

 private:
  LocalHub (std::string socket_path, std::unique_ptr<HostLock> lock, Ref<GSocket> listener,
            Scheduler &scheduler);
  void on_connection ();
  void drop_overflowing ();
  void hand_on ();
  Broker::ClientId client_of (const LineConnection &connection) const;

  void broker_send (Broker::ClientId client, const std::string &frame) override;
  void broker_close (Broker::ClientId client, Broker::CloseReason reason) override;
  void line_received (LineConnection &connection, ByteView line) override;
  void line_too_long (LineConnection &connection) override;
  void line_closed (LineConnection &connection, const std::string &reason) override;

  std::string path_;
  std::unique_ptr<HostLock> lock_;
  Ref<GSocket> listener_;
  Broker broker_;
  Broker::ClientId next_client_ = 1;
  std::map<Broker::ClientId, std::unique_ptr<LineConnection>> connections_;
  std::map<const LineConnection *, Broker::ClientId> clients_;
  std::vector<Broker::ClientId> overflowing_;
  std::unique_ptr<Scheduler::Timer> overflow_timer_;
  UniqueSource accept_source_;
};

}  // namespace p2p
