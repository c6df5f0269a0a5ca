// p2pcat: netcat for peers. Joins standard input and output with those of a peer.
#include <gio/gunixinputstream.h>
#include <gio/gunixoutputstream.h>
#include <glib-unix.h>
#include <p2p/p2p.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstdio>
#include <string_view>

#include "base/ptr.hpp"
#include "p2pcat-options.hpp"

namespace p2p {
namespace {

constexpr int kInterrupted = 128 + SIGINT;  // as a shell says it

// One run. Everything happens on the main context; callbacks come only while run() is running.
class Cat {
 public:
  explicit Cat (CatOptions options)
      : options_ (std::move (options)),
        loop_ (Ref<GMainLoop>::adopt (g_main_loop_new (nullptr, FALSE))) {}

  Status prepare ();
  int run ();
  Ref<P2pAgent> agent () const { return agent_; }

 private:
  static void on_incoming (P2pAgent *, P2pConnection *connection, gpointer data);
  static void on_state (P2pConnection *, P2pConnectionState state, const char *reason,
                        gpointer data);
  static void on_signaling (P2pAgent *, P2pSignalingState, const GError *error, gpointer data);
  static void on_rejected (P2pAgent *, const char *peer, const GError *error, gpointer data);
  static void on_started (GObject *object, GAsyncResult *result, gpointer data);
  static void on_input_ended (GObject *object, GAsyncResult *result, gpointer data);
  static void on_output_ended (GObject *object, GAsyncResult *result, gpointer data);

  bool waits () const { return options_.peer.empty (); }
  void use (P2pConnection *connection);
  void join ();
  void half_ended (GError *error);
  void fail (const std::string &message);
  void finish (int status);
  void close ();
  void tell (const std::string &text) const {
    if (options_.verbose) std::fprintf (stderr, "p2pcat: %s\n", text.c_str ());
  }

