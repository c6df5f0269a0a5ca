// One channel, both ways: sends numbered messages at a rate, and takes and checks the peer's.
#pragma once
#include <p2p/p2p.h>

#include <functional>

#include "pattern.hpp"
#include "tally.hpp"

namespace lab {

struct Plan {
  std::uint64_t seed_out = 0, seed_in = 0;
  std::size_t message_bytes = 0;
  double interval_ms = 0;      // 0: as fast as possible
  std::uint64_t messages = 0;  // 0: no limit
  bool reliable = true;
  double tell_gap_ms = 0;
};

class Flow {
 public:
  struct Handlers {
    std::function<void ()> first;  // the first message of the peer has come
    std::function<void ()> ended;  // see is_over()
    std::function<void (const char *what, const char *why)> failed;
  };
  // Sends from now on. It must outlive what it has begun: see is_idle().
  Flow (Owned<P2pChannel> channel, const Plan &plan, Handlers handlers);
  ~Flow ();
  Flow (const Flow &) = delete;
  Flow &operator= (const Flow &) = delete;

  // Sends nothing more, and tells the peer so.
  void end ();
  void cancel () { g_cancellable_cancel (cancellable_.get ()); }

  // The peer has taken everything, and has said that nothing more comes.
  bool is_over () const { return flushed_ && heard_end_; }
  bool is_idle () const { return begun_ == 0; }
  std::uint64_t sent () const { return next_; }
  Tally &tally () { return tally_; }
  const Tally &tally () const { return tally_; }

 private:
  void pump ();
  void pump_after (unsigned wait_ms);
  bool is_due () const;
  void send_one ();
  void flush ();
  void receive ();
  void take (P2pMessage *message);
  void on_no_message (const UniqueError &error);
  void fail (const char *what, const GError *error);
  void tell_end ();

  static void on_sent (GObject *source, GAsyncResult *result, gpointer self);
  static void on_flushed (GObject *source, GAsyncResult *result, gpointer self);
  static void on_received (GObject *source, GAsyncResult *result, gpointer self);

  const Owned<P2pChannel> channel_;
  const Owned<GCancellable> cancellable_{g_cancellable_new ()};
  const Plan plan_;
  const Handlers handlers_;
  const double started_ms_ = now_ms ();
  Tally tally_;
  std::uint64_t next_ = 0;
  guint timer_ = 0;
  unsigned begun_ = 0;
  bool sending_ = false, ending_ = false, flushing_ = false, flushed_ = false;
  bool heard_end_ = false, failed_ = false;
};

}  // namespace lab
