// What a rendezvous server needs for each client that has registered an id and is quiet: starts the
// server and keeps bare WebSockets to it.
//   idle-clients P2P-RENDEZVOUS [CLIENTS [SERVER-OPTION…]]
#include <arpa/inet.h>
#include <gio/gio.h>
#include <netinet/in.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <string>
#include <vector>

#include "base/ptr.hpp"
#include "private_memory.hpp"
#include "signaling/frame.hpp"
#include "signaling/key_proof.hpp"

using namespace p2p;

namespace {

// A client says something in every heartbeat, and is closed after three.
constexpr int kHeartbeatS = 25;
constexpr std::size_t kLeftOut = 1000;  // the first ones, which fill caches

GPid server_pid = 0;

[[noreturn]] void
die (const std::string &text) {
  std::fprintf (stderr, "idle-clients: %s\n", text.c_str ());
  if (server_pid > 0) kill (server_pid, SIGKILL);
  std::exit (1);
}

long
private_kib () {
  const auto kib = bench::private_kib (std::to_string (server_pid));
  if (!kib) die ("The server has ended.");
  return *kib;
}

double
cpu_seconds () {
  const std::string path = "/proc/" + std::to_string (server_pid) + "/stat";
  char *raw = nullptr;
  if (!g_file_get_contents (path.c_str (), &raw, nullptr, nullptr)) die ("The server has ended.");
  const UniqueChars text (raw);
  long user = 0, system = 0;
  const char *rest = g_strrstr (text.get (), ")");
  if (std::sscanf (rest, ") %*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %ld %ld", &user, &system) !=
      2)
    die ("/proc cannot be read.");
  return static_cast<double> (user + system) / static_cast<double> (sysconf (_SC_CLK_TCK));
}

// One WebSocket (RFC 6455), blocking.
class Client {
 public:
  explicit Client (std::uint16_t port) : fd_ (socket (AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons (port);
    address.sin_addr.s_addr = htonl (INADDR_LOOPBACK);
    if (fd_ < 0 || connect (fd_, reinterpret_cast<sockaddr *> (&address), sizeof address) != 0)
      die (std::string ("No connection: ") + g_strerror (errno));
    put (
        "GET / HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\nSec-WebSocket-Version: 13\r\n"
        "Sec-WebSocket-Protocol: gst-p2p.1\r\n\r\n");
    while (in_.find ("\r\n\r\n") == std::string::npos) get ();
    in_.erase (0, in_.find ("\r\n\r\n") + 4);
  }
  Client (Client &&other) noexcept : fd_ (std::exchange (other.fd_, -1)) {}
  Client (const Client &) = delete;
  ~Client () {
    if (fd_ >= 0) close (fd_);
  }

  void enroll (const std::string &id, const SigningKey &key) {
    const Frame welcome = receive ();
    Frame frame;
    frame.type = FrameType::enroll;
    frame.id = id;
    frame.key = key.public_key_der ();
    const std::string text = registration_proof_text (welcome.challenge, id);
    frame.signature = *key.sign (ByteView (std::string_view (text)));
    send_frame (frame);
    const Frame answer = receive ();
    if (answer.type != FrameType::registered) die ("Refused: " + answer.text);
    std::string ().swap (in_);
  }
  void ping () {
    Frame frame;
    frame.type = FrameType::ping;
    send_frame (frame);
  }
  void take_pong () { receive (); }

 private:
  void put (const std::string &bytes) const {
    if (send (fd_, bytes.data (), bytes.size (), MSG_NOSIGNAL) !=
        static_cast<ssize_t> (bytes.size ()))
      die (std::string ("A connection is lost: ") + g_strerror (errno));
  }
  void get () {
    char chunk[4096];
    const ssize_t count = recv (fd_, chunk, sizeof chunk, 0);
    if (count <= 0) die ("The server has closed a connection.");
    in_.append (chunk, static_cast<std::size_t> (count));
  }
  void send_frame (const Frame &frame) const {
    const std::string text = to_json (frame);
    std::string bytes = "\x81";
    bytes += static_cast<char> (0x80 | (text.size () < 126 ? text.size () : 126));
    if (text.size () >= 126) {
      bytes += static_cast<char> (text.size () >> 8);
      bytes += static_cast<char> (text.size () & 0xff);
    }
    put (bytes + std::string (4, '\0') + text);  // masked with nothing
  }
  Frame receive () {
    std::size_t head = 2, size = 0;
    for (;; get ()) {
      if (in_.size () < 4) continue;
      size = static_cast<unsigned char> (in_[1]);
      if (size == 126) {
        head = 4;
        size = static_cast<std::size_t> (static_cast<unsigned char> (in_[2])) << 8 |
               static_cast<unsigned char> (in_[3]);
      }
      if (in_.size () >= head + size) break;
    }
    const auto parsed = parse_frame (ByteView (std::string_view (in_).substr (head, size)));
    in_.erase (0, head + size);
    if (!std::holds_alternative<Frame> (parsed)) die ("A malformed frame came.");
    return std::get<Frame> (parsed);
  }

  int fd_;
  std::string in_;
};

std::uint16_t
start_server (const char *program, char **options, std::size_t clients) {
  std::vector<std::string> words = {program,
                                    "--listen",
                                    "127.0.0.1:0",
                                    "--no-stun",
                                    "--max-clients",
                                    std::to_string (clients),
                                    "--max-per-address",
                                    "0"};
  for (; *options; ++options) words.emplace_back (*options);
  std::vector<char *> argv;
  argv.reserve (words.size () + 1);
  for (std::string &word : words) argv.push_back (word.data ());
  argv.push_back (nullptr);
  int out = -1;
  GError *raw = nullptr;
  if (!g_spawn_async_with_pipes (nullptr, argv.data (), nullptr, G_SPAWN_DO_NOT_REAP_CHILD, nullptr,
                                 nullptr, &server_pid, nullptr, &out, nullptr, &raw))
    die (raw->message);
  std::string line;
  for (char byte = 0; byte != '\n' && read (out, &byte, 1) == 1;) line += byte;
  const std::size_t colon = line.find (':', line.find ("127.0.0.1"));
  if (colon == std::string::npos) die ("The server does not listen.");
  return static_cast<std::uint16_t> (std::atoi (line.c_str () + colon + 1));
}

}  // namespace

int
main (int argc, char **argv) {
  if (argc < 2) {
    std::fprintf (stderr, "Usage: idle-clients P2P-RENDEZVOUS [CLIENTS [SERVER-OPTION…]]\n");
    return 2;
  }
  rlimit limit{};
  getrlimit (RLIMIT_NOFILE, &limit);
  limit.rlim_cur = limit.rlim_max;
  setrlimit (RLIMIT_NOFILE, &limit);

  const std::size_t count = argc > 2 ? static_cast<std::size_t> (std::atol (argv[2])) : 10000;
  char *none[] = {nullptr};
  const std::uint16_t port = start_server (argv[1], argc > 3 ? argv + 3 : none, count);
  const auto key = *make_ephemeral_signing_key ();
  const std::size_t left_out = std::min (kLeftOut, count / 2);
  std::vector<Client> clients;
  clients.reserve (count);
  long before_kib = 0;
  const double started = static_cast<double> (g_get_monotonic_time ());
  double pinged = started;
  for (std::size_t i = 0; i < count; ++i) {
    if (i == left_out) before_kib = private_kib ();
    clients.emplace_back (port);
    clients.back ().enroll ("client-" + std::to_string (i), *key);
    const auto now = static_cast<double> (g_get_monotonic_time ());
    if (now - pinged < kHeartbeatS * 1e6) continue;
    pinged = now;
    for (Client &client : clients) client.ping ();
    for (Client &client : clients) client.take_pong ();
  }
  const double seconds = (static_cast<double> (g_get_monotonic_time ()) - started) / 1e6;
  const double registered_cpu = cpu_seconds ();
  for (Client &client : clients) client.ping ();
  for (Client &client : clients) client.take_pong ();
  const double ping_cpu = cpu_seconds () - registered_cpu;
  const long after_kib = private_kib ();
  const double each =
      static_cast<double> (after_kib - before_kib) / static_cast<double> (count - left_out);
  std::printf (
      "%zu clients registered in %.1f s, %.2f ms of the server's CPU each\n"
      "memory of the server: %.2f KiB for each of the last %zu; %.1f MiB in all\n"
      "one heartbeat of all: %.2f s of CPU, %.2f %% of one core\n",
      count, seconds, registered_cpu * 1e3 / static_cast<double> (count), each, count - left_out,
      static_cast<double> (after_kib) / 1024, ping_cpu, ping_cpu / kHeartbeatS * 100);
  clients.clear ();
  kill (server_pid, SIGKILL);
  waitpid (server_pid, nullptr, 0);
  return 0;
}
