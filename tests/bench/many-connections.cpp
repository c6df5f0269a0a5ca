// What many connections of one process cost: two processes, one agent with N connections and N
// agents with one each, over ICE on loopback; a third hosts the local meeting point.
//   many-connections [CONNECTIONS [IDLE_SECONDS]]
#include <malloc.h>
#include <p2p/p2p.h>
#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include <glib/gstdio.h>

namespace {

// Below the number of unproven peers that an agent takes at once.
constexpr unsigned kUnderWay = 48;
constexpr int kSettleMs = 10000;  // probes of the path MTU go on for some seconds
constexpr int kPatienceS = 120;

[[noreturn]] void
die (const std::string &text) {
  std::fprintf (stderr, "many-connections: %s\n", text.c_str ());
  std::exit (1);
}

void
check (bool good, const char *what, GError *error) {
  if (!good) die (std::string (what) + ": " + (error ? error->message : "no reason given"));
}

// Iterates the default main context until the condition holds.
bool
run_until (const std::function<bool ()> &condition, int limit_ms) {
  bool expired = false;
  const guint timer = g_timeout_add (
      static_cast<guint> (limit_ms),
      [] (gpointer data) -> gboolean {
        *static_cast<bool *> (data) = true;
        return G_SOURCE_CONTINUE;
      },
      &expired);
  while (!expired && !condition ()) g_main_context_iteration (nullptr, TRUE);
  g_source_remove (timer);
  return condition ();
}

struct Usage {
  double cpu_seconds = 0, wall_seconds = 0;
  long pss_kib = 0, private_kib = 0, heap_kib = 0;
  unsigned threads = 0, descriptors = 0;
};

unsigned
entries (const char *path) {
  GDir *dir = g_dir_open (path, 0, nullptr);
  unsigned count = 0;
  while (dir && g_dir_read_name (dir)) ++count;
  if (dir) g_dir_close (dir);
  return count;
}

long
rollup (const char *field) {
  char *text = nullptr;
  if (!g_file_get_contents ("/proc/self/smaps_rollup", &text, nullptr, nullptr)) return 0;
  const char *line = std::strstr (text, field);
  const long kib = line ? std::atol (line + std::strlen (field)) : 0;
  g_free (text);
  return kib;
}

Usage
usage () {
  Usage now;
  rusage times{};
  getrusage (RUSAGE_SELF, &times);
  now.cpu_seconds = static_cast<double> (times.ru_utime.tv_sec + times.ru_stime.tv_sec) +
                    static_cast<double> (times.ru_utime.tv_usec + times.ru_stime.tv_usec) / 1e6;
  now.wall_seconds = static_cast<double> (g_get_monotonic_time ()) / 1e6;
  now.pss_kib = rollup ("\nPss:");
  now.private_kib = rollup ("\nPrivate_Dirty:");
  const struct mallinfo2 heap = mallinfo2 ();
  now.heap_kib = static_cast<long> ((heap.uordblks + heap.hblkhd) / 1024);
  now.threads = entries ("/proc/self/task");
  now.descriptors = entries ("/proc/self/fd");
  return now;
}

void
tell_memory (const char *role, const char *what, const Usage &before, const Usage &now,
             unsigned connections) {
  const auto each = [connections] (long kib) {
    return static_cast<double> (kib) / static_cast<double> (connections);
  };
  std::printf (
      "%-6s %-22s %6.1f KiB each (private dirty %.1f, in use by malloc %.1f), %u threads, "
      "%u descriptors\n",
      role, what, each (now.pss_kib - before.pss_kib), each (now.private_kib - before.private_kib),
      each (now.heap_kib - before.heap_kib), now.threads, now.descriptors);
  std::fflush (stdout);
}

// The ends of this process, and what is counted on them.
struct Side {
  unsigned connected = 0, echoed = 0, broken = 0;
  std::vector<P2pConnection *> connections;
};

void receive_next (P2pChannel *channel, Side *side, bool echoes);

struct Pending {
  Side *side;
  bool echoes;
};

void
on_message (GObject *object, GAsyncResult *result, gpointer data) {
  const std::unique_ptr<Pending> pending (static_cast<Pending *> (data));
  P2pChannel *channel = P2P_CHANNEL (object);
  P2pMessage *message = p2p_channel_receive_finish (channel, result, nullptr);
  if (!message) return;
  if (pending->echoes) {
    p2p_channel_try_send_message (channel, message, nullptr);
    receive_next (channel, pending->side, true);
  } else {
    ++pending->side->echoed;
  }
  p2p_message_unref (message);
}

void
receive_next (P2pChannel *channel, Side *side, bool echoes) {
  p2p_channel_receive_async (channel, nullptr, on_message, new Pending{side, echoes});
}

void
on_state (P2pConnection *, P2pConnectionState state, const char *reason, Side *side) {
  if (state == P2P_CONNECTION_STATE_CONNECTED) ++side->connected;
  if (state == P2P_CONNECTION_STATE_REMOVED && ++side->broken == 1)
    std::fprintf (stderr, "many-connections: a connection ended: %s\n", reason);
}

void
on_channel (P2pConnection *, P2pChannel *channel, Side *side) {
  receive_next (channel, side, true);
}

void
watch (P2pConnection *connection, Side *side) {
  side->connections.push_back (P2P_CONNECTION (g_object_ref (connection)));
  g_signal_connect (connection, "state-changed", G_CALLBACK (on_state), side);
  g_signal_connect (connection, "channel-opened", G_CALLBACK (on_channel), side);
}

P2pAgent *
make_agent (const std::string &id, const std::string &folder, const char *identity) {
  P2pAgent *agent = p2p_agent_new (id.c_str ());
  g_object_set (agent, "identity", (folder + "/" + identity).c_str (), "rendezvous",
                ("local:" + folder + "/meet.sock").c_str (), nullptr);
  p2p_agent_add_local_address (agent, "127.0.0.1");
  return agent;
}

void
start (P2pAgent *agent) {
  struct Started {
    bool done = false;
  } started;
  p2p_agent_start_async (
      agent, nullptr,
      [] (GObject *object, GAsyncResult *result, gpointer data) {
        GError *error = nullptr;
        check (p2p_agent_start_finish (P2P_AGENT (object), result, &error), "start", error);
        static_cast<Started *> (data)->done = true;
      },
      &started);
  if (!run_until ([&] { return started.done; }, kPatienceS * 1000)) die ("an agent does not start");
}

void
measure_idle (const char *role, const Usage &before, unsigned connections, int seconds) {
  run_until ([] { return false; }, kSettleMs);
  tell_memory (role, "idle", before, usage (), connections);
  malloc_trim (0);
  tell_memory (role, "idle, heap trimmed", before, usage (), connections);
  const Usage from = usage ();
  run_until ([] { return false; }, seconds * 1000);
  const Usage to = usage ();
  std::printf ("%-6s idle CPU               %6.2f %% of a core for all, over %d s\n", role,
               100 * (to.cpu_seconds - from.cpu_seconds) / (to.wall_seconds - from.wall_seconds),
               seconds);
  std::fflush (stdout);
}

// One line from the other process, while the main context goes on.
void
await (GIOChannel *from, const char *word) {
  std::string line;
  const auto arrived = [&] {
    char *text = nullptr;
    while (line != word &&
           g_io_channel_read_line (from, &text, nullptr, nullptr, nullptr) == G_IO_STATUS_NORMAL) {
      line = g_strchomp (text);
      g_free (text);
    }
    return line == word;
  };
  const guint watch = g_io_add_watch (
      from, static_cast<GIOCondition> (G_IO_IN | G_IO_HUP),
      [] (GIOChannel *, GIOCondition, gpointer) -> gboolean { return G_SOURCE_CONTINUE; }, nullptr);
  if (!run_until (arrived, kPatienceS * 1000))
    die (std::string ("the other process does not say \"") + word + "\"");
  g_source_remove (watch);
}

GIOChannel *
reader (int fd) {
  GIOChannel *channel = g_io_channel_unix_new (fd);
  g_io_channel_set_flags (channel, G_IO_FLAG_NONBLOCK, nullptr);
  return channel;
}

void
say (int fd, const char *word) {
  const std::string line = std::string (word) + "\n";
  if (write (fd, line.data (), line.size ()) < 0) die ("the other process is gone");
}

// The agent that takes everyone; hears and says what the other does next over the two pipes.
int
run_one (const std::string &folder, unsigned connections, int seconds, int in, int out) {
  Side side;
  P2pAgent *agent = make_agent ("zz-one", folder, "one.pem");
  g_object_set (agent, "accept-policy", P2P_ACCEPT_POLICY_ALL, nullptr);
  const auto on_incoming = +[] (P2pAgent *, P2pConnection *connection, gpointer data) {
    watch (connection, static_cast<Side *> (data));
  };
  g_signal_connect (agent, "incoming", G_CALLBACK (on_incoming), &side);
  start (agent);
  const Usage before = usage ();
  GIOChannel *heard = reader (in);
  say (out, "ready");
  await (heard, "connected");
  const Usage now = usage ();
  std::printf ("one    CPU per connection     %6.2f ms\n",
               1000 * (now.cpu_seconds - before.cpu_seconds) / connections);
  measure_idle ("one", before, connections, seconds);
  say (out, "measured");
  await (heard, "echoed");
  tell_memory ("one", "with a channel each", before, usage (), connections);
  if (side.broken > 0) die (std::to_string (side.broken) + " connections have ended");
  std::fflush (stdout);
  _exit (0);
}

// The many agents.
int
run_many (const std::string &folder, unsigned connections, int seconds, int in, int out) {
  Side side;
  GIOChannel *heard = reader (in);
  await (heard, "ready");
  std::vector<P2pAgent *> agents;
  for (unsigned i = 0; i < connections; ++i) {
    char id[16];
    g_snprintf (id, sizeof id, "a%05u", i);
    agents.push_back (make_agent (id, folder, "many.pem"));
  }
  start (agents.front ());  // makes the identity
  for (P2pAgent *agent : agents) start (agent);
  const Usage before = usage ();
  unsigned begun = 0;
  const auto go_on = [&] {
    while (begun < connections && begun < side.connected + kUnderWay) {
      GError *error = nullptr;
      P2pConnection *connection =
          p2p_agent_open_connection (agents[begun], "zz-one", nullptr, &error);
      check (connection, "open", error);
      watch (connection, &side);
      g_object_unref (connection);
      ++begun;
    }
    return side.connected == connections;
  };
  if (!run_until (go_on, kPatienceS * 1000))
    die ("only " + std::to_string (side.connected) + " connections in time");
  const Usage now = usage ();
  std::printf ("%u connections in %.2f s: %.0f per second\n", connections,
               now.wall_seconds - before.wall_seconds,
               connections / (now.wall_seconds - before.wall_seconds));
  std::printf ("many   CPU per connection     %6.2f ms\n",
               1000 * (now.cpu_seconds - before.cpu_seconds) / connections);
  say (out, "connected");
  measure_idle ("many", before, connections, seconds);
  await (heard, "measured");
  // Each must still carry something.
  GBytes *payload = g_bytes_new_static ("are you there?", 14);
  for (P2pConnection *connection : side.connections) {
    GError *error = nullptr;
    P2pChannel *channel = p2p_connection_open_channel (connection, "echo", nullptr, &error);
    check (channel, "channel", error);
    P2pMessage *message = p2p_message_new (payload, nullptr);
    check (p2p_channel_try_send_message (channel, message, &error), "send", error);
    p2p_message_unref (message);
    receive_next (channel, &side, false);
  }
  const bool all = run_until ([&] { return side.echoed == connections; }, kPatienceS * 1000);
  std::printf ("%u of %u connections echo\n", side.echoed, connections);
  tell_memory ("many", "with a channel each", before, usage (), connections);
  say (out, "echoed");
  return all && side.broken == 0 ? 0 : 1;
}

}  // namespace

