#include <algorithm>
#include <array>

#include "base/fd_watch.hpp"
#include "turn/connection.hpp"
#include "turn/lossy_socket.hpp"
#include "turn/udp_socket.hpp"

namespace p2p::turn {

namespace {

constexpr std::size_t kMaxRecordBytes = 16 * 1024;  // RFC 6347 section 4.1, RFC 5246 section 6.2.1
constexpr int kRecordsPerTurn = 128;                // before others of the loop have their turn
// glib-networking lets no record be longer, header and all, whatever the way carries.
constexpr std::size_t kGioMtuBytes = 1400;
// A record's header (RFC 6347 section 4.1), and what a cipher adds at most: an explicit IV, an
// HMAC-SHA384, and padding to AES's blocks.
constexpr std::size_t kRecordOverheadBytes = 13 + 16 + 48 + 16;

class DtlsConnection final : public Connection {
 public:
  DtlsConnection (GMainContext *context, Scheduler &scheduler, DtlsSocket socket)
      : context_ (Ref<GMainContext>::share (context)),
        scheduler_ (scheduler),
        socket_ (std::move (socket)),
        doubt_ (scheduler.make_timer ([this] {
          if (observer_) observer_->connection_doubtful ();
        })),
        more_ (scheduler.make_timer ([this] { receive (); })),
        end_ (scheduler.make_timer ([this] {
          if (observer_) observer_->connection_ended (ended_);
        })) {
    widen_buffers (socket_.udp.get ());
  }
  ~DtlsConnection () override {
    stop ();
    // A close_notify goes out; nobody waits for it.
    g_dtls_connection_close_async (G_DTLS_CONNECTION (socket_.dtls.get ()), G_PRIORITY_DEFAULT,
                                   nullptr, nullptr, nullptr);
  }

  void start (Observer &observer) override {
    observer_ = &observer;
    watch_ = std::make_unique<FdWatch> (context_.get (), g_socket_get_fd (socket_.udp.get ()),
                                        G_IO_IN, [this] (GIOCondition) { receive (); });
  }
  void stop () override {
    observer_ = nullptr;
    watch_.reset ();
  }

  bool send (ByteView packet) override {
    if (!ended_.empty ()) return false;
    GOutputVector vector{packet.data, packet.size};
    GOutputMessage message{nullptr, &vector, 1, 0, nullptr, 0};
    GError *raw = nullptr;
    g_datagram_based_send_messages (socket_.dtls.get (), &message, 1, G_SOCKET_MSG_NONE, 0, nullptr,
                                    &raw);
    const UniqueError error (raw);
    look_for_doubt ();
    if (!error) return !socket_.losses->lost.exchange (false);
    if (!g_error_matches (raw, G_IO_ERROR, G_IO_ERROR_WOULD_BLOCK) &&
        !g_error_matches (raw, G_IO_ERROR, G_IO_ERROR_MESSAGE_TOO_LARGE))
      end (raw->message);
    return false;
  }
  bool reliable () const override { return false; }
  std::size_t max_data_bytes () const override {
    return std::min (max_payload_bytes (socket_.udp.get ()), kGioMtuBytes) - kRecordOverheadBytes -
           kMaxOverheadBytes;
  }

 private:
  void look_for_doubt () {
    if (socket_.losses->refused.exchange (false)) doubt_->arm (scheduler_.now ());
  }

  void end (const char *why) {
    if (!ended_.empty ()) return;
    ended_ = why;
    watch_.reset ();
    end_->arm (scheduler_.now ());  // never from inside of send()
  }

  void receive () {
    static thread_local std::array<std::uint8_t, kMaxRecordBytes> buffer;
    for (int i = 0; i < kRecordsPerTurn; ++i) {
      if (!observer_ || !ended_.empty ()) return;
      GInputVector vector{buffer.data (), buffer.size ()};
      GInputMessage message{};
      message.vectors = &vector;
      message.num_vectors = 1;
      GError *raw = nullptr;
      const int count = g_datagram_based_receive_messages (socket_.dtls.get (), &message, 1,
                                                           G_SOCKET_MSG_NONE, 0, nullptr, &raw);
      const UniqueError error (raw);
      look_for_doubt ();
      if (error) {
        if (!g_error_matches (raw, G_IO_ERROR, G_IO_ERROR_WOULD_BLOCK)) end (raw->message);
        return;
      }
      if (count == 0) {
        end ("the server has closed the connection");
        return;
      }
      observer_->connection_received (ByteView (buffer.data (), message.bytes_received));
    }
    // Of a datagram with many records the rest has left the socket already.
    more_->arm (scheduler_.now ());
  }

  const Ref<GMainContext> context_;
  Scheduler &scheduler_;
  const DtlsSocket socket_;
  const std::unique_ptr<Scheduler::Timer> doubt_, more_, end_;
  Observer *observer_ = nullptr;
  std::unique_ptr<FdWatch> watch_;
  std::string ended_;  // why
};

}  // namespace

std::unique_ptr<Connection>
make_dtls_connection (GMainContext *context, Scheduler &scheduler, DtlsSocket socket) {
  return std::make_unique<DtlsConnection> (context, scheduler, std::move (socket));
}

}  // namespace p2p::turn
