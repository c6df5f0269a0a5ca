// Watches the line to the peer below a session: sends probes on its ways, hears what comes, and
// says when it is broken and restored (Liveness), and which way works. Core thread only.
#pragma once
#include <map>
#include <memory>

#include "path/path_group.hpp"
#include "session/liveness.hpp"
#include "session/ping_log.hpp"
#include "session/probe.hpp"
#include "transport/transport.hpp"

namespace p2p {

class LineWatch final : private Liveness::Host, private PathGroup::Observer {
 public:
  using Way = PathGroup::Way;

  // Called from timers and when datagrams arrive, and from inside of break_now() and proved().
  // Nobody destroys the watch from inside.
  class Observer {
   public:
    virtual ~Observer () = default;
    virtual void watch_suspect () = 0;  // a first answer is missing
    virtual void watch_probes () = 0;   // a round of probes while it is suspect or broken
    virtual void watch_broken (BreakReason reason) = 0;
    virtual void watch_restored (TimeUs outage, Way way) = 0;  // the peer was heard on `way`
    virtual void watch_over (const Error &error) = 0;          // for good
    virtual void watch_way_answers (Way way) = 0;              // it carries both directions
    virtual void watch_way_wanted (Way way) = 0;               // the peer asks us to send on it
    // A ping of the peer says which transport it has, or asks for.
    virtual void watch_transport (std::uint64_t name, bool anew) = 0;
    virtual void watch_way_silent (Way way) = 0;  // it was asked for, and does not answer
    virtual void watch_way_changed (Way way) = 0;
    virtual void watch_way_failed (Way way, const Error &error) = 0;
    virtual bool watch_may_ask (Way way) const = 0;  // whether a probe may go out there
  };

  struct Config {
    LivenessSettings settings;
    SharedSecret secret{};
    bool client = false;
    std::uint64_t epoch = 1;  // of this side of the session: no number of a probe comes twice
  };

  LineWatch (const Config &config, Scheduler &clock, Observer &observer);
  ~LineWatch () override;
  LineWatch (const LineWatch &) = delete;
  LineWatch &operator= (const LineWatch &) = delete;

  // What it watches, which outlives that; null while there is nothing.
  void watch (PathGroup *ways, const Transport *transport);
  // Another transport over the same ways, or none.
  void follow (const Transport *transport);
  // What every ping says: the transport that there is, or the one that is asked for.
  void set_transport (std::uint64_t name, bool anew);
  void tell ();  // says so at once, on every way
  // Nothing carries it yet, and it is to be found again.
  void start_broken (BreakReason reason);
  void stop ();  // for good: nothing is told any more
  bool broken () const { return liveness_.state () == Liveness::State::broken; }
  bool suspect () const { return suspect_; }
  // A probe of the peer has come: it has a line as well, and will answer.
  bool met () const { return met_; }
  void set_settings (const LivenessSettings &settings);
  const LivenessSettings &settings () const { return liveness_.settings (); }
  void carried ();          // application data moved
  void network_changed ();  // looks at once
  void break_now (BreakReason reason);
  void proved ();         // both directions work, as something else has shown
  void prove (Way way);   // asks on it until it answers
  void want (Way way);    // asks the peer to send on it, until it has heard
  void forget (Way way);  // before it is removed
  // Of a ping on that way no answer has come so far, nor anything else.
  bool unanswered (Way way) const;
  bool missed (Way way) const;  // nor within the time that an answer takes
  bool quiet (Way way) const;   // nothing has come for that time, asked or not
  TimeUs round_trip () const { return liveness_.smoothed_rtt (); }
  PingStats pings () { return pings_.stats (clock_.now ()); }
  const ProbeRejections &rejected_probes () const { return codec_.rejections (); }

 private:
  struct Asked {
    TimeUs next = 0, wait = 0;
    bool wanted = false;             // the peer shall use it
    TimeUs since = 0;                // it was wanted; 0: told that it does not answer
    std::uint64_t first_number = 0;  // of the ping that asks so
  };

  struct Heard {
    TimeUs at = 0;          // a probe
    TimeUs asked = kNever;  // by the first ping since then
  };

  TimeUs heard_at (Way way) const;
  TimeUs answer_time () const;
  // Whether what comes there is a sign of life: what is kept ready is asked now and then, and would
  // hide the silence of the way in use.
  bool counts (Way way) const;
  void liveness_ping (bool unheard) override;
  void liveness_suspect () override;
  void liveness_stalled (TimeUs span) override;
  void liveness_broken (BreakReason reason) override;
  void liveness_restored (TimeUs outage) override;
  void liveness_over (const Error &error) override;
  void group_probe (Way way, ByteView datagram) override;
  void group_way_changed (Way way) override;
  void group_way_failed (Way way, const Error &error) override;

  void ping (Way way, bool unheard);
  void answered (Way way, std::uint64_t number);
  void hear_transport ();
  void on_timer ();
  void ask (Way way, bool wanted);
  void ask_again ();
  void rearm ();

  Scheduler &clock_;
  Observer &observer_;
  PathGroup *ways_ = nullptr;
  const Transport *transport_ = nullptr;
  std::uint64_t transport_name_ = 0;
  bool anew_ = false;
  TimeUs heard_us_ = 0;  // what the liveness was told of the transport
  ProbeCodec codec_;
  PingLog pings_;
  Liveness liveness_;
  std::map<Way, Asked> asked_;
  std::map<Way, Heard> heard_;  // of the ways that there are
  Way last_way_ = 0;            // on which the peer was heard last
  bool suspect_ = false, started_ = false, stopped_ = false, met_ = false;
  const std::unique_ptr<Scheduler::Timer> timer_;
};

}  // namespace p2p
