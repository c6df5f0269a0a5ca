#include "flow.hpp"

#include <algorithm>
#include <cmath>

namespace lab {

namespace {
constexpr double kUsPerMs = 1000;
// Messages in one turn of the main loop, so that the other direction has its turns as well.
constexpr int kTurn = 64;
}  // namespace

Flow::Flow (Owned<P2pChannel> channel, const Plan &plan, Handlers handlers)
    : channel_ (std::move (channel)),
      plan_ (plan),
      handlers_ (std::move (handlers)),
      tally_ (plan.reliable, plan.tell_gap_ms) {
  receive ();
  pump ();
}

Flow::~Flow () {
  if (timer_) g_source_remove (timer_);
}

void
Flow::fail (const char *what, const GError *error) {
  if (failed_ || g_error_matches (error, G_IO_ERROR, G_IO_ERROR_CANCELLED)) return;
  failed_ = true;
  handlers_.failed (what, error->message);
}

bool
Flow::is_due () const {
  return static_cast<double> (next_) * plan_.interval_ms <= now_ms () - started_ms_;
}

void
Flow::pump_after (unsigned wait_ms) {
  if (timer_) return;
  timer_ = g_timeout_add (
      wait_ms,
      [] (gpointer self) -> gboolean {
        static_cast<Flow *> (self)->timer_ = 0;
        static_cast<Flow *> (self)->pump ();
        return G_SOURCE_REMOVE;
      },
      this);
}

void
Flow::pump () {
  for (int i = 0; i < kTurn && !sending_ && !ending_ && !failed_ && is_due (); i++) {
    if (plan_.messages && next_ == plan_.messages) {
      ending_ = true;
      break;
    }
    send_one ();
  }
  if (ending_) {
    flush ();
  } else if (!sending_ && !failed_) {
    const double wait_ms =
        static_cast<double> (next_) * plan_.interval_ms - (now_ms () - started_ms_);
    pump_after (static_cast<unsigned> (std::ceil (std::max (0.0, wait_ms))));
  }
}

void
Flow::send_one () {
  const Header header{next_++, g_get_monotonic_time ()};
  const UniqueBytes bytes = make_message (plan_.seed_out, header, plan_.message_bytes);
  g_autoptr (P2pMessage) message = p2p_message_new (bytes.get (), nullptr);
  GError *raw = nullptr;
  if (p2p_channel_try_send_message (channel_.get (), message, &raw)) return;
  const UniqueError error (raw);
  if (!g_error_matches (error.get (), P2P_ERROR, P2P_ERROR_WOULD_BLOCK)) {
    next_--;
    fail ("send", error.get ());
    return;
  }
  sending_ = true;
  begun_++;
  p2p_channel_send_message_async (channel_.get (), message, cancellable_.get (), on_sent, this);
}

void
Flow::on_sent (GObject *source, GAsyncResult *result, gpointer data) {
  auto *self = static_cast<Flow *> (data);
  self->begun_--;
  self->sending_ = false;
  GError *raw = nullptr;
  const bool sent = p2p_channel_send_message_finish (P2P_CHANNEL (source), result, &raw);
  const UniqueError error (raw);
  if (!sent) {
    self->next_--;
    self->fail ("send", error.get ());
    return;
  }
  self->pump ();
}

void
Flow::end () {
  ending_ = true;
  flush ();
}

void
Flow::flush () {
  // What is being sent goes first; on_sent() comes back here.
  if (sending_ || flushing_ || failed_) return;
  flushing_ = true;
  p2p_channel_end (channel_.get ());
  begun_++;
  p2p_channel_flush_async (channel_.get (), cancellable_.get (), on_flushed, this);
}

void
Flow::on_flushed (GObject *source, GAsyncResult *result, gpointer data) {
  auto *self = static_cast<Flow *> (data);
  self->begun_--;
  GError *raw = nullptr;
  self->flushed_ = p2p_channel_flush_finish (P2P_CHANNEL (source), result, &raw);
  const UniqueError error (raw);
  if (!self->flushed_) self->fail ("flush", error.get ());
  self->tell_end ();
}

void
Flow::tell_end () {
  if (is_over ()) handlers_.ended ();
}

void
Flow::receive () {
  begun_++;
  p2p_channel_receive_async (channel_.get (), cancellable_.get (), on_received, this);
}

void
Flow::on_received (GObject *source, GAsyncResult *result, gpointer data) {
  auto *self = static_cast<Flow *> (data);
  self->begun_--;
  GError *raw = nullptr;
  P2pMessage *message = p2p_channel_receive_finish (P2P_CHANNEL (source), result, &raw);
  for (int i = 0; message; i++) {
    self->take (message);
    p2p_message_unref (message);
    if (i == kTurn) break;
    message = p2p_channel_try_receive (self->channel_.get (), &raw);
  }
  const UniqueError error (raw);
  if (!error || g_error_matches (error.get (), P2P_ERROR, P2P_ERROR_WOULD_BLOCK))
    self->receive ();
  else
    self->on_no_message (error);
}

void
Flow::on_no_message (const UniqueError &error) {
  if (!g_error_matches (error.get (), P2P_ERROR, P2P_ERROR_END_OF_STREAM)) {
    fail ("receive", error.get ());
    return;
  }
  heard_end_ = true;
  tell_end ();
}

void
Flow::take (P2pMessage *message) {
  Header header;
  if (!read_message (plan_.seed_in, p2p_message_get_payload (message), plan_.message_bytes,
                     header)) {
    tally_.take_corrupt ();
    return;
  }
  const bool first = tally_.received () == 0;
  tally_.take (header.number, static_cast<double> (header.sent_us) / kUsPerMs);
  if (first) handlers_.first ();
}

}  // namespace lab
