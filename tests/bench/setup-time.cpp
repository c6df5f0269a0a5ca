// How long it takes from the moment when both sides know each other's candidates until the first
// application byte: two processes, configurations handed over by hand, over and over.
//   setup-time [ROUNDS [ADDRESS_A ADDRESS_B [NAMESPACE_A NAMESPACE_B]]]
// Without addresses: loopback. Network namespaces (as of "ip netns") may have a wire between them
// whose round trip is known, see setup-time.sh.
#include <fcntl.h>
#include <glib/gstdio.h>
#include <p2p/p2p.h>
#include <sched.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <functional>
#include <string>
#include <vector>

namespace {

constexpr int kPatienceMs = 20000;

[[noreturn]] void
die (const std::string &text) {
  std::fprintf (stderr, "setup-time: %s\n", text.c_str ());
  std::exit (1);
}

void
check (bool good, const char *what, GError *error) {
  if (!good) die (std::string (what) + ": " + (error ? error->message : "no reason given"));
}

void
run_until (const char *what, const std::function<bool ()> &condition) {
  bool expired = false;
  const guint timer = g_timeout_add (
      kPatienceMs,
      [] (gpointer data) -> gboolean {
        *static_cast<bool *> (data) = true;
        return G_SOURCE_CONTINUE;
      },
      &expired);
  while (!expired && !condition ()) g_main_context_iteration (nullptr, TRUE);
  g_source_remove (timer);
  if (!condition ()) die (std::string ("waited in vain for ") + what);
}

// One line to and from the other process.
struct Pipes {
  int in, out;

  void say (const std::string &line) const {
    const std::string text = line + "\n";
    if (write (out, text.data (), text.size ()) != static_cast<gssize> (text.size ()))
      die ("the other process is gone");
  }
  std::string hear () const {
    std::string line;
    for (char byte = 0; read (in, &byte, 1) == 1;) {
      if (byte == '\n') return line;
      line += byte;
    }
    die ("the other process is gone");
  }
};

// The moments of one side in one round, of the clock that both processes share.
struct Moments {
  gint64 opened_us = 0, connected_us = 0, first_byte_us = 0;
};

class Round {
 public:
  Round (const std::string &id, const std::string &peer, const std::string &address,
         const std::string &identity)
      : peer_ (peer), agent_ (p2p_agent_new (id.c_str ())) {
    g_object_set (agent_, "identity", identity.c_str (), "rendezvous", "none", nullptr);
    p2p_agent_add_local_address (agent_, address.c_str ());
  }
  ~Round () {
    bool closed = false;
    p2p_agent_close_async (
        agent_, nullptr,
        [] (GObject *, GAsyncResult *, gpointer data) { *static_cast<bool *> (data) = true; },
        &closed);
    run_until ("the end of the agent", [&] { return closed; });
    g_clear_object (&channel_);
    g_clear_object (&connection_);
    g_object_unref (agent_);
  }
  Round (const Round &) = delete;
  Round &operator= (const Round &) = delete;

  std::string config () {
    p2p_agent_create_network_config_async (
        agent_, peer_.c_str (), nullptr,
        [] (GObject *object, GAsyncResult *result, gpointer data) {
          GError *error = nullptr;
          P2pNetworkConfig *made =
              p2p_agent_create_network_config_finish (P2P_AGENT (object), result, &error);
          check (made, "configuration", error);
          char *text = p2p_network_config_to_string (made);
          *static_cast<std::string *> (data) = text;
          g_free (text);
          p2p_network_config_unref (made);
        },
        &config_);
    run_until ("the own candidates", [this] { return !config_.empty (); });
    std::string line = config_;
    std::replace (line.begin (), line.end (), '\n', ' ');
    return line;
  }

  // From here on the time counts. A first message waits in the channel.
  void open (const std::string &remote_text) {
    GError *error = nullptr;
    P2pNetworkConfig *remote = p2p_network_config_new_from_string (remote_text.c_str (), &error);
    check (remote, "the peer's configuration", error);
    moments.opened_us = g_get_monotonic_time ();
    connection_ = p2p_agent_open_connection (agent_, peer_.c_str (), remote, &error);
    check (connection_, "open", error);
    p2p_network_config_unref (remote);
    g_signal_connect (connection_, "state-changed", G_CALLBACK (on_state), this);
    channel_ = p2p_connection_open_channel (connection_, "first", nullptr, &error);
    check (channel_, "channel", error);
    GBytes *payload = g_bytes_new_static ("x", 1);
    P2pMessage *message = p2p_message_new (payload, nullptr);
    check (p2p_channel_try_send_message (channel_, message, &error), "send", error);
    p2p_message_unref (message);
    g_bytes_unref (payload);
    p2p_channel_receive_async (channel_, nullptr, on_message, this);
  }
  void wait () {
    run_until ("the first byte",
               [this] { return moments.first_byte_us > 0 && moments.connected_us > 0; });
  }

