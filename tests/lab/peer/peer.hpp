// One of two peers: an agent, a connection, what flows over it, and an orderly end of both.
#pragma once
#include <memory>
#include <string>

#include "flow.hpp"
#include "options.hpp"
#include "watch.hpp"

namespace lab {

// Each side ends its channels, waits until the peer has taken everything and has ended its own, and
// says "done" with what it has sent, on a channel of its own. When it has said so and heard so, it
// has finished. The one with the smaller id leaves once its "done" was taken, the other when that
// one is gone.
class Peer {
 public:
  Peer (const Options &options, GMainLoop *loop);
  ~Peer ();
  Peer (const Peer &) = delete;
  Peer &operator= (const Peer &) = delete;

  bool start ();
  // Sends nothing more; goes on until the end of both.
  void end_sending ();
  // Leaves now, whatever is missing.
  void give_up (const char *why);
  // Once the loop has ended: tells the totals; whether everything came, once, whole, both ways.
  bool conclude ();

 private:
  void set_properties ();
  void on_state (P2pConnectionState state);
  void open_channels ();
  std::unique_ptr<Flow> open_flow (const char *name, bool reliable);
  Owned<P2pChannel> open_channel (const char *name, bool reliable);
  void on_flow_over ();
  void on_failed (const char *what, const char *why);
  void listen ();
  void on_done_heard (const std::string &text);
  void leave_when_done ();
  void leave ();
  void arm (unsigned wait_ms, void (*what) (Peer *self));
  bool is_idle () const;

  static void on_heard (GObject *source, GAsyncResult *result, gpointer self);
  static void on_done_flushed (GObject *source, GAsyncResult *result, gpointer self);
  static void on_closed (GObject *source, GAsyncResult *result, gpointer self);

  const Options options_;
  GMainLoop *const loop_;
  Owned<P2pAgent> agent_;
  Owned<P2pConnection> connection_;
  std::unique_ptr<Watch> watch_;
  std::unique_ptr<Flow> data_, datagrams_;
  Owned<P2pChannel> control_;
  Owned<GCancellable> cancellable_{g_cancellable_new ()};
  guint end_timer_ = 0, timer_ = 0;
  unsigned begun_ = 0;
  bool done_told_ = false, done_taken_ = false, done_heard_ = false;
  bool finished_ = false, leaving_ = false, failed_ = false, removed_ = false;
};

}  // namespace lab
