// The core's side of a ChannelPort: moves messages between the application's queues and the
// session's channel. Core thread only.
#pragma once
#include <memory>

#include "core/channel_port.hpp"

namespace p2p {

class ChannelPump : public std::enable_shared_from_this<ChannelPump> {
 public:
  explicit ChannelPump (std::shared_ptr<ChannelPort> port);
  ~ChannelPump ();
  // Lets the port ask for turns from now on.
  void start ();

  const std::shared_ptr<ChannelPort> &port () const { return port_; }
  // The session's channel, once there is one; it outlives the pump or closed() is called first.
  void attach (Channel &channel, std::uint64_t peer_limit_bytes);
  void restored ();  // before it is attached: the channel is of the time before this process
  bool attached () const { return channel_ != nullptr; }
  bool close_asked () const;

  // What the application has taken is told to the session now.
  void confirm_taken ();

  // What the session tells of the channel.
  void received (Message message);
  void ended_by_peer ();
  void released () { turn (); }
  void closed (const Status &reason);  // for good; an empty reason is an orderly end

 private:
  void turn ();
  void take_turn ();
  void confirm_taken_if_due ();
  void watch_taken ();
  void send_outgoing ();
  void publish ();
  void wake_readers ();

  std::shared_ptr<ChannelPort> port_;
  Channel *channel_ = nullptr;
  bool end_sent_ = false;
  bool room_made_ = false;  // since senders were last woken
  bool in_turn_ = false, turn_again_ = false;
  // Readers are woken by the first message of a turn of the loop, and once more at its end: a train
  // of datagrams holds many, and a wake-up costs more than a message.
  bool readers_woken_ = false, readers_wait_ = false;
  const std::unique_ptr<Scheduler::Timer> turn_end_;
  // What was taken is confirmed some milliseconds after it came, so that one confirmation serves
  // for many messages, and an answer need not come second to it.
  const std::unique_ptr<Scheduler::Timer> taken_watch_;
};

}  // namespace p2p