// The meeting point, apart from what is measured: its agent is the first to come.
[[noreturn]] void
run_host (const std::string &folder, int out, int others) {
  start (make_agent ("host", folder, "host.pem"));
  say (out, "up");
  char byte = 0;
  while (read (others, &byte, 1) > 0) {
  }
  _exit (0);
}

int
main (int argc, char **argv) {
  const long connections = argc > 1 ? std::atol (argv[1]) : 1000;
  const int seconds = argc > 2 ? std::atoi (argv[2]) : 20;
  if (connections <= 0 || connections > 20000 || seconds <= 0) {
    std::fprintf (stderr, "usage: many-connections [CONNECTIONS [IDLE_SECONDS]]\n");
    return 2;
  }
  rlimit files{};
  getrlimit (RLIMIT_NOFILE, &files);
  files.rlim_cur = files.rlim_max;
  setrlimit (RLIMIT_NOFILE, &files);
  char *made = g_dir_make_tmp ("p2p-many-XXXXXX", nullptr);
  if (!made) die ("no temporary folder");
  const std::string folder = made;
  g_free (made);

  int to_one[2], to_many[2], from_host[2], to_host[2];
  if (pipe (to_one) < 0 || pipe (to_many) < 0 || pipe (from_host) < 0 || pipe (to_host) < 0)
    die ("no pipe");
  // All of them before GLib or the library has a thread.
  const pid_t host = fork ();
  if (host < 0) die ("no process for the meeting point");
  if (host == 0) {
    close (to_host[1]);
    run_host (folder, from_host[1], to_host[0]);
  }
  char byte = 0;
  if (read (from_host[0], &byte, 1) != 1) die ("no meeting point");
  const pid_t child = fork ();
  if (child < 0) die ("no second process");
  const auto count = static_cast<unsigned> (connections);
  if (child == 0) {
    close (to_one[1]);
    close (to_many[0]);
    return run_one (folder, count, seconds, to_one[0], to_many[1]);
  }
  close (to_one[0]);
  close (to_many[1]);
  const int outcome = run_many (folder, count, seconds, to_many[0], to_one[1]);
  std::fflush (stdout);
  for (const char *name : {"host.pem", "one.pem", "many.pem", "meet.sock", "meet.sock.lock"})
    (void)g_unlink ((folder + "/" + name).c_str ());
  (void)g_rmdir (folder.c_str ());
  _exit (outcome);
}
