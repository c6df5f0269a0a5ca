// Whether another relayed way is kept ready beside one in use that takes a relay: when it is built,
// how often it is asked whether it still works, and when it is given up. Decides alone; what it
// builds and asks is the host's. Core thread only.
#pragma once
#include <cstdint>
#include <memory>

#include "base/scheduler.hpp"

namespace p2p {

class Standby {
 public:
  // Called from a timer only, and may call see() from inside.
  class Host {
   public:
    virtual ~Host () = default;
    virtual bool standby_build () = 0;  // false: it cannot be now
    virtual void standby_ask () = 0;    // the way that there is; answered() is the answer
    // What is being built, or the way that does not answer: nobody waits for it any more.
    virtual void standby_give_up () = 0;
  };
  struct Config {
    bool builds = false;  // else the peer does, and this side keeps what there is
    bool client = false;  // it begins; a server gives it time, as one side is enough
  };
  struct View {
    bool wanted = false;    // the way in use takes a relay, and works
    bool building = false;  // what was begun has come to no end
    bool there = false;     // a way that shares no relay with the one in use
  };
  struct Stats {
    std::uint64_t built = 0, lost = 0;  // ways
    std::uint64_t failed = 0;           // attempts to build one
  };

  Standby (const Config &config, Scheduler &clock, Host &host);

  void see (const View &view);  // after whatever may have changed it
  void answered ();
  void doubt ();       // asks at once, if there is one
  void begin_anew ();  // the network is another one: what failed may work by now
  void stop ();
  const Stats &stats () const { return stats_; }

  // Above the round trips of a path and below the timeout of a NAT's mapping.
  static constexpr TimeUs kAskEvery = 5 * kSecond;
  // Asked every half second at least: six of them are not lost by chance.
  static constexpr TimeUs kAnswerWithin = 3 * kSecond;
  // The servers' 2 s, and the checks.
  static constexpr TimeUs kBuildWithin = 8 * kSecond;
  // After the way in use is there: what is still said about that one comes first.
  static constexpr TimeUs kFirstWait = 500 * kMillisecond;
  static constexpr TimeUs kServerWait = kSecond;  // longer than a client
  static constexpr TimeUs kLongestWait = 60 * kSecond;

 private:
  enum class State { idle, waiting, building, there, asked };

  void wait ();
  void on_timer ();

  const Config config_;
  Scheduler &clock_;
  Host &host_;
  State state_ = State::idle;
  TimeUs wait_ = 0;
  Stats stats_;
  const std::unique_ptr<Scheduler::Timer> timer_;
};

}  // namespace p2p
