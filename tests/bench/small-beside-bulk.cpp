// How long a small message waits beside a bulk transfer on the same connection: two processes over
// ICE on loopback, one channel that is always full and one with 64 bytes each 10 ms.
//   small-beside-bulk [SECONDS [PRIORITY_OF_THE_SMALL_ONE]]
#include <p2p/p2p.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>
#include <thread>
#include <vector>

namespace {

constexpr gint64 kEveryUs = 10000;
constexpr std::size_t kSmallBytes = 64, kBulkBytes = 64 * 1024;

[[noreturn]] void
die (const char *what, const GError *error) {
  std::fprintf (stderr, "small-beside-bulk: %s: %s\n", what, error ? error->message : "?");
  std::exit (1);
}

// One end. Its main context turns in main(), the channels are used by threads with calls that wait.
struct End {
  P2pConnection *connection = nullptr;
  P2pChannel *bulk = nullptr, *small = nullptr;
};

std::string
own_config (P2pAgent *agent, const char *peer) {
  std::string text;
  p2p_agent_create_network_config_async (
      agent, peer, nullptr,
      [] (GObject *source, GAsyncResult *result, gpointer data) {
        GError *error = nullptr;
        P2pNetworkConfig *config =
            p2p_agent_create_network_config_finish (P2P_AGENT (source), result, &error);
        if (!config) die ("own candidates", error);
        char *made = p2p_network_config_to_string (config);
        *static_cast<std::string *> (data) = made;
        g_free (made);
        p2p_network_config_unref (config);
      },
      &text);
  while (text.empty ()) g_main_context_iteration (nullptr, TRUE);
  return text;
}

End
connect (int wire, const char *own, const char *peer, guint priority) {
  GError *error = nullptr;
  P2pAgent *agent = p2p_agent_new (own);
  const std::string text = own_config (agent, peer);
  std::vector<char> other (64 * 1024);
  const ssize_t size = send (wire, text.data (), text.size (), 0) < 0
                           ? -1
                           : recv (wire, &other[0], other.size (), 0);
  if (size <= 0) die ("the other process", nullptr);
  other[static_cast<std::size_t> (size)] = '\0';
  P2pNetworkConfig *remote = p2p_network_config_new_from_string (other.data (), &error);
  End end;
  if (remote) end.connection = p2p_agent_open_connection (agent, peer, remote, &error);
  if (!end.connection) die ("the connection", error);
  P2pChannelOptions *options = p2p_channel_options_new ();
  end.bulk = p2p_connection_open_channel (end.connection, "bulk", options, &error);
  p2p_channel_options_set_priority (options, priority);
  end.small = p2p_connection_open_channel (end.connection, "small", options, &error);
  if (!end.bulk || !end.small) die ("the channels", error);
  p2p_channel_options_free (options);
  p2p_network_config_unref (remote);
  while (p2p_connection_get_state (end.connection) != P2P_CONNECTION_STATE_CONNECTED)
    g_main_context_iteration (nullptr, TRUE);
  return end;
}

void
send_one (P2pChannel *channel, gpointer bytes, std::size_t size) {
  GError *error = nullptr;
  GBytes *payload = g_bytes_new_take (bytes, size);
  P2pMessage *message = p2p_message_new (payload, nullptr);
  if (!p2p_channel_send_message (channel, message, nullptr, &error)) die ("sending", error);
  p2p_message_unref (message);
  g_bytes_unref (payload);
}

void
send_all (const End &end, double seconds) {
  std::atomic<bool> done = false;
  std::thread bulk ([&] {
    while (!done) send_one (end.bulk, g_malloc0 (kBulkBytes), kBulkBytes);
  });
  const gint64 start_us = g_get_monotonic_time ();
  const auto count = static_cast<gint64> (seconds * 1e6) / kEveryUs;
  for (gint64 i = 0; i < count; ++i) {
    const gint64 wait_us = start_us + i * kEveryUs - g_get_monotonic_time ();
    if (wait_us > 0) g_usleep (static_cast<gulong> (wait_us));
    const gint64 now_us = g_get_monotonic_time ();
    auto *bytes = static_cast<guint8 *> (g_malloc0 (kSmallBytes));
    std::memcpy (bytes, &now_us, sizeof now_us);
    send_one (end.small, bytes, kSmallBytes);
  }
  p2p_channel_end (end.small);
  done = true;
  bulk.join ();
}

void
receive_all (const End &end) {
  std::atomic<guint64> bulk_bytes = 0;
  std::thread ([&] {
    while (P2pMessage *message = p2p_channel_receive (end.bulk, nullptr, nullptr)) {
      bulk_bytes += g_bytes_get_size (p2p_message_get_payload (message));
      p2p_message_unref (message);
    }
  }).detach ();
  std::vector<double> waits_ms;
  const gint64 start_us = g_get_monotonic_time ();
  while (P2pMessage *message = p2p_channel_receive (end.small, nullptr, nullptr)) {
    gint64 sent_us = 0;
    std::memcpy (&sent_us, g_bytes_get_data (p2p_message_get_payload (message), nullptr),
                 sizeof sent_us);
    waits_ms.push_back (static_cast<double> (g_get_monotonic_time () - sent_us) / 1000);
    p2p_message_unref (message);
  }
  const auto us = static_cast<double> (g_get_monotonic_time () - start_us);
  if (waits_ms.empty ()) die ("nothing came", nullptr);
  std::sort (waits_ms.begin (), waits_ms.end ());
  const auto part = [&] (double p) {
    return waits_ms[static_cast<std::size_t> (p * static_cast<double> (waits_ms.size () - 1))];
  };
  std::printf ("small: %zu messages, p50 %.3f ms, p99 %.3f ms, most %.3f ms; bulk: %.2f Gbit/s\n",
               waits_ms.size (), part (0.5), part (0.99), part (1),
               static_cast<double> (bulk_bytes.load ()) * 8 / us / 1000);
  std::fflush (stdout);
  _exit (0);  // a thread still waits for bulk data
}

}  // namespace

int
main (int argc, char **argv) {
  const double seconds = argc > 1 ? std::atof (argv[1]) : 10;
  const auto priority = static_cast<guint> (argc > 2 ? std::atoi (argv[2]) : 256);
  int wires[2];
  if (seconds <= 0 || socketpair (AF_UNIX, SOCK_SEQPACKET, 0, wires) < 0) return 2;
  // Before anything of GLib has a thread.
  const pid_t child = fork ();
  if (child < 0) return 1;
  if (child == 0) receive_all (connect (wires[1], "bob", "alice", priority));
  send_all (connect (wires[0], "alice", "bob", priority), seconds);
  int status = 0;
  waitpid (child, &status, 0);
  _exit (WIFEXITED (status) ? WEXITSTATUS (status) : 1);
}
