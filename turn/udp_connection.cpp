#include <sys/socket.h>

#include <array>
#include <cerrno>

#include "base/fd_watch.hpp"
#include "base/udp_train.hpp"
#include "turn/connection.hpp"
#include "turn/udp_batch.hpp"
#include "turn/udp_socket.hpp"

namespace p2p::turn {

namespace {

constexpr std::size_t kMaxDatagramBytes = 65536;
constexpr int kBatch = 32;          // datagrams of one system call
constexpr int kBatchesPerTurn = 4;  // before others of the loop have their turn

// One for each thread: what is received is handed on before the next call.
struct ReceiveBuffers {
  std::array<std::array<std::uint8_t, kMaxDatagramBytes>, kBatch> bytes;
  std::array<iovec, kBatch> vectors;
  std::array<TrainControl, kBatch> controls;
  std::array<mmsghdr, kBatch> messages;

  ReceiveBuffers () : messages{} {
    for (std::size_t i = 0; i < kBatch; ++i) {
      vectors[i] = {bytes[i].data (), bytes[i].size ()};
      messages[i].msg_hdr.msg_iov = &vectors[i];
      messages[i].msg_hdr.msg_iovlen = 1;
    }
  }

  void prepare () {
    for (std::size_t i = 0; i < kBatch; ++i) {
      messages[i].msg_hdr.msg_control = controls[i].bytes.data ();
      messages[i].msg_hdr.msg_controllen = controls[i].bytes.size ();
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
    widen_buffers (socket_.get ());
    (void)receive_trains (fd_);
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
    if (holding_) {
      batch_.add (packet);
      return true;
    }
    const ssize_t sent = ::send (fd_, packet.data, packet.size, MSG_NOSIGNAL);
    if (sent >= 0) return true;
    // A packet that is lost here is as one that is lost on the way.
    if (errno == ECONNREFUSED) doubt_->arm (scheduler_.now ());
    return false;
  }
  void hold () override { holding_ = true; }
  std::size_t release () override {
    holding_ = false;
    const UdpBatch::Outcome outcome = batch_.flush ();
    if (outcome.refused) doubt_->arm (scheduler_.now ());
    return outcome.unsent;
  }
  bool reliable () const override { return false; }

  std::size_t max_data_bytes () const override {
    return max_payload_bytes (socket_.get ()) - kMaxOverheadBytes;
  }

 private:
  void receive () {
    static thread_local const auto buffers = std::make_unique<ReceiveBuffers> ();
    for (int batch = 0; batch < kBatchesPerTurn && observer_; ++batch) {
      buffers->prepare ();
      const int count = recvmmsg (fd_, buffers->messages.data (), kBatch, MSG_DONTWAIT, nullptr);
      if (count < 0) {
        if (errno == ECONNREFUSED && observer_) observer_->connection_doubtful ();
        return;
      }
      for (std::size_t i = 0; i < static_cast<std::size_t> (count); ++i)
        deliver (ByteView (buffers->bytes[i].data (), buffers->messages[i].msg_len),
                 train_datagram_bytes (&buffers->messages[i].msg_hdr));
      if (count < kBatch) return;
    }
  }

  void deliver (ByteView train, std::size_t datagram_bytes) {
    if (datagram_bytes == 0) datagram_bytes = train.size;
    for (std::size_t at = 0; at < train.size && observer_; at += datagram_bytes)
      observer_->connection_received (train.sub (at, datagram_bytes));
  }

  const Ref<GMainContext> context_;
  Scheduler &scheduler_;
  const Ref<GSocket> socket_;
  const int fd_;
  UdpBatch batch_{fd_};
  bool holding_ = false;
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
