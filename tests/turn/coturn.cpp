#include "coturn.hpp"

#include <glib/gstdio.h>
#include <gnutls/gnutls.h>
#include <gnutls/x509.h>
#include <gtest/gtest.h>

#include <ctime>
#include <fstream>

namespace p2p::test {

namespace {

// Below those that the kernel gives to sockets which ask for none, and coturn to relays: whoever
// has one of these would be in the way when the server starts.
std::uint16_t
free_port () {
  for (;;) {
    const auto port = static_cast<std::uint16_t> (g_random_int_range (10000, 32000));
    const auto listener = Ref<GSocketListener>::adopt (g_socket_listener_new ());
    if (g_socket_listener_add_inet_port (listener.get (), port, nullptr, nullptr)) return port;
  }
}

// A certificate of its own authority.
void
write_certificate (const std::string &certificate_path, const std::string &key_path) {
  gnutls_x509_privkey_t key;
  gnutls_x509_crt_t certificate;
  gnutls_x509_privkey_init (&key);
  gnutls_x509_privkey_generate (key, GNUTLS_PK_ECDSA,
                                GNUTLS_CURVE_TO_BITS (GNUTLS_ECC_CURVE_SECP256R1), 0);
  gnutls_x509_crt_init (&certificate);
  gnutls_x509_crt_set_version (certificate, 3);
  gnutls_x509_crt_set_serial (certificate, "\x01", 1);
  gnutls_x509_crt_set_activation_time (certificate, std::time (nullptr) - 3600);
  gnutls_x509_crt_set_expiration_time (certificate, std::time (nullptr) + 86400);
  gnutls_x509_crt_set_dn (certificate, "CN=turn.test", nullptr);
  const std::string addresses[] = {{127, 0, 0, 1}, std::string (15, 0) + '\1'};
  for (const std::string &ip : addresses)
    gnutls_x509_crt_set_subject_alt_name (certificate, GNUTLS_SAN_IPADDRESS, ip.data (),
                                          static_cast<unsigned> (ip.size ()), GNUTLS_FSAN_APPEND);
  gnutls_x509_crt_set_basic_constraints (certificate, 1, 0);
  gnutls_x509_crt_set_key (certificate, key);
  gnutls_x509_crt_sign2 (certificate, certificate, key, GNUTLS_DIG_SHA256, 0);
  const auto write = [] (const std::string &path, gnutls_datum_t data) {
    std::ofstream (path).write (reinterpret_cast<const char *> (data.data), data.size);
    gnutls_free (data.data);
  };
  gnutls_datum_t out;
  if (gnutls_x509_crt_export2 (certificate, GNUTLS_X509_FMT_PEM, &out) == 0)
    write (certificate_path, out);
  if (gnutls_x509_privkey_export2 (key, GNUTLS_X509_FMT_PEM, &out) == 0) write (key_path, out);
  gnutls_x509_crt_deinit (certificate);
  gnutls_x509_privkey_deinit (key);
}

}  // namespace

bool
Coturn::installed () {
  const UniqueChars path (g_find_program_in_path ("turnserver"));
  return path != nullptr;
}

Coturn::Coturn (std::vector<std::string> ips, std::vector<std::string> options)
    : ips_ (std::move (ips)), options_ (std::move (options)) {
  const UniqueChars dir (g_dir_make_tmp ("p2p-coturn-XXXXXX", nullptr));
  dir_ = dir.get ();
  port_ = free_port ();
  tls_port_ = free_port ();
  cli_port_ = free_port ();
  write_certificate (dir_ + "/cert", dir_ + "/key");
}

Coturn::~Coturn () {
  stop ();
  for (const char *name : {"/pid", "/db", "/log", "/cert", "/key"})
    g_remove ((dir_ + name).c_str ());
  g_rmdir (dir_.c_str ());
}

bool
Coturn::start () {
  std::vector<std::string> words = {"turnserver",
                                    "-n",
                                    "--listening-port=" + std::to_string (port_),
                                    "--tls-listening-port=" + std::to_string (tls_port_),
                                    "--lt-cred-mech",
                                    std::string ("--realm=") + kRealm,
                                    std::string ("--user=") + kUser + ":" + kPassword,
                                    "--allow-loopback-peers",
                                    "--cli-ip=127.0.0.1",
                                    "--cli-port=" + std::to_string (cli_port_),
                                    std::string ("--cli-password=") + kPassword,
                                    "--simple-log",
                                    "--verbose",
                                    "--cert=" + dir_ + "/cert",
                                    "--pkey=" + dir_ + "/key",
                                    "--pidfile=" + dir_ + "/pid",
                                    "--userdb=" + dir_ + "/db",
                                    "--log-file=" + dir_ + "/log"};
  for (const auto &ip : ips_) {
    words.push_back ("--listening-ip=" + ip);
    words.push_back ("--relay-ip=" + ip);
  }
  words.insert (words.end (), options_.begin (), options_.end ());
  std::vector<const char *> argv;
  for (const auto &word : words) argv.push_back (word.c_str ());
  argv.push_back (nullptr);
  process_ = Ref<GSubprocess>::adopt (
      g_subprocess_newv (argv.data (),
                         static_cast<GSubprocessFlags> (G_SUBPROCESS_FLAGS_STDOUT_SILENCE |
                                                        G_SUBPROCESS_FLAGS_STDERR_SILENCE),
                         nullptr));
  return process_ && listens ();
}

void
Coturn::stop () {
  if (!process_) return;
  g_subprocess_force_exit (process_.get ());
  g_subprocess_wait (process_.get (), nullptr, nullptr);
  process_.reset ();
}

// Until it answers a Binding request over UDP, which it serves last.
bool
Coturn::listens () const {
  const auto server = Ref<GSocketAddress>::adopt (
      g_inet_socket_address_new_from_string (ips_.front ().c_str (), port_));
  const auto socket =
      Ref<GSocket>::adopt (g_socket_new (g_socket_address_get_family (server.get ()),
                                         G_SOCKET_TYPE_DATAGRAM, G_SOCKET_PROTOCOL_UDP, nullptr));
  const char request[20] = "\x00\x01\x00\x00\x21\x12\xa4\x42transaction";
  for (gint64 end = g_get_monotonic_time () + 20 * G_USEC_PER_SEC; g_get_monotonic_time () < end;) {
    char answer[512];
    g_socket_send_to (socket.get (), server.get (), request, sizeof request, nullptr, nullptr);
    if (g_socket_condition_timed_wait (socket.get (), G_IO_IN, 20000, nullptr, nullptr) &&
        g_socket_receive (socket.get (), answer, sizeof answer, nullptr, nullptr) > 0)
      return true;
  }
  return false;
}

// By its command line, which is a server of telnet.
std::optional<int>
Coturn::sessions () const {
  const auto client = Ref<GSocketClient>::adopt (g_socket_client_new ());
  g_socket_client_set_timeout (client.get (), 10);
  const auto connection = Ref<GSocketConnection>::adopt (
      g_socket_client_connect_to_host (client.get (), "127.0.0.1", cli_port_, nullptr, nullptr));
  if (!connection) return std::nullopt;
  GInputStream *in = g_io_stream_get_input_stream (G_IO_STREAM (connection.get ()));
  GOutputStream *out = g_io_stream_get_output_stream (G_IO_STREAM (connection.get ()));
  // All that it says until it is waiting for the next line.
  const auto answer = [&] (const std::string &line, const std::string &prompt) {
    g_output_stream_write_all (out, line.data (), line.size (), nullptr, nullptr, nullptr);
    std::string heard;
    while (heard.find (prompt) == std::string::npos) {
      char bytes[512];
      const gssize size = g_input_stream_read (in, bytes, sizeof bytes, nullptr, nullptr);
      if (size <= 0) break;
      heard.append (bytes, static_cast<std::size_t> (size));
    }
    return heard;
  };
  answer ("", "password:");
  answer (std::string (kPassword) + "\r\n", "> ");
  const std::string heard = answer ("ps\r\n", "> ");
  const char total[] = "Total sessions: ";
  const auto at = heard.find (total);
  if (at == std::string::npos) return std::nullopt;
  return std::atoi (heard.c_str () + at + sizeof total - 1);
}

bool
Coturn::is_left_with_nothing () const {
  for (gint64 end = g_get_monotonic_time () + 20 * G_USEC_PER_SEC; g_get_monotonic_time () < end;) {
    if (sessions () == 0) return true;
    g_usleep (10000);
  }
  return false;
}

std::string
Coturn::log () const {
  char *text = nullptr;
  g_file_get_contents ((dir_ + "/log").c_str (), &text, nullptr, nullptr);
  const UniqueChars owned (text);
  return text ? text : "";
}

turn::Server
Coturn::server (turn::Protocol protocol, const std::string &host) const {
  return {host, turn::is_secure (protocol) ? tls_port_ : port_, protocol, {kUser, kPassword}};
}

Ref<GTlsDatabase>
Coturn::database () const {
  return Ref<GTlsDatabase>::adopt (g_tls_file_database_new ((dir_ + "/cert").c_str (), nullptr));
}

}  // namespace p2p::test
