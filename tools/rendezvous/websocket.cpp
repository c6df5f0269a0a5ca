#include "rendezvous/websocket.hpp"

#include <algorithm>
#include <utility>

namespace p2p {

namespace {

constexpr std::size_t kBytesPerTurn = 64 * 1024;  // then the others have theirs

WebSocket &
socket_of (gpointer data) {
  return *static_cast<WebSocket *> (data);
}

}  // namespace

WebSocket::WebSocket (GMainContext *context, const Ref<GIOStream> &upgraded,
                      const Ref<GIOStream> &stream, const Ref<GSocket> &socket, Owner &owner)
    : context_ (context), upgraded_ (upgraded), stream_ (stream), owner_ (owner) {
  watch_ = std::make_unique<FdWatch> (context, g_socket_get_fd (socket.get ()), G_IO_IN,
                                      [this] (GIOCondition) { pump (); });
  // What was read with the request makes no descriptor ready.
  pump_later ();
}

wslay_event_context *
WebSocket::protocol () {
  if (protocol_) return protocol_.get ();
  wslay_event_callbacks calls{};
  calls.recv_callback = [] (wslay_event_context *, std::uint8_t *into, std::size_t size, int,
                            gpointer data) { return socket_of (data).read (into, size); };
  calls.send_callback = [] (wslay_event_context *, const std::uint8_t *bytes, std::size_t size, int,
                            gpointer data) { return socket_of (data).write (bytes, size); };
  calls.on_frame_recv_start_callback =
      [] (wslay_event_context *, const wslay_event_on_frame_recv_start_arg *frame, gpointer data) {
        socket_of (data).frame_began (*frame);
      };
  calls.on_msg_recv_callback = [] (wslay_event_context *,
                                   const wslay_event_on_msg_recv_arg *message,
                                   gpointer data) { socket_of (data).received (*message); };
  wslay_event_context *raw = nullptr;
  if (wslay_event_context_server_init (&raw, &calls, this) != 0) g_error ("Out of memory.");
  protocol_.reset (raw);
  wslay_event_config_set_max_recv_msg_length (raw, kMaxMessageBytes);
  return raw;
}

// Half of what an idle client would take is wslay's buffer of 4 KiB.
void
WebSocket::rest () {
  if (!protocol_ || failed_ || read_bytes_ != framed_bytes_ || in_message_) return;
  if (wslay_event_want_write (protocol_.get ()) || wslay_event_get_close_sent (protocol_.get ()) ||
      wslay_event_get_close_received (protocol_.get ()) ||
      !wslay_event_get_read_enabled (protocol_.get ()))
    return;
  protocol_.reset ();
  read_bytes_ = framed_bytes_ = 0;
}

// RFC 6455 section 5.2: what a client's frame takes, the mask included.
void
WebSocket::frame_began (const wslay_event_on_frame_recv_start_arg &frame) {
  const std::uint64_t head = frame.payload_length < 126       ? 6
                             : frame.payload_length <= 0xffff ? 8
                                                              : 14;
  framed_bytes_ += head + frame.payload_length;
  if (!wslay_is_ctrl_frame (frame.opcode)) in_message_ = frame.fin == 0;
}

WebSocket::~WebSocket () {
  watch_.reset ();  // before the descriptor is closed
  g_io_stream_close_async (stream_.get (), G_PRIORITY_DEFAULT, nullptr, nullptr, nullptr);
}

bool
WebSocket::send (const std::string &text) {
  if (failed_ || wslay_event_get_queued_msg_length (protocol ()) > kMaxWaitingBytes) return false;
  const wslay_event_msg message = {
      WSLAY_TEXT_FRAME, reinterpret_cast<const std::uint8_t *> (text.data ()), text.size ()};
  if (wslay_event_queue_msg (protocol (), &message) != 0) return false;
  if (!pumping_) {
    flush ();
    rest ();
  }
  return true;
}

void
WebSocket::close (unsigned short code, const char *reason) {
  if (failed_) return;
  wslay_event_queue_close (protocol (), code, reinterpret_cast<const std::uint8_t *> (reason),
                           std::char_traits<char>::length (reason));
  if (!pumping_) flush ();
}

bool
WebSocket::refused () {
  return !wslay_event_get_read_enabled (protocol ()) && wslay_event_get_close_sent (protocol ()) &&
         !wslay_event_get_close_received (protocol ());
}

bool
WebSocket::over () {
  return failed_ || (!wslay_event_want_read (protocol ()) &&
                     !wslay_event_want_write (protocol ()) && !refused ());
}

void
WebSocket::pump () {
  later_.reset ();
  may_read_bytes_ = kBytesPerTurn;
  pumping_ = true;
  if (!failed_ && wslay_event_recv (protocol ()) != 0) failed_ = true;
  pumping_ = false;
  if (!failed_) flush ();
  if (!failed_ && refused ()) throw_away ();
  if (!over ()) {
    rest ();
    return;
  }
  later_.reset ();
  watch_.reset ();
  owner_.websocket_closed ();
}

void
WebSocket::flush () {
  if (wslay_event_send (protocol ()) != 0) failed_ = true;
  const bool reads = wslay_event_want_read (protocol ()) != 0 || refused ();
  const bool writes = wslay_event_want_write (protocol ()) != 0;
  watch_->set_events (
      static_cast<GIOCondition> ((reads ? G_IO_IN : 0) | (writes && !failed_ ? G_IO_OUT : 0)));
  if (over () || may_read_bytes_ == 0) pump_later ();
}

void
WebSocket::throw_away () {
  if (!std::exchange (told_refused_, true)) owner_.websocket_refused ();
  std::uint8_t unread[4096];
  while (read (unread, sizeof unread) > 0) {
  }
  if (at_end_) failed_ = true;
  if (may_read_bytes_ == 0) pump_later ();
}

void
WebSocket::pump_later () {
  if (later_) return;
  later_.reset (g_idle_source_new ());
  g_source_set_priority (later_.get (), G_PRIORITY_DEFAULT);
  const GSourceFunc run = [] (gpointer data) -> gboolean {
    socket_of (data).pump ();
    return G_SOURCE_REMOVE;
  };
  g_source_set_callback (later_.get (), run, this, nullptr);
  g_source_attach (later_.get (), context_);
}

ssize_t
WebSocket::read (std::uint8_t *into, std::size_t size) {
  GError *raw = nullptr;
  gssize count = -1;
  if (may_read_bytes_ > 0)
    count = g_pollable_input_stream_read_nonblocking (
        G_POLLABLE_INPUT_STREAM (
            g_io_stream_get_input_stream ((upgraded_ ? upgraded_ : stream_).get ())),
        into, std::min (size, may_read_bytes_), nullptr, &raw);
  const UniqueError error (raw);
  if (count > 0) {
    may_read_bytes_ -= static_cast<std::size_t> (count);
    read_bytes_ += static_cast<std::uint64_t> (count);
    return count;
  }
  const bool later =
      may_read_bytes_ == 0 || g_error_matches (raw, G_IO_ERROR, G_IO_ERROR_WOULD_BLOCK);
  at_end_ = !later;
  if (count < 0 && later && may_read_bytes_ > 0) upgraded_.reset ();
  wslay_event_set_error (protocol (), later ? WSLAY_ERR_WOULDBLOCK : WSLAY_ERR_CALLBACK_FAILURE);
  return -1;
}

ssize_t
WebSocket::write (const std::uint8_t *bytes, std::size_t size) {
  GError *raw = nullptr;
  const gssize count = g_pollable_output_stream_write_nonblocking (
      G_POLLABLE_OUTPUT_STREAM (g_io_stream_get_output_stream (stream_.get ())), bytes, size,
      nullptr, &raw);
  const UniqueError error (raw);
  if (count >= 0) return count;
  const bool later = g_error_matches (raw, G_IO_ERROR, G_IO_ERROR_WOULD_BLOCK);
  wslay_event_set_error (protocol (), later ? WSLAY_ERR_WOULDBLOCK : WSLAY_ERR_CALLBACK_FAILURE);
  return -1;
}

void
WebSocket::received (const wslay_event_on_msg_recv_arg &message) {
  if (message.opcode == WSLAY_TEXT_FRAME || message.opcode == WSLAY_BINARY_FRAME)
    owner_.websocket_message (message.opcode == WSLAY_TEXT_FRAME,
                              {message.msg, message.msg_length});
}

}  // namespace p2p
