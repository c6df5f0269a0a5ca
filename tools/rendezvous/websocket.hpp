// One WebSocket of a client (RFC 6455), after its HTTP upgrade, on wslay. A quiet one costs the
// loop nothing, however many there are: GLib's turns do not go through them, see FdWatch.
// Thread of the context.
#pragma once
#include <gio/gio.h>
#include <wslay/wslay.h>

#include <memory>
#include <string>

#include "base/bytes.hpp"
#include "base/fd_watch.hpp"
#include "base/ptr.hpp"
#include "signaling/frame.hpp"

namespace p2p {

class WebSocket {
 public:
  // Called from the loop only, never from inside of the calls below.
  class Owner {
   public:
    virtual ~Owner () = default;
    virtual void websocket_message (bool text, ByteView message) = 0;
    // The client broke the protocol, and was told so: what it still sends is thrown away until it
    // ends the connection, because closing at once could take the close frame from it. It is for
    // the owner to cut off one that does not end.
    virtual void websocket_refused () = 0;
    // The last call; may destroy the WebSocket.
    virtual void websocket_closed () = 0;
  };

  // `stream` ends at `socket`; `upgraded`, above it, may have read more from it than the request.
  WebSocket (GMainContext *context, const Ref<GIOStream> &upgraded, const Ref<GIOStream> &stream,
             const Ref<GSocket> &socket, Owner &owner);
  ~WebSocket ();
  WebSocket (const WebSocket &) = delete;
  WebSocket &operator= (const WebSocket &) = delete;

  // False: the client does not take what waits for it, or has closed; the frame is dropped.
  bool send (const std::string &text);
  // The client's close frame is waited for; without one it is for the owner to cut the socket off.
  void close (unsigned short code, const char *reason);

  // A longer one closes (1009); below it the broker's answer is an error.
  static constexpr std::size_t kMaxMessageBytes = 4 * kMaxFrameBytes;
  static constexpr std::size_t kMaxWaitingBytes = 1024 * 1024;

 private:
  struct FreeContext {
    void operator() (wslay_event_context *context) const { wslay_event_context_free (context); }
  };

  wslay_event_context *protocol ();
  void rest ();
  void frame_began (const wslay_event_on_frame_recv_start_arg &frame);
  void pump ();
  void flush ();
  void pump_later ();
  bool refused ();
  bool over ();
  void throw_away ();
  ssize_t read (std::uint8_t *into, std::size_t size);
  ssize_t write (const std::uint8_t *bytes, std::size_t size);
  void received (const wslay_event_on_msg_recv_arg &message);

  GMainContext *const context_;
  Ref<GIOStream> upgraded_;  // until all is taken from it that it has read
  const Ref<GIOStream> stream_;
  Owner &owner_;
  std::unique_ptr<wslay_event_context, FreeContext> protocol_;  // null while nothing is under way
  std::uint64_t read_bytes_ = 0, framed_bytes_ = 0;             // by protocol_
  bool in_message_ = false;                                     // between two fragments
  bool pumping_ = false, failed_ = false, told_refused_ = false, at_end_ = false;
  std::size_t may_read_bytes_ = 0;  // in this turn
  UniqueSource later_;
  std::unique_ptr<FdWatch> watch_;
};

}  // namespace p2p
