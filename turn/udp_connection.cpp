#include <netinet/in.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <cerrno>

#include "base/fd_watch.hpp"
#include "turn/connection.hpp"

namespace p2p::turn {

namespace {

constexpr std::size_t kMaxDatagramBytes = 65536;
constexpr int kBatch = 32;                           // datagrams of one system call
constexpr int kBatchesPerTurn = 4;                   // before others of the loop have their turn
constexpr int kSocketBufferBytes = 4 * 1024 * 1024;  // the kernel gives as much as it may
constexpr std::size_t kUdpHeaderBytes = 8;

// One for each thread: what is received is handed on before the next call.
struct ReceiveBuffers {
  std::array<std::array<std::uint8_t, kMaxDatagramBytes>, kBatch> bytes;
  std::array<iovec, kBatch> vectors;
  std::array<mmsghdr, kBatch> messages;

  ReceiveBuffers () : messages{} {
    for (std::size_t i = 0; i < kBatch; ++i) {
      vectors[i] = {bytes[i].data (), bytes[i].size ()};
      messages[i].msg_hdr.msg_iov = &vectors[i];
      messages[i].msg_hdr.msg_iovlen = 1;
    }
  }
};

class UdpConnection final : public Connection {
 public:
  UdpConnection (GMainContext *context, Scheduler &scheduler, Ref<GSocket> socket)
      : context_ (Ref<GMainContext>::share (context)),
        scheduler_ (scheduler),
        socket_ (std::move (socket)),
        fd_ (g_socket_get_fd (socket_.get ())),
        doubt_ (scheduler.make_timer ([this] {
          if (observer_) observer_->connection_doubtful ();
        })) {
    for (const int which : {SO_RCVBUF, SO_SNDBUF})
      setsockopt (fd_, SOL_SOCKET, which, &kSocketBufferBytes, sizeof kSocketBufferBytes);
  }

  void start (Observer &observer) override {
    observer_ = &observer;
    watch_ = std::make_unique<FdWatch> (context_.get (), fd_, G_IO_IN,
                                        [this] (GIOCondition) { receive (); });
  }
  void stop () override {
    observer_ = nullptr;
    watch_.reset ();
  }

  bool send (ByteView packet) override {
    const ssize_t sent = ::send (fd_, packet.data, packet.size, MSG_NOSIGNAL);
    if (sent >= 0) return true;
    // A packet that is lost here is as one that is lost on the way.
    if (errno == ECONNREFUSED) doubt_->arm (scheduler_.now ());
    return false;
  }
  bool reliable () const override { return false; }

  std::size_t max_data_bytes () const override {
    const bool ipv4 = g_socket_get_family (socket_.get ()) == G_SOCKET_FAMILY_IPV4;
    int mtu = 0;
    socklen_t size = sizeof mtu;
    if (getsockopt (fd_, ipv4 ? IPPROTO_IP : IPPROTO_IPV6, ipv4 ? IP_MTU : IPV6_MTU, &mtu, &size) !=
        0)
      mtu = 1280;  // RFC 8200 section 5
    const std::size_t headers = (ipv4 ? 20U : 40U) + kUdpHeaderBytes + kMaxOverheadBytes;
    return static_cast<std::size_t> (std::clamp (mtu, 576, 65535)) - headers;
  }

 private:
  void receive () {
    static thread_local const auto buffers = std::make_unique<ReceiveBuffers> ();
    for (int batch = 0; batch < kBatchesPerTurn && observer_; ++batch) {
      const int count = recvmmsg (fd_, buffers->messages.data (), kBatch, MSG_DONTWAIT, nullptr);
      if (count < 0) {
        if (errno == ECONNREFUSED && observer_) observer_->connection_doubtful ();
        return;
      }
      for (std::size_t i = 0; i < static_cast<std::size_t> (count) && observer_; ++i)
        observer_->connection_received (
            ByteView (buffers->bytes[i].data (), buffers->messages[i].msg_len));
      if (count < kBatch) return;
    }
  }

  const Ref<GMainContext> context_;
  Scheduler &scheduler_;
  const Ref<GSocket> socket_;
  const int fd_;
  const std::unique_ptr<Scheduler::Timer> doubt_;
  Observer *observer_ = nullptr;
  std::unique_ptr<FdWatch> watch_;
};

}  // namespace

std::unique_ptr<Connection>
make_udp_connection (GMainContext *context, Scheduler &scheduler, Ref<GSocket> socket) {
  return std::make_unique<UdpConnection> (context, scheduler, std::move (socket));
}

}  // namespace p2p::turn
