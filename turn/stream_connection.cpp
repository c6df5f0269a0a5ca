#include <algorithm>
#include <array>

#include "turn/channel_data.hpp"
#include "turn/connection.hpp"

namespace p2p::turn {

namespace {

constexpr std::size_t kReadBytes = 64 * 1024;
constexpr int kReadsPerTurn = 8;  // before others of the loop have their turn
// What the network does not take yet; beyond that data is lost, as on a full link. A request finds
// room, as there are few of them.
constexpr std::size_t kMaxUnsentBytes = 1024 * 1024;
constexpr std::size_t kMaxDataBytes = 65507 - kMaxOverheadBytes;

// Both directions of a stream, TLS or not, without blocking.
class StreamConnection final : public Connection {
 public:
  StreamConnection (GMainContext *context, Scheduler &scheduler, Ref<GIOStream> stream)
      : context_ (Ref<GMainContext>::share (context)),
        stream_ (std::move (stream)),
        in_ (G_POLLABLE_INPUT_STREAM (g_io_stream_get_input_stream (stream_.get ()))),
        out_ (G_POLLABLE_OUTPUT_STREAM (g_io_stream_get_output_stream (stream_.get ()))),
        end_ (scheduler.make_timer ([this] {
          if (observer_) observer_->connection_ended (ended_);
        })),
        scheduler_ (scheduler) {}
  ~StreamConnection () override {
    stop ();
    // What is written goes out, then the end of TLS and of TCP; nobody waits for it.
    g_io_stream_close_async (stream_.get (), G_PRIORITY_DEFAULT, nullptr, nullptr, nullptr);
  }

  void start (Observer &observer) override {
    observer_ = &observer;
    read_source_.reset (g_pollable_input_stream_create_source (in_, nullptr));
    watch (read_source_.get (), [] (GObject *, gpointer data) -> gboolean {
      static_cast<StreamConnection *> (data)->read ();
      return G_SOURCE_CONTINUE;
    });
  }
  void stop () override {
    observer_ = nullptr;
    read_source_.reset ();
    write_source_.reset ();
  }

  bool send (ByteView packet) override {
    if (!ended_.empty ()) return false;
    if (unsent_.size () - written_ + packet.size > kMaxUnsentBytes) return false;
    if (written_ == unsent_.size ()) {
      const gssize sent = write (packet);
      if (sent < 0) return false;
      packet = packet.sub (static_cast<std::size_t> (sent));
      if (packet.empty ()) return true;
    }
    unsent_.insert (unsent_.end (), packet.begin (), packet.end ());
    if (!write_source_) {
      write_source_.reset (g_pollable_output_stream_create_source (out_, nullptr));
      watch (write_source_.get (), [] (GObject *, gpointer data) -> gboolean {
        return static_cast<StreamConnection *> (data)->flush ();
      });
    }
    return true;
  }
  bool reliable () const override { return true; }
  std::size_t max_data_bytes () const override { return kMaxDataBytes; }

 private:
  void watch (GSource *source, GPollableSourceFunc callback) {
    g_source_set_callback (source, G_SOURCE_FUNC (callback), this, nullptr);
    g_source_set_static_name (source, "p2p turn stream");
    g_source_attach (source, context_.get ());
  }

  void end (const char *why) {
    if (!ended_.empty ()) return;
    ended_ = why;
    read_source_.reset ();
    write_source_.reset ();
    end_->arm (scheduler_.now ());  // never from inside of send()
  }

  // The bytes that were taken; -1 at the end of the stream.
  gssize write (ByteView bytes) {
    GError *raw = nullptr;
    const gssize sent =
        g_pollable_output_stream_write_nonblocking (out_, bytes.data, bytes.size, nullptr, &raw);
    const UniqueError error (raw);
    if (sent >= 0) return sent;
    if (g_error_matches (error.get (), G_IO_ERROR, G_IO_ERROR_WOULD_BLOCK)) return 0;
    end (error->message);
    return -1;
  }

  gboolean flush () {
    const gssize sent = write (ByteView (unsent_.data () + written_, unsent_.size () - written_));
    if (sent < 0) return G_SOURCE_REMOVE;
    written_ += static_cast<std::size_t> (sent);
    if (written_ < unsent_.size ()) return G_SOURCE_CONTINUE;
    unsent_.clear ();
    written_ = 0;
    write_source_.reset ();
    return G_SOURCE_REMOVE;
  }

  void read () {
    for (int turn = 0; turn < kReadsPerTurn && observer_; ++turn) {
      static thread_local std::array<std::uint8_t, kReadBytes> buffer;
      GError *raw = nullptr;
      const gssize size = g_pollable_input_stream_read_nonblocking (in_, buffer.data (),
                                                                    buffer.size (), nullptr, &raw);
      const UniqueError error (raw);
      if (size < 0) {
        if (!g_error_matches (error.get (), G_IO_ERROR, G_IO_ERROR_WOULD_BLOCK))
          end (error->message);
        return;
      }
      if (size == 0) {
        end ("the server has closed the connection");
        return;
      }
      framer_.add (ByteView (buffer.data (), static_cast<std::size_t> (size)));
      while (observer_) {
        const auto packet = framer_.next ();
        if (!packet) break;
        observer_->connection_received (*packet);
      }
      if (framer_.broken ()) {
        end ("what comes from the server is not TURN");
        return;
      }
    }
  }

  const Ref<GMainContext> context_;
  const Ref<GIOStream> stream_;
  GPollableInputStream *const in_;    // stream_'s
  GPollableOutputStream *const out_;  // stream_'s
  const std::unique_ptr<Scheduler::Timer> end_;
  Scheduler &scheduler_;
  Observer *observer_ = nullptr;
  UniqueSource read_source_, write_source_;
  StreamFramer framer_;
  std::vector<std::uint8_t> unsent_;
  std::size_t written_ = 0;  // of unsent_
  std::string ended_;        // why
};

}  // namespace

std::unique_ptr<Connection>
make_stream_connection (GMainContext *context, Scheduler &scheduler, Ref<GIOStream> stream) {
  return std::make_unique<StreamConnection> (context, scheduler, std::move (stream));
}

}  // namespace p2p::turn
