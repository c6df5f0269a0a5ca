#include "peer.hpp"

#include <algorithm>
#include <cinttypes>
#include <cstdio>
#include <cstring>

#include "property.hpp"

namespace lab {

namespace {
constexpr char kDataChannel[] = "data", kDatagramChannel[] = "datagrams", kControlChannel[] = "end";
// QUIC's smallest packets carry that, so that no part of a message is lost alone.
constexpr std::size_t kMaxDatagramBytes = 1000;
// For the other to leave first, or for a connection whose channels failed to say that it is
// removed.
constexpr unsigned kLeavePatienceMs = 10000;
constexpr double kMsPerS = 1000, kBitsPerByte = 8;
}  // namespace

Peer::Peer (const Options &options, GMainLoop *loop) : options_ (options), loop_ (loop) {}

Peer::~Peer () {
  for (const guint id : {end_timer_, timer_})
    if (id) g_source_remove (id);
}

bool
Peer::start () {
  agent_.reset (p2p_agent_new (options_.id.c_str ()));
  if (!options_.secret.empty ()) p2p_agent_set_secret (agent_.get (), options_.secret.c_str ());
  set_properties ();
  GError *raw = nullptr;
  const bool good =
      p2p_agent_set_rendezvous (agent_.get (), options_.rendezvous.c_str (), &raw) &&
      (options_.stun.empty () ||
       p2p_agent_set_stun_server (agent_.get (), options_.stun.c_str (), &raw)) &&
      std::all_of (options_.turn.begin (), options_.turn.end (), [&] (const std::string &uri) {
        return p2p_agent_add_turn_server (agent_.get (), uri.c_str (), &raw);
      });
  if (good)
    connection_.reset (
        p2p_agent_open_connection (agent_.get (), options_.peer.c_str (), nullptr, &raw));
  const UniqueError error (raw);
  if (!connection_) {
    Line ("failed").text ("what", "start").text ("why", error->message);
    return false;
  }
  watch_ = std::make_unique<Watch> (connection_.get (),
                                    [this] (P2pConnectionState state) { on_state (state); });
  return true;
}

void
Peer::set_properties () {
  for (const auto &[name, text] : options_.properties) {
    if (!set_property_text (G_OBJECT (agent_.get ()), name, text))
      Line ("property-unknown").text ("name", name.c_str ()).text ("value", text.c_str ());
  }
}

void
Peer::on_state (P2pConnectionState state) {
  if (state == P2P_CONNECTION_STATE_CONNECTED && !data_) open_channels ();
  if (state != P2P_CONNECTION_STATE_REMOVED) return;
  removed_ = true;
  if (!leaving_) leave ();
}

Owned<P2pChannel>
Peer::open_channel (const char *name, bool reliable) {
  P2pChannelOptions *channel_options = p2p_channel_options_new ();
  if (!reliable) {
    p2p_channel_options_set_ordered (channel_options, FALSE);
    p2p_channel_options_set_max_retransmits (channel_options, 0);
  }
  GError *raw = nullptr;
  Owned<P2pChannel> channel (
      p2p_connection_open_channel (connection_.get (), name, channel_options, &raw));
  const UniqueError error (raw);
  p2p_channel_options_free (channel_options);
  if (!channel) on_failed ("open", error->message);
  return channel;
}

std::unique_ptr<Flow>
Peer::open_flow (const char *name, bool reliable) {
  Owned<P2pChannel> channel = open_channel (name, reliable);
  if (!channel) return nullptr;
  Plan plan;
  plan.seed_out = pattern_seed (options_.id, name);
  plan.seed_in = pattern_seed (options_.peer, name);
  plan.message_bytes = static_cast<std::size_t> (options_.message_bytes);
  if (!reliable) plan.message_bytes = std::min (plan.message_bytes, kMaxDatagramBytes);
  // Bits over kbit/s are milliseconds. What may be lost never goes without a rate.
  const double bits = static_cast<double> (plan.message_bytes) * kBitsPerByte;
  if (options_.rate_kbit)
    plan.interval_ms = bits / options_.rate_kbit;
  else if (!reliable)
    plan.interval_ms = 1;
  plan.messages = static_cast<std::uint64_t> (options_.messages);
  plan.reliable = reliable;
  plan.tell_gap_ms = reliable ? options_.tell_gap_ms : G_MAXDOUBLE;
  return std::make_unique<Flow> (
      std::move (channel), plan,
      Flow::Handlers{[reliable] {
                       if (reliable) Line ("flowing");
                     },
                     [this] { on_flow_over (); },
                     [this] (const char *what, const char *why) { on_failed (what, why); }});
}

void
Peer::open_channels () {
  control_ = open_channel (kControlChannel, true);
  data_ = open_flow (kDataChannel, true);
  if (options_.unreliable) datagrams_ = open_flow (kDatagramChannel, false);
  if (!control_ || !data_) return;
  listen ();
  if (options_.seconds)
    end_timer_ = g_timeout_add (
        static_cast<guint> (options_.seconds * kMsPerS),
        [] (gpointer self) -> gboolean {
          static_cast<Peer *> (self)->end_timer_ = 0;
          static_cast<Peer *> (self)->end_sending ();
          return G_SOURCE_REMOVE;
        },
        this);
}

void
Peer::end_sending () {
  if (!data_) {
    give_up ("it was to end before it was connected");
    return;
  }
  data_->end ();
  if (datagrams_) datagrams_->end ();
}

void
Peer::on_flow_over () {
  if (!data_ || !data_->is_over () || (datagrams_ && !datagrams_->is_over ()) || done_told_) return;
  done_told_ = true;
  char text[100];
  std::snprintf (text, sizeof text, "done %" PRIu64 " %" PRIu64, data_->sent (),
                 datagrams_ ? datagrams_->sent () : 0);
  const UniqueBytes bytes (g_bytes_new (text, std::strlen (text)));
  g_autoptr (P2pMessage) message = p2p_message_new (bytes.get (), nullptr);
  GError *raw = nullptr;
  const bool sent = p2p_channel_try_send_message (control_.get (), message, &raw);
  const UniqueError error (raw);
  if (!sent) {
    on_failed ("done", error->message);
    return;
  }
  p2p_channel_end (control_.get ());
  begun_++;
  p2p_channel_flush_async (control_.get (), cancellable_.get (), on_done_flushed, this);
  leave_when_done ();
}

void
Peer::on_done_flushed (GObject *source, GAsyncResult *result, gpointer data) {
  auto *self = static_cast<Peer *> (data);
  self->begun_--;
  GError *raw = nullptr;
  self->done_taken_ = p2p_channel_flush_finish (P2P_CHANNEL (source), result, &raw);
  const UniqueError error (raw);
  if (!self->done_taken_) self->on_failed ("done", error->message);
  self->leave_when_done ();
}

void
Peer::listen () {
  begun_++;
  p2p_channel_receive_async (control_.get (), cancellable_.get (), on_heard, this);
}

void
Peer::on_heard (GObject *source, GAsyncResult *result, gpointer data) {
  auto *self = static_cast<Peer *> (data);
  self->begun_--;
  GError *raw = nullptr;
  g_autoptr (P2pMessage) message = p2p_channel_receive_finish (P2P_CHANNEL (source), result, &raw);
  const UniqueError error (raw);
  if (!message) {
    self->on_failed ("hear the end", error->message);
    return;
  }
  gsize size = 0;
  const auto *text =
      static_cast<const char *> (g_bytes_get_data (p2p_message_get_payload (message), &size));
  self->on_done_heard (std::string (text, size));
}

void
Peer::on_done_heard (const std::string &text) {
  std::uint64_t sent = 0, datagrams_sent = 0;
  if (std::sscanf (text.c_str (), "done %" SCNu64 " %" SCNu64, &sent, &datagrams_sent) != 2) {
    on_failed ("hear the end", "it is another sentence.");
    return;
  }
  done_heard_ = true;
  data_->tally ().finish (sent);
  if (datagrams_) datagrams_->tally ().finish (datagrams_sent);
  leave_when_done ();
}

void
Peer::leave_when_done () {
  if (done_told_ && done_heard_ && !finished_) {
    finished_ = true;
    // Later, when the connection is gone, so are its figures.
    Line ("finished").variant ("stats", watch_->stats ().get ());
    arm (kLeavePatienceMs, [] (Peer *self) { self->leave (); });
  }
  if (finished_ && done_taken_ && options_.id < options_.peer) leave ();
}

void
Peer::on_failed (const char *what, const char *why) {
  // A connection that is removed fails each of its channels, and says so itself.
  if (failed_ || leaving_ || finished_) return;
  failed_ = true;
  Line ("failed").text ("what", what).text ("why", why);
  arm (kLeavePatienceMs, [] (Peer *self) { self->leave (); });
}

void
Peer::give_up (const char *why) {
  if (leaving_) return;
  if (!finished_) Line ("failed").text ("what", "go on").text ("why", why);
  failed_ = true;
  leave ();
}

void
Peer::arm (unsigned wait_ms, void (*what) (Peer *self)) {
  struct Call {
    Peer *self;
    void (*what) (Peer *self);
  };
  if (timer_) g_source_remove (timer_);
  timer_ = g_timeout_add_full (
      G_PRIORITY_DEFAULT, wait_ms,
      [] (gpointer data) -> gboolean {
        auto *call = static_cast<Call *> (data);
        call->self->timer_ = 0;
        call->what (call->self);
        return G_SOURCE_REMOVE;
      },
      new Call{this, what}, [] (gpointer data) { delete static_cast<Call *> (data); });
}

void
Peer::leave () {
  if (leaving_) return;
  leaving_ = true;
  begun_++;
  p2p_agent_close_async (agent_.get (), nullptr, on_closed, this);
}

void
Peer::on_closed (GObject *source, GAsyncResult *result, gpointer data) {
  auto *self = static_cast<Peer *> (data);
  self->begun_--;
  (void)p2p_agent_close_finish (P2P_AGENT (source), result, nullptr);
  g_main_loop_quit (self->loop_);
}

bool
Peer::is_idle () const {
  return begun_ == 0 && (!data_ || data_->is_idle ()) && (!datagrams_ || datagrams_->is_idle ());
}

bool
Peer::conclude () {
  for (Flow *flow : {data_.get (), datagrams_.get ()})
    if (flow) flow->cancel ();
  g_cancellable_cancel (cancellable_.get ());
  while (!is_idle ()) g_main_context_iteration (nullptr, TRUE);
  const bool good =
      finished_ && data_->tally ().good () && (!datagrams_ || datagrams_->tally ().good ());
  if (data_ && !finished_) data_->tally ().break_off ();
  Line line ("totals");
  line.flag ("finished", finished_).flag ("good", good).flag ("removed", removed_);
  if (data_) {
    line.count ("sent", data_->sent ());
    data_->tally ().tell (line, "");
  }
  if (datagrams_) {
    line.count ("datagrams_sent", datagrams_->sent ());
    datagrams_->tally ().tell (line, "datagrams_");
  }
  if (watch_) watch_->tell (line);
  return good;
}

}  // namespace lab
