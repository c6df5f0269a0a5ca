#include "redis/redis_link.hpp"

#include <gio/gunixsocketaddress.h>
#include <sys/socket.h>

#include <array>
#include <cerrno>

namespace p2p {

namespace {

constexpr std::size_t kReadBytes = 16 * 1024;
constexpr int kReadsPerTurn = 16;  // then the loop's other sources have theirs
// What was written already is cut off the front of the queue in one piece.
constexpr std::size_t kCompactBytes = 64 * 1024;

struct Attempt {
  RedisLink *link;
  std::weak_ptr<bool> alive;
};

std::string
lowered (const char *message) {
  std::string text = message;
  while (!text.empty () && text.back () == '.') text.pop_back ();
  return text;
}

}  // namespace

RedisLink::RedisLink (GMainContext *context, const RedisAddress &address,
                      std::size_t max_reply_bytes, Observer &observer)
    : context_ (context),
      address_ (address),
      max_reply_bytes_ (max_reply_bytes),
      observer_ (observer) {}

RedisLink::~RedisLink () {
  close ();
}

void
RedisLink::open () {
  close ();
  alive_ = std::make_shared<bool> (true);
  cancellable_ = Ref<GCancellable>::adopt (g_cancellable_new ());
  const auto client = Ref<GSocketClient>::adopt (g_socket_client_new ());
  g_socket_client_set_enable_proxy (client.get (), FALSE);
  const auto where = Ref<GSocketConnectable>::adopt (
      address_.socket_path.empty ()
          ? g_network_address_new (address_.host.c_str (), address_.port)
          : G_SOCKET_CONNECTABLE (g_unix_socket_address_new (address_.socket_path.c_str ())));
  // GIO answers in the context that is the thread's default when it is asked.
  if (context_) g_main_context_push_thread_default (context_);
  g_socket_client_connect_async (
      client.get (), where.get (), cancellable_.get (),
      [] (GObject *source, GAsyncResult *result, gpointer data) {
        const std::unique_ptr<Attempt> attempt (static_cast<Attempt *> (data));
        GError *raw = nullptr;
        const auto connection = Ref<GSocketConnection>::adopt (
            g_socket_client_connect_finish (G_SOCKET_CLIENT (source), result, &raw));
        const UniqueError error (raw);
        if (!attempt->alive.expired ())
          attempt->link->on_connected (connection.get (), error.get ());
      },
      new Attempt{this, alive_});
  if (context_) g_main_context_pop_thread_default (context_);
}

void
RedisLink::close () {
  alive_.reset ();
  if (cancellable_) g_cancellable_cancel (cancellable_.get ());
  cancellable_.reset ();
  watch_.reset ();  // before its descriptor
  reader_.reset ();
  connection_.reset ();
  out_.clear ();
  written_ = 0;
}

void
RedisLink::on_connected (GSocketConnection *connection, const GError *error) {
  cancellable_.reset ();
  if (!connection) {
    end (P2P_ERROR_UNREACHABLE, lowered (error->message));
    return;
  }
  connection_ = Ref<GSocketConnection>::share (connection);
  GSocket *const socket = g_socket_connection_get_socket (connection);
  g_socket_set_blocking (socket, FALSE);
  reader_ = std::make_unique<RedisReader> (max_reply_bytes_);
  watch_ = std::make_unique<FdWatch> (context_, g_socket_get_fd (socket), G_IO_IN,
                                      [this] (GIOCondition there) { on_ready (there); });
  observer_.link_open ();
}

void
RedisLink::write (const std::string &bytes) {
  if (!watch_) return;
  const bool idle = out_.empty ();
  if (written_ >= kCompactBytes) {
    out_.erase (0, written_);
    written_ = 0;
  }
  out_ += bytes;
  // From the loop, so that what is written in one turn leaves in one packet.
  if (idle) watch_->set_events (static_cast<GIOCondition> (G_IO_IN | G_IO_OUT));
}

void
RedisLink::on_ready (GIOCondition there) {
  const std::weak_ptr<bool> alive = alive_;
  if (there & (G_IO_IN | G_IO_ERR | G_IO_HUP)) read_some ();
  if (!alive.expired () && there & G_IO_OUT) flush ();
}

void
RedisLink::read_some () {
  const std::weak_ptr<bool> alive = alive_;
  const int fd = g_socket_get_fd (g_socket_connection_get_socket (connection_.get ()));
  for (int turn = 0; turn < kReadsPerTurn; ++turn) {
    std::array<char, kReadBytes> chunk;
    const ssize_t count = recv (fd, chunk.data (), chunk.size (), MSG_DONTWAIT);
    if (count < 0) {
      if (errno != EAGAIN && errno != EINTR) end (P2P_ERROR_NOT_CONNECTED, g_strerror (errno));
      return;
    }
    if (count == 0) {
      end (P2P_ERROR_NOT_CONNECTED, "it has closed the connection");
      return;
    }
    if (auto error = reader_->feed ({chunk.data (), static_cast<std::size_t> (count)})) {
      end (error->code, error->message);
      return;
    }
    for (;;) {
      RedisReply reply;
      auto whole = reader_->next (reply);
      if (!whole) {
        end (whole.error ().code, whole.error ().message);
        return;
      }
      if (!*whole) break;
      observer_.link_reply (std::move (reply));
      if (alive.expired ()) return;
    }
  }
}

void
RedisLink::flush () {
  const int fd = g_socket_get_fd (g_socket_connection_get_socket (connection_.get ()));
  while (written_ < out_.size ()) {
    const ssize_t count =
        send (fd, out_.data () + written_, out_.size () - written_, MSG_DONTWAIT | MSG_NOSIGNAL);
    if (count < 0) {
      if (errno == EINTR) continue;
      if (errno != EAGAIN) end (P2P_ERROR_NOT_CONNECTED, g_strerror (errno));
      return;
    }
    written_ += static_cast<std::size_t> (count);
  }
  std::string ().swap (out_);
  written_ = 0;
  watch_->set_events (G_IO_IN);
}

void
RedisLink::end (P2pError code, const std::string &why) {
  close ();
  observer_.link_closed (code, why);
}

}  // namespace p2p
