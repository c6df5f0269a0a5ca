// How two sides come to one pair of attempts, by offers and answers that are lost, repeated,
// overtaken by others or cross each other. docs/wire-format.md, "Attempts", has the rules. It holds
// the generation that is being built. Core thread only.
#pragma once
#include <memory>
#include <string>

#include "base/scheduler.hpp"
#include "core/generation.hpp"

namespace p2p {

class Negotiation {
 public:
  class Host {
   public:
    virtual ~Host () = default;
    // Null when there can be none; the host has acted. The one before is dropped after this.
    virtual std::unique_ptr<Generation> negotiation_generation () = 0;
    virtual void negotiation_hello (PeerSignal hello) = 0;  // to be sent
    virtual bool negotiation_peer_there () const = 0;       // whether a hello would arrive
    // Pairs what is being built with the peer's attempt; false when it is gone after that.
    virtual bool negotiation_start (const PeerSignal &hello) = 0;
  };

  Negotiation (Host &host, Scheduler &clock);

  Generation *current () const { return current_.get (); }
  bool waits () const { return current_ && !current_->started (); }
  // Of the peer's attempts that were followed, the newest.
  const std::string &newest_remote () const { return newest_remote_; }
  void set_newest_remote (const std::string &attempt) { newest_remote_ = attempt; }

  bool begin ();  // a new generation instead of the one that there is
  void offer ();  // says hello, again and again until it is answered
  void drop ();
  std::unique_ptr<Generation> take ();  // it has become what it was for
  // Counts as rejected when false: too late, or of no attempt of ours.
  bool receive (const PeerSignal &hello);

 private:
  void repeat_offer ();

  Host &host_;
  Scheduler &clock_;
  std::unique_ptr<Generation> current_;
  std::string newest_remote_;
  std::unique_ptr<Scheduler::Timer> repeat_;
  TimeUs repeat_after_ = 0;
};

}  // namespace p2p
