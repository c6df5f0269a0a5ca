// p2p-rendezvous: where peers find each other (docs/rendezvous-protocol.md).
#include <glib-unix.h>
#include <p2p/p2p-version.h>
#include <sys/resource.h>

#include <algorithm>
#include <cstdio>

#include "rendezvous/server.hpp"

using namespace p2p;

namespace {

constexpr int kUsageError = 2;

struct Options {
  char **listen = nullptr;
  char *tls_cert = nullptr, *tls_key = nullptr;
  char *backplane = nullptr, *backplane_file = nullptr;
  int max_clients = 10000, max_per_address = 128, max_memory_mib = 256, hold_hours = 24;
  gboolean no_stun = FALSE, verbose = FALSE, version = FALSE;

  ~Options () {
    g_strfreev (listen);
    g_free (tls_cert);
    g_free (tls_key);
    g_free (backplane);
    g_free (backplane_file);
  }
};

Result<Ref<GTlsCertificate>>
load_certificate (const Options &options) {
  if (!options.tls_cert) return Ref<GTlsCertificate> ();
  GError *raw = nullptr;
  auto certificate = Ref<GTlsCertificate>::adopt (g_tls_certificate_new_from_files (
      options.tls_cert, options.tls_key ? options.tls_key : options.tls_cert, &raw));
  const UniqueError error (raw);
  if (!certificate)
    return Error{P2P_ERROR_INVALID_ARGUMENT,
                 std::string ("The TLS certificate or key cannot be read: ") + error->message +
                     ". See --tls-cert and --tls-key."};
  return certificate;
}

// Nothing when there is none.
Result<std::optional<RedisAddress>>
load_backplane (const Options &options) {
  std::string uri = options.backplane ? options.backplane : "";
  if (options.backplane_file) {
    char *raw_text = nullptr;
    GError *raw = nullptr;
    const bool read = g_file_get_contents (options.backplane_file, &raw_text, nullptr, &raw);
    const UniqueChars text (raw_text);
    const UniqueError error (raw);
    if (!read)
      return Error{P2P_ERROR_INVALID_ARGUMENT,
                   std::string ("--backplane-file cannot be read: ") + error->message + "."};
    uri = g_strstrip (text.get ());
  } else if (!options.backplane) {
    return std::optional<RedisAddress> ();
  }
  auto address = parse_redis_uri (uri);
  if (!address) return address.error ();
  return std::optional<RedisAddress> (std::move (*address));
}

bool
parse (Options &options, int &argc, char **&argv) {
  const GOptionEntry entries[] = {
      {"listen", 'l', 0, G_OPTION_ARG_STRING_ARRAY, &options.listen,
       "Address and port for WebSockets (TCP) and STUN (UDP); may be repeated; port 0 takes a free "
       "one (default: 0.0.0.0:7480 and [::]:7480)",
       "ADDRESS:PORT"},
      {"tls-cert", 0, 0, G_OPTION_ARG_FILENAME, &options.tls_cert,
       "Serve wss:// with this certificate chain (PEM); read again on SIGHUP", "FILE"},
      {"tls-key", 0, 0, G_OPTION_ARG_FILENAME, &options.tls_key,
       "Its private key (PEM; default: in the certificate's file)", "FILE"},
      {"max-clients", 0, 0, G_OPTION_ARG_INT, &options.max_clients,
       "Most connections at a time (default: 10000)", "N"},
      {"max-per-address", 0, 0, G_OPTION_ARG_INT, &options.max_per_address,
       "Most connections from one IPv4 address or IPv6 /64; 0: no limit, for use behind a proxy "
       "(default: 128)",
       "N"},
      {"max-memory", 0, 0, G_OPTION_ARG_INT, &options.max_memory_mib,
       "Most memory for clients, ids and queues (default: 256)", "MIB"},
      {"hold", 0, 0, G_OPTION_ARG_INT, &options.hold_hours,
       "How long an id stays its owner's after it has gone (default: 24)", "HOURS"},
      {"backplane", 0, 0, G_OPTION_ARG_STRING, &options.backplane,
       "Share ids with all servers that use the same Redis: redis://host[:port][/db] or "
       "redis+unix:///path[?db=db]; with a password, take --backplane-file",
       "URI"},
      {"backplane-file", 0, 0, G_OPTION_ARG_FILENAME, &options.backplane_file,
       "The same, out of a file that other users cannot read, as the list of processes shows "
       "--backplane",
       "FILE"},
      {"no-stun", 0, 0, G_OPTION_ARG_NONE, &options.no_stun, "Do not answer STUN requests",
       nullptr},
      {"verbose", 'v', 0, G_OPTION_ARG_NONE, &options.verbose,
       "Log every connection, not only what went wrong", nullptr},
      {"version", 0, 0, G_OPTION_ARG_NONE, &options.version, "Print the version", nullptr},
      {}};
  GOptionContext *context = g_option_context_new ("- where gst-p2p peers find each other");
  g_option_context_add_main_entries (context, entries, nullptr);
  GError *raw = nullptr;
  const bool parsed = g_option_context_parse (context, &argc, &argv, &raw);
  const UniqueError error (raw);
  g_option_context_free (context);
  const char *wrong = nullptr;
  if (!parsed)
    wrong = error->message;
  else if (argc > 1)
    wrong = "There are no arguments beside the options.";
  else if (options.tls_key && !options.tls_cert)
    wrong = "--tls-key needs --tls-cert.";
  else if (options.backplane && options.backplane_file)
    wrong = "--backplane and --backplane-file exclude each other.";
  else if (options.max_clients < 1 || options.max_memory_mib < 1)
    wrong = "--max-clients and --max-memory must be at least 1.";
  else if (options.max_per_address < 0 || options.hold_hours < 0)
    wrong = "--max-per-address and --hold must not be negative.";
  if (wrong) std::fprintf (stderr, "p2p-rendezvous: %s\n", wrong);
  return !wrong;
}

void
raise_descriptor_limit () {
  rlimit limit;
  if (getrlimit (RLIMIT_NOFILE, &limit) != 0) return;
  limit.rlim_cur = limit.rlim_max;
  setrlimit (RLIMIT_NOFILE, &limit);
}

struct Running {
  const Options &options;
  RendezvousServer &server;
  GMainLoop *loop;
};

gboolean
on_end_signal (gpointer data) {
  auto *running = static_cast<Running *> (data);
  g_message ("event=shutting-down");
  running->server.shut_down ([loop = running->loop] { g_main_loop_quit (loop); });
  return G_SOURCE_CONTINUE;
}

gboolean
on_reload_signal (gpointer data) {
  auto *running = static_cast<Running *> (data);
  if (auto certificate = load_certificate (running->options)) {
    running->server.set_certificate (*certificate);
    g_message ("event=certificate-reloaded");
  } else {
    g_warning ("event=certificate-kept reason=\"%s\"", certificate.error ().message.c_str ());
  }
  return G_SOURCE_CONTINUE;
}

}  // namespace

