// Lines of text over a connected stream socket, on the thread-default GMainContext: one frame is
// one line. What it reads and what it queues is bounded.
#pragma once
#include <functional>
#include <memory>
#include <string>

#include "base/bytes.hpp"
#include "base/fd_watch.hpp"
#include "base/ptr.hpp"

namespace p2p {

class LineConnection {
 public:
  // Any of these calls may destroy the connection.
  class Observer {
   public:
    virtual ~Observer () = default;
    virtual void line_received (LineConnection &connection, ByteView line) = 0;
    virtual void line_too_long (LineConnection &connection) = 0;  // it was skipped
    virtual void line_closed (LineConnection &connection, const std::string &reason) = 0;
  };

  LineConnection (Ref<GSocket> socket, std::size_t max_line_bytes, std::size_t max_queued_bytes,
                  Observer &observer);
  ~LineConnection ();
  LineConnection (const LineConnection &) = delete;
  LineConnection &operator= (const LineConnection &) = delete;

  // False when the queue is full: nothing was queued.
  bool send_line (const std::string &line);
  void flush ();  // writes what the socket takes at once; for the last words before the end
  void read_now () { on_readable (); }  // hands over what has come already
  GSocket *socket () const { return socket_.get (); }

 private:
  void on_readable ();
  void on_writable ();
  bool take_lines ();
  void fail (const std::string &reason);

  Ref<GSocket> socket_;
  std::size_t max_line_bytes_, max_queued_bytes_;
  Observer &observer_;
  std::string input_, output_;
  bool skipping_ = false;           // inside a line that is too long
  std::unique_ptr<FdWatch> watch_;  // none once it has failed
  std::shared_ptr<bool> alive_ = std::make_shared<bool> (true);
};

}  // namespace p2p