  const CatOptions options_;
  const Ref<GMainLoop> loop_;
  Ref<P2pAgent> agent_;
  Ref<P2pConnection> connection_;
  Ref<P2pChannel> channel_;
  bool connected_ = false;
  int halves_open_ = 2;
  std::optional<int> status_;
};

Status
take (GError *raw) {
  const UniqueError error (raw);
  return Error{P2P_ERROR_FAILED, error->message};
}

Status
Cat::prepare () {
  char random_id[16];
  g_snprintf (random_id, sizeof random_id, "cat-%08x", g_random_int ());
  agent_ = Ref<P2pAgent>::adopt (
      p2p_agent_new (options_.id.empty () ? random_id : options_.id.c_str ()));
  P2pAgent *agent = agent_.get ();
  GError *error = nullptr;
  if (!options_.identity.empty ())
    g_object_set (agent, "identity", options_.identity.c_str (), nullptr);
  const auto set_span = [agent] (const char *property, const std::optional<unsigned> &ms) {
    if (ms) g_object_set (agent, property, *ms, nullptr);
  };
  set_span ("ping-interval", options_.ping_interval_ms);
  set_span ("ping-timeout", options_.ping_timeout_ms);
  set_span ("peer-comeback-timeout", options_.peer_comeback_timeout_ms);
  if (waits ()) g_object_set (agent, "accept-policy", P2P_ACCEPT_POLICY_ASK, nullptr);
  if (!options_.secret.empty ()) p2p_agent_set_secret (agent, options_.secret.c_str ());
  if (!waits () && !options_.peer_fingerprint.empty () &&
      !p2p_agent_set_peer_fingerprint (agent, options_.peer.c_str (),
                                       options_.peer_fingerprint.c_str (), &error))
    return take (error);
  if (!p2p_agent_set_rendezvous (agent, options_.rendezvous.c_str (), &error)) return take (error);
  if (!options_.stun_server.empty () &&
      !p2p_agent_set_stun_server (agent, options_.stun_server.c_str (), &error))
    return take (error);
  for (const std::string &server : options_.turn_servers)
    if (!p2p_agent_add_turn_server (agent, server.c_str (), &error)) return take (error);
  return {};
}

int
Cat::run () {
  std::signal (SIGPIPE, SIG_IGN);  // a closed standard output is an error of its own
  const auto interrupt = [] (gpointer data) -> gboolean {
    static_cast<Cat *> (data)->finish (kInterrupted);
    return G_SOURCE_CONTINUE;
  };
  const guint sources[] = {g_unix_signal_add (SIGINT, interrupt, this),
                           g_unix_signal_add (SIGTERM, interrupt, this)};
  guint timeout = 0;
  if (options_.timeout_s > 0)
    timeout = g_timeout_add_seconds (
        static_cast<guint> (options_.timeout_s),
        [] (gpointer data) -> gboolean {
          auto *self = static_cast<Cat *> (data);
          if (!self->connected_)
            self->fail ("There was no connection after " +
                        std::to_string (self->options_.timeout_s) + " s.");
          return G_SOURCE_CONTINUE;
        },
        this);
  g_signal_connect (agent_.get (), "incoming", G_CALLBACK (on_incoming), this);
  g_signal_connect (agent_.get (), "signaling-changed", G_CALLBACK (on_signaling), this);
  g_signal_connect (agent_.get (), "rejected", G_CALLBACK (on_rejected), this);
  p2p_agent_start_async (agent_.get (), nullptr, on_started, this);
  if (!waits ()) {
    GError *error = nullptr;
    const auto connection = Ref<P2pConnection>::adopt (
        p2p_agent_open_connection (agent_.get (), options_.peer.c_str (), nullptr, &error));
    tell ("connecting to " + options_.peer);
    if (connection)
      use (connection.get ());
    else
      fail (take (error)->message);
  } else {
    tell ("waiting as " + std::string (p2p_agent_get_id (agent_.get ())));
  }
  if (!status_) g_main_loop_run (loop_.get ());

  close ();
  for (const guint source : sources) g_source_remove (source);
  if (timeout) g_source_remove (timeout);
  g_signal_handlers_disconnect_by_data (agent_.get (), this);
  if (connection_) g_signal_handlers_disconnect_by_data (connection_.get (), this);
  return status_.value_or (1);
}

// Tells the peer and the meeting point that we go; a second interrupt does not wait for that.
void
Cat::close () {
  struct Closing {
    GMainLoop *loop;
    int open;
  } closing{loop_.get (), 1};
  p2p_agent_close_async (
      agent_.get (), nullptr,
      [] (GObject *, GAsyncResult *, gpointer data) {
        auto *c = static_cast<Closing *> (data);
        c->open = 0;
        g_main_loop_quit (c->loop);
      },
      &closing);
  while (closing.open) g_main_loop_run (loop_.get ());
}

void
Cat::on_incoming (P2pAgent *, P2pConnection *connection, gpointer data) {
  auto *self = static_cast<Cat *> (data);
  if (self->connection_) {
    p2p_connection_refuse (connection, "It has its peer already.");
    return;
  }
  GError *error = nullptr;
  if (!self->options_.peer_fingerprint.empty () &&
      !p2p_agent_set_peer_fingerprint (self->agent_.get (), p2p_connection_get_peer (connection),
                                       self->options_.peer_fingerprint.c_str (), &error)) {
    self->fail (take (error)->message);
    return;
  }
  self->use (connection);
  p2p_connection_accept (connection);
}

void
Cat::on_state (P2pConnection *connection, P2pConnectionState state, const char *reason,
               gpointer data) {
  auto *self = static_cast<Cat *> (data);
  auto *names = static_cast<GEnumClass *> (g_type_class_ref (P2P_TYPE_CONNECTION_STATE));
  self->tell (std::string (p2p_connection_get_peer (connection)) + ": " +
              g_enum_get_value (names, static_cast<gint> (state))->value_nick +
              (*reason ? std::string (" (") + reason + ")" : std::string ()));
  g_type_class_unref (names);
  if (state == P2P_CONNECTION_STATE_CONNECTED && !self->connected_) {
    self->connected_ = true;
    if (p2p_connection_get_authentication (connection) == P2P_AUTHENTICATION_SIGNALING &&
        self->options_.rendezvous != "local")
      std::fprintf (stderr,
                    "p2pcat: only the rendezvous server vouches for %s; set --secret or "
                    "--peer-fingerprint\n",
                    p2p_connection_get_peer (connection));
  }
  if (state != P2P_CONNECTION_STATE_REMOVED || self->halves_open_ == 0) return;
  // What came before still waits in the channel, whose end then tells the same.
  const UniqueError error (p2p_connection_dup_error (connection));
  if (!self->connected_) self->fail (error ? error->message : "The peer closed the connection.");
}

void
Cat::on_signaling (P2pAgent *, P2pSignalingState, const GError *error, gpointer data) {
  if (error) static_cast<Cat *> (data)->tell (error->message);
}

void
Cat::on_rejected (P2pAgent *, const char *peer, const GError *error, gpointer data) {
  auto *self = static_cast<Cat *> (data);
  if (self->waits () && !self->connection_)
    self->fail (error->message);
  else
    self->tell (std::string (peer) + ": " + error->message);
}

void
Cat::on_started (GObject *object, GAsyncResult *result, gpointer data) {
  GError *raw = nullptr;
  if (p2p_agent_start_finish (P2P_AGENT (object), result, &raw)) return;
  const UniqueError error (raw);
  auto *self = static_cast<Cat *> (data);
  if (!self->status_) self->fail (error->message);
}

void
Cat::use (P2pConnection *connection) {
  connection_ = Ref<P2pConnection>::share (connection);
  g_signal_connect (connection, "state-changed", G_CALLBACK (on_state), this);
  join ();
}

// Opens the channel and joins it with standard input and output; the connection may come later.
void
Cat::join () {
  GError *error = nullptr;
  channel_ = Ref<P2pChannel>::adopt (
      p2p_connection_open_channel (connection_.get (), options_.channel.c_str (), nullptr, &error));
  if (!channel_) {
    fail (take (error)->message);
    return;
  }
  GIOStream *stream = p2p_channel_get_io_stream (channel_.get ());
  const auto in = Ref<GInputStream>::adopt (g_unix_input_stream_new (STDIN_FILENO, FALSE));
  const auto out = Ref<GOutputStream>::adopt (g_unix_output_stream_new (STDOUT_FILENO, FALSE));
  // Closing the channel's output waits until the peer has taken everything.
  g_output_stream_splice_async (g_io_stream_get_output_stream (stream), in.get (),
                                G_OUTPUT_STREAM_SPLICE_CLOSE_TARGET, G_PRIORITY_DEFAULT, nullptr,
                                on_input_ended, this);
  g_output_stream_splice_async (out.get (), g_io_stream_get_input_stream (stream),
                                G_OUTPUT_STREAM_SPLICE_NONE, G_PRIORITY_DEFAULT, nullptr,
                                on_output_ended, this);
}

void
Cat::on_input_ended (GObject *object, GAsyncResult *result, gpointer data) {
  GError *error = nullptr;
  g_output_stream_splice_finish (G_OUTPUT_STREAM (object), result, &error);
  static_cast<Cat *> (data)->half_ended (error);
}

void
Cat::on_output_ended (GObject *object, GAsyncResult *result, gpointer data) {
  GError *error = nullptr;
  g_output_stream_splice_finish (G_OUTPUT_STREAM (object), result, &error);
  auto *self = static_cast<Cat *> (data);
  const UniqueError removal (p2p_connection_dup_error (self->connection_.get ()));
  // A peer that has everything may close the connection before its end of the stream arrives.
  if (!removal && (g_error_matches (error, P2P_ERROR, P2P_ERROR_CLOSED) ||
                   g_error_matches (error, G_IO_ERROR, G_IO_ERROR_CLOSED)))
    g_clear_error (&error);
  self->half_ended (error);
}

void
Cat::half_ended (GError *raw) {
  const UniqueError error (raw);
  halves_open_--;
  if (status_) return;
  if (error)
    fail (error->message);
  else if (halves_open_ == 0)
    finish (0);
}

void
Cat::fail (const std::string &message) {
  if (status_) return;
  std::fprintf (stderr, "p2pcat: %s\n", message.c_str ());
  finish (1);
}

void
Cat::finish (int status) {
  if (!status_) status_ = status;
  g_main_loop_quit (loop_.get ());
}

// Becomes the program that examines the network, which lies beside this one until it is installed.
int
become_doctor (char **argv) {
  const UniqueChars self (g_file_read_link ("/proc/self/exe", nullptr));
  const UniqueChars folder (self ? g_path_get_dirname (self.get ()) : nullptr);
  const UniqueChars beside (folder ? g_build_filename (folder.get (), "p2p-doctor", nullptr)
                                   : nullptr);
  if (beside) execv (beside.get (), argv);
  execv (P2P_DOCTOR, argv);
  std::fprintf (stderr, "p2pcat: %s cannot be run: %s. Install gst-p2p anew.\n", P2P_DOCTOR,
                g_strerror (errno));
  return 1;
}

int
main (int argc, char **argv) {
  if (argc > 1 && std::string_view (argv[1]) == "doctor") return become_doctor (argv + 1);
  auto options = parse_cat_options (argc, argv);
  if (!options) {
    std::fprintf (stderr, "p2pcat: %s\n", options.error ().message.c_str ());
    return 2;
  }
  if (options->version) {
    std::printf ("p2pcat %d.%d.%d\n", P2P_MAJOR_VERSION, P2P_MINOR_VERSION, P2P_MICRO_VERSION);
    return 0;
  }
  if (options->new_secret) {
    const UniqueChars secret (p2p_generate_secret ());
    std::printf ("%s\n", secret.get ());
    return 0;
  }
  const bool show_fingerprint = options->show_fingerprint;
  Cat cat (std::move (*options));
  if (const Status error = cat.prepare ()) {
    std::fprintf (stderr, "p2pcat: %s\n", error->message.c_str ());
    return 2;
  }
  if (!show_fingerprint) {
    const int status = cat.run ();
    // A thread may still sit in read() on standard input, which nothing can end.
    std::fflush (nullptr);
    _exit (status);
  }
  GError *raw = nullptr;
  const UniqueChars fingerprint (p2p_agent_get_fingerprint (cat.agent ().get (), &raw));
  const UniqueError error (raw);
  if (!fingerprint) {
    std::fprintf (stderr, "p2pcat: %s\n", error->message);
    return 1;
  }
  std::printf ("%s\n", fingerprint.get ());
  return 0;
}

}  // namespace
}  // namespace p2p

int
main (int argc, char **argv) {
  return p2p::main (argc, argv);
}
