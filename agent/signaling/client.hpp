// What every client of a meeting point does, whatever carries its frames: register, ask, present,
// heartbeat, and come back with back-off. Pure logic on a Scheduler over a SignalingCarrier.
#pragma once
#include <deque>
#include <memory>
#include <random>
#include <set>
#include <string>

#include "base/bytes.hpp"
#include "base/scheduler.hpp"
#include "signaling/frame.hpp"
#include "signaling/key_proof.hpp"
#include "signaling/signaling.hpp"

namespace p2p {

// One connection to a meeting point at a time.
class SignalingCarrier {
 public:
  class Observer {
   public:
    virtual ~Observer () = default;
    virtual void carrier_frame (ByteView text) = 0;
    // Could not be opened, or is lost; open() may be called again. May destroy the carrier.
    virtual void carrier_closed (const Error &reason) = 0;
  };
  virtual ~SignalingCarrier () = default;
  virtual void set_observer (Observer *observer) = 0;
  // None of these calls the observer from inside.
  virtual void open () = 0;
  virtual void send (const std::string &frame) = 0;
  virtual void close () = 0;  // no call follows until the next open()
  // The address that the connection was made from is no longer one of this machine's. False also
  // where that cannot be known.
  virtual bool address_gone () const = 0;
  virtual std::string describe () const = 0;   // for messages: "the rendezvous server ws://…"
  virtual std::string stun_host () const = 0;  // where a STUN server that it has is found
};

struct ClientTiming {
  TimeUs first_retry_us = kSecond / 2;
  TimeUs longest_retry_us = 30 * kSecond;  // less while the trouble is young
  TimeUs answer_within_us = 15 * kSecond;  // connecting, registering and heartbeats
  // The answer to what is asked because the network has changed. Also the least time between two
  // attempts that are begun for that reason.
  TimeUs check_within_us = 2 * kSecond;
  // The first attempt after the far end broke a registered connection comes at a random moment
  // within this: the others have lost theirs at the same time.
  TimeUs comeback_within_us = kSecond / 2;
};

class SignalingClient final : public Signaling, private SignalingCarrier::Observer {
 public:
  // Without a key no proof is given; a random token stands for this client instead.
  SignalingClient (std::unique_ptr<SignalingCarrier> carrier, Scheduler &scheduler,
                   std::shared_ptr<const SigningKey> key, const ClientTiming &timing);
  ~SignalingClient () override;

  void set_observer (Signaling::Observer *observer) override { observer_ = observer; }
  void start (const std::string &id) override;
  void ask (const std::string &peer) override;
  void unask (const std::string &peer) override;
  Status send (const std::string &peer, const std::string &message) override;
  void network_changed (bool usable) override;
  State state () const override { return state_; }
  std::string stun_server () const override;

 private:
  void carrier_frame (ByteView text) override;
  void carrier_closed (const Error &reason) override;

  void open ();
  void on_retry ();
  void on_heartbeat ();
  void on_deadline ();
  void on_resume ();
  void on_welcome (const Frame &frame);
  void on_registered ();
  void on_peer (const Frame &frame);
  void on_message (const Frame &frame);
  void on_error (const Frame &frame);
  void on_pong (const Frame &frame);
  enum class Comeback { at_once, soon, backed_off };  // after a registered connection was lost
  void lose (const Error &reason, Comeback comeback = Comeback::backed_off);
  TimeUs back_off ();
  TimeUs random_up_to (TimeUs span);
  TimeUs answer_limit () const;
  void refuse (const Error &reason);
  void forget_connection ();
  bool set_present (const std::string &peer, bool present);  // false: destroyed by the observer
  bool set_state (State state, const Error *reason);         // same
  void send_frame (const Frame &frame);
  void send_ask (FrameType type, const std::string &peer);
  void send_ping ();

  std::unique_ptr<SignalingCarrier> carrier_;
  Scheduler &scheduler_;
  std::shared_ptr<const SigningKey> key_;
  std::string token_;
  ClientTiming timing_;
  Signaling::Observer *observer_ = nullptr;
  State state_ = State::idle;
  std::string id_;
  std::set<std::string> asks_, present_;
  std::set<std::string> suspended_;  // present, but a message to them was lost a moment ago
  bool announced_ = false;           // that it is connecting
  bool open_ = false, welcomed_ = false;
  bool checking_ = false;  // that the connection still works
  bool cut_off_ = false;   // this machine has no network
  bool leaving_ = false;   // it does not, and ends with the next turn of the loop
  unsigned failures_ = 0;
  TimeUs failing_since_ = 0, next_restart_ = 0;
  std::uint16_t stun_port_ = 0;
  TimeUs heartbeat_us_ = 25 * kSecond;
  std::uint64_t next_seq_ = 1, sent_bytes_ = 0, acked_bytes_ = 0;
  std::deque<std::pair<std::uint64_t, std::uint64_t>> pings_;  // seq, sent_bytes_ at that time
  std::minstd_rand random_;
  std::unique_ptr<Scheduler::Timer> retry_, heartbeat_, deadline_, resume_;
  std::shared_ptr<bool> alive_ = std::make_shared<bool> (true);
};

}  // namespace p2p
