// Carries frames to the meeting point of this machine, hosting it where nobody else does.
#pragma once
#include <memory>
#include <random>
#include <string>

#include "base/scheduler.hpp"
#include "signaling/client.hpp"
#include "signaling/line_connection.hpp"
#include "signaling/local_hub.hpp"

namespace p2p {

class LocalCarrier final : public SignalingCarrier, private LineConnection::Observer {
 public:
  // `socket_path` as checked_local_socket_path() gives it.
  LocalCarrier (std::string socket_path, Scheduler &scheduler);
  ~LocalCarrier () override;  // what was sent before has left

  void set_observer (SignalingCarrier::Observer *observer) override { observer_ = observer; }
  void open () override;
  void send (const std::string &frame) override;
  void close () override;
  bool address_gone () const override { return false; }
  std::string describe () const override { return "the local meeting point " + path_; }
  std::string stun_host () const override { return {}; }

 private:
  void attempt ();
  void end (const Error &reason);
  void line_received (LineConnection &connection, ByteView line) override;
  void line_too_long (LineConnection &connection) override;
  void line_closed (LineConnection &connection, const std::string &reason) override;

  std::string path_;
  Scheduler &scheduler_;
  SignalingCarrier::Observer *observer_ = nullptr;
  std::shared_ptr<LocalHub> hub_;  // while this process hosts
  std::unique_ptr<LineConnection> connection_;
  unsigned attempts_ = 0;
  bool overflow_ = false;
  std::minstd_rand random_;
  std::unique_ptr<Scheduler::Timer> timer_;
};

}  // namespace p2p