int
main (int argc, char **argv) {
  Options options;
  if (!parse (options, argc, argv)) return kUsageError;
  if (options.version) {
    std::printf ("p2p-rendezvous %d.%d.%d\n", P2P_MAJOR_VERSION, P2P_MINOR_VERSION,
                 P2P_MICRO_VERSION);
    return 0;
  }
  // The log goes to stderr; stdout only says where it listens.
  g_log_writer_default_set_use_stderr (TRUE);
  if (options.verbose) g_setenv ("G_MESSAGES_DEBUG", G_LOG_DOMAIN, FALSE);
  raise_descriptor_limit ();

  auto certificate = load_certificate (options);
  if (!certificate) {
    std::fprintf (stderr, "p2p-rendezvous: %s\n", certificate.error ().message.c_str ());
    return kUsageError;
  }
  auto backplane = load_backplane (options);
  if (!backplane) {
    std::fprintf (stderr, "p2p-rendezvous: %s\n", backplane.error ().message.c_str ());
    return kUsageError;
  }
  ServerConfig config;
  config.backplane = std::move (*backplane);
  config.certificate = *certificate;
  config.stun = !options.no_stun;
  config.broker.max_clients = static_cast<std::size_t> (options.max_clients);
  config.broker.max_clients_per_source = static_cast<std::size_t> (options.max_per_address);
  config.broker.max_memory_bytes = static_cast<std::size_t> (options.max_memory_mib) << 20;
  config.broker.hold_us = TimeUs{options.hold_hours} * 3600 * kSecond;

  RendezvousServer server (config);
  const auto loop = Ref<GMainLoop>::adopt (g_main_loop_new (nullptr, FALSE));
  Running running = {options, server, loop.get ()};
  // Before anybody can know that it listens, so that an early signal ends it cleanly too.
  g_unix_signal_add (SIGTERM, on_end_signal, &running);
  g_unix_signal_add (SIGINT, on_end_signal, &running);
  g_unix_signal_add (SIGHUP, on_reload_signal, &running);

  static const char *const defaults[] = {"0.0.0.0:7480", "[::]:7480", nullptr};
  int listening = 0;
  for (const char *const *address = options.listen ? options.listen : defaults; *address;
       ++address) {
    auto bound = server.listen (*address);
    if (bound) {
      std::printf ("listening on %s://%s%s\n", options.tls_cert ? "wss" : "ws", bound->c_str (),
                   options.no_stun ? "" : " (and STUN over UDP)");
      ++listening;
      continue;
    }
    std::fprintf (stderr, "p2p-rendezvous: %s\n", bound.error ().message.c_str ());
    // A machine without IPv6 may lack one of the defaults; what was asked for must work.
    if (options.listen) return 1;
  }
  if (listening == 0) return 1;
  std::fflush (stdout);

  g_main_loop_run (loop.get ());
  return 0;
}