  Moments moments;

 private:
  static void on_state (P2pConnection *, P2pConnectionState state, const char *reason,
                        gpointer data) {
    if (state == P2P_CONNECTION_STATE_CONNECTED)
      static_cast<Round *> (data)->moments.connected_us = g_get_monotonic_time ();
    if (state == P2P_CONNECTION_STATE_REMOVED &&
        static_cast<Round *> (data)->moments.first_byte_us == 0)
      die (std::string ("the connection ended: ") + reason);
  }
  static void on_message (GObject *object, GAsyncResult *result, gpointer data) {
    P2pMessage *message = p2p_channel_receive_finish (P2P_CHANNEL (object), result, nullptr);
    if (!message) return;
    static_cast<Round *> (data)->moments.first_byte_us = g_get_monotonic_time ();
    p2p_message_unref (message);
  }

  const std::string peer_;
  P2pAgent *agent_;
  std::string config_;
  P2pConnection *connection_ = nullptr;
  P2pChannel *channel_ = nullptr;
};

void
enter (const std::string &network_namespace) {
  if (network_namespace.empty ()) return;
  const int fd = open (("/run/netns/" + network_namespace).c_str (), O_RDONLY | O_CLOEXEC);
  if (fd < 0 || setns (fd, CLONE_NEWNET) < 0)
    die ("the network namespace " + network_namespace + " cannot be entered");
  close (fd);
}

void
tell (const char *what, std::vector<double> values_ms) {
  std::sort (values_ms.begin (), values_ms.end ());
  std::printf ("%-44s median %7.1f ms, from %.1f to %.1f\n", what, values_ms[values_ms.size () / 2],
               values_ms.front (), values_ms.back ());
}

}  // namespace

int
main (int argc, char **argv) {
  const auto argument = [&] (int index, const char *otherwise) {
    return std::string (argc > index ? argv[index] : otherwise);
  };
  const int rounds = std::atoi (argument (1, "20").c_str ());
  if (rounds <= 0) die ("usage: setup-time [ROUNDS [ADDRESS_A ADDRESS_B [NETNS_A NETNS_B]]]");
  char *made = g_dir_make_tmp ("p2p-setup-XXXXXX", nullptr);
  if (!made) die ("no temporary folder");
  const std::string folder = made;
  g_free (made);
  int down[2], up[2];
  if (pipe (down) < 0 || pipe (up) < 0) die ("no pipe");
  // Before GLib or the library has a thread.
  const pid_t child = fork ();
  if (child < 0) die ("no second process");
  const bool second = child == 0;
  close (second ? down[1] : down[0]);
  close (second ? up[0] : up[1]);
  const Pipes pipes = second ? Pipes{down[0], up[1]} : Pipes{up[0], down[1]};
  enter (argument (second ? 5 : 4, ""));
  // The greater id is the client.
  const std::string id = second ? "a-server" : "b-client", peer = second ? "b-client" : "a-server";
  const std::string identity = folder + "/" + id + ".pem";

  std::vector<double> client_up, server_up, at_client, at_server;
  for (int i = 0; i < rounds; ++i) {
    Round round (id, peer, argument (second ? 3 : 2, "127.0.0.1"), identity);
    pipes.say (round.config ());
    round.open (pipes.hear ());
    round.wait ();
    const Moments &own = round.moments;
    if (second) {
      pipes.say (std::to_string (own.opened_us));
      pipes.say (std::to_string (own.connected_us));
      pipes.say (std::to_string (own.first_byte_us));
      (void)pipes.hear ();
      continue;
    }
    Moments other;
    other.opened_us = std::atoll (pipes.hear ().c_str ());
    other.connected_us = std::atoll (pipes.hear ().c_str ());
    other.first_byte_us = std::atoll (pipes.hear ().c_str ());
    const gint64 known_us = std::max (own.opened_us, other.opened_us);
    const auto after = [known_us] (gint64 us) {
      return static_cast<double> (us - known_us) / 1000;
    };
    client_up.push_back (after (own.connected_us));
    server_up.push_back (after (other.connected_us));
    at_client.push_back (after (own.first_byte_us));
    at_server.push_back (after (other.first_byte_us));
    if (g_getenv ("SETUP_TIME_EACH"))
      std::printf ("%.1f %.1f %.1f %.1f\n", server_up.back (), client_up.back (), at_client.back (),
                   at_server.back ());
    pipes.say ("next");
  }
  if (second) _exit (0);
  tell ("connected, at the QUIC server", server_up);
  tell ("connected, at the QUIC client", client_up);
  tell ("first application byte arrives at the client", at_client);
  tell ("first application byte arrives at the server", at_server);
  for (const char *name : {"/a-server.pem", "/b-client.pem"})
    (void)g_unlink ((folder + name).c_str ());
  (void)g_rmdir (folder.c_str ());
  std::fflush (stdout);
  _exit (0);
}
