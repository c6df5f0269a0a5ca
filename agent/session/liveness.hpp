// Whether the peer is there: when to ping it, when to call the connection broken, restored or over.
// A pure state machine: it has no timer and does no I/O, each call says what time it is.
//
// - Any authenticated packet is a sign of life. Only silence is asked about, and only while
//   answers are missing are pings quick: enough of them that loss alone does not break.
// - What is broken is restored by a pong, as nothing else proves both directions.
// - A peer that hears nothing of us says so in its pings; what we hear of it then proves nothing.
// - Silence counts only while the own process runs: a stall begins it anew, and a wake-up that is a
//   little late puts its end off, so that what lies in the socket is read before.
//
// After each call the owner arms its timer for deadline(). heard() only moves it to later while
// live, so that the timer may be left alone there: a call of on_deadline() that is too early does
// no harm.
#pragma once
#include <cstdint>

#include "base/error.hpp"
#include "base/scheduler.hpp"

namespace p2p {

enum class BreakReason {
  silence,       // nothing came from the peer
  network_down,  // the own host has no network
  peer,          // the peer hears nothing of us
  relay_lost,    // the relay ended its allocation
  transport,     // the transport beneath ended
};

struct LivenessSettings {
  TimeUs ping_interval = kSecond;          // of silence, before a ping; at least 10 ms
  TimeUs ping_timeout = 0;                 // of silence, before it is broken; 0: twice the interval
  TimeUs comeback_timeout = 30 * kSecond;  // after it broke; 0: it is never over
  TimeUs idle_timeout = 0;                 // without application data; 0: off
};

class Liveness {
 public:
  enum class State { live, broken, over };

  // Called from inside of the calls below only, and may call back in, but not destroy the Liveness.
  class Host {
   public:
    virtual ~Host () = default;
    // A ping on each way that may work. `unheard`: tell the peer that we hear nothing of it.
    virtual void liveness_ping (bool unheard) = 0;
    // Once in a silence, when its first answer is missing: look for the peer elsewhere.
    virtual void liveness_suspect () = 0;
    // The own process did not run for about `span`: what was measured across it says nothing.
    virtual void liveness_stalled (TimeUs span) = 0;
    virtual void liveness_broken (BreakReason reason) = 0;
    virtual void liveness_restored (TimeUs outage) = 0;   // since liveness_broken()
    virtual void liveness_over (const Error &error) = 0;  // P2P_ERROR_TIMED_OUT; the last call
  };

  // `seed` sets this side apart from others.
  Liveness (const LivenessSettings &settings, Host &host, std::uint64_t seed);

  // Pings at once, to learn the round trip; `rtt` is what stands until then.
  void start (TimeUs now, TimeUs rtt = kUnknownRtt);
  // Any authenticated packet. Pings and pongs are told by their own calls instead.
  void heard (TimeUs now);
  void ping_arrived (TimeUs now, bool peer_unheard);
  // `rtt`: since that ping was sent.
  void pong_arrived (TimeUs now, TimeUs rtt);
  void carried (TimeUs now) { carried_at_ = now; }  // application data, for the idle timeout
  // What somebody else knows; nothing new while it is broken already.
  void break_now (TimeUs now, BreakReason reason);
  // Addresses or routes are others than before: asks at once.
  void network_changed (TimeUs now);
  // May change while it runs: silence counts anew, and a ping asks at once.
  void set_settings (TimeUs now, const LivenessSettings &settings);

  TimeUs deadline () const;
  void on_deadline (TimeUs now);

  const LivenessSettings &settings () const { return settings_; }
  State state () const { return state_; }
  BreakReason reason () const { return reason_; }  // why it broke last
  // Silence longer than this breaks; it grows with the round trip.
  TimeUs patience () const;
  TimeUs smoothed_rtt () const { return srtt_; }

  static constexpr TimeUs kUnknownRtt = 333 * kMillisecond;  // RFC 9002 section 6.2.2

 private:
  bool awake (TimeUs now);
  void stalled (TimeUs now, TimeUs late);
  void run_due (TimeUs now);
  void sign_of_life (TimeUs now);
  void take_rtt (TimeUs now, TimeUs rtt);
  void probe (TimeUs now);
  void break_off (TimeUs now, BreakReason reason, TimeUs proof_since);
  void restore (TimeUs now);
  void finish (std::string sentence);
  void listen ();
  void begin_back_off (TimeUs now);
  void draw_preference ();
  std::uint64_t random ();

  TimeUs interval () const;
  TimeUs grid () const;
  TimeUs margin () const;
  TimeUs usual_answer () const;
  TimeUs answer_due () const;
  TimeUs next_quick_ping (TimeUs now) const;
  TimeUs next_back_off (TimeUs now);
  TimeUs own_deadline () const;
  TimeUs silence_deadline () const { return heard_at_ + patience () + put_off_; }
  TimeUs doubt_deadline () const {
    return doubt_until_ == kNever ? kNever : doubt_until_ + put_off_;
  }
  TimeUs suspect_deadline () const;
  TimeUs idle_deadline () const;
  TimeUs over_deadline () const;

  LivenessSettings settings_;
  Host &host_;
  std::uint64_t random_;
  State state_ = State::live;
  BreakReason reason_ = BreakReason::silence;
  bool started_ = false;

  TimeUs heard_at_ = 0;  // or when the grace after a stall began
  TimeUs carried_at_ = 0;
  TimeUs next_ping_ = kNever;
  TimeUs preference_ = 0;  // steps of the grid

  // RFC 6298 section 2, with at most one sample for each round trip.
  TimeUs srtt_ = kUnknownRtt, rttvar_ = 0;
  bool rtt_measured_ = false;
  TimeUs sample_from_ = 0;  // pings sent before it are no sample any more

  // While live.
  TimeUs pinged_at_ = kNever;  // the first ping of this silence
  bool suspected_ = false;
  TimeUs put_off_ = 0;  // the end of this silence, by what the own thread was late
  TimeUs doubted_at_ = 0, doubt_until_ = kNever;  // the peer said that it hears nothing

  // While broken.
  TimeUs broken_at_ = 0;
  TimeUs proof_since_ = 0;  // pings sent before it prove nothing by their pong
  TimeUs back_off_ = 0, back_off_from_ = 0;
  TimeUs pinged_last_ = 0;
  TimeUs stalled_for_ = 0;

  // Own stalls.
  TimeUs awake_since_ = 0;
  TimeUs unheard_counts_from_ = 0;  // before it, peers speak of the time when we did not run
  bool heard_since_stall_ = true;
};

}  // namespace p2p
