// lab-peer: one of two peers that send to each other while the laboratory pulls their cables.
//
// Every message has a number, the time of sending and a pattern; the other side checks all three.
// What happens is told as JSON, one object a line. The exit code is 0 only when nothing was lost,
// doubled or damaged, and the peer has finished too. SIGUSR1 ends the sending; SIGTERM and SIGINT
// end all.
#include <glib-unix.h>

#include "options.hpp"
#include "peer.hpp"

namespace {

constexpr int kUsageError = 2;

gboolean
on_end (gpointer peer) {
  static_cast<lab::Peer *> (peer)->end_sending ();
  return G_SOURCE_CONTINUE;
}

gboolean
on_stop (gpointer peer) {
  static_cast<lab::Peer *> (peer)->give_up ("it was told to stop");
  return G_SOURCE_CONTINUE;
}

}  // namespace

int
main (int argc, char **argv) {
  // Standard output is for what is told.
  g_log_writer_default_set_use_stderr (TRUE);
  lab::Options options;
  if (!lab::parse_options (argc, argv, options)) return kUsageError;
  GMainLoop *loop = g_main_loop_new (nullptr, FALSE);
  bool good = false;
  {
    lab::Peer peer (options, loop);
    const guint signals[] = {g_unix_signal_add (SIGUSR1, on_end, &peer),
                             g_unix_signal_add (SIGTERM, on_stop, &peer),
                             g_unix_signal_add (SIGINT, on_stop, &peer)};
    if (peer.start ()) {
      g_main_loop_run (loop);
      good = peer.conclude ();
    }
    for (const guint id : signals) g_source_remove (id);
  }
  g_main_loop_unref (loop);
  return good ? 0 : 1;
}
