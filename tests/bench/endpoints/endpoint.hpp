// One end of a connection, whatever library makes it. A program has one kind, which it links.
#pragma once
#include <functional>
#include <memory>
#include <string>

namespace bench {

struct Settings {
  bool offering = false;
  std::size_t message_bytes = 65536;
  // The connection's place among those that the program holds.
  int index = 0;
};

// Callbacks come on the default main context, or on a thread of the library, but never two at a
// time.
class Endpoint {
 public:
  virtual ~Endpoint () = default;

  // What the other side must know; waits for all candidates. An endpoint that only answers is given
  // the offer; one that does not care who offers gets it later, through accept().
  virtual std::string describe (const std::string &offer) = 0;
  // Begins to connect.
  virtual void accept (const std::string &description) = 0;
  // False for libraries in which one side has to answer to the other's offer.
  virtual bool symmetric () const { return true; }

  // Sends a message of message_bytes; when false, the next has to wait for on_writable.
  virtual bool send () = 0;

  // The same by calls that wait, on the thread of the caller; false where the library has none.
  virtual bool send_waiting () { return false; }
  virtual bool receive_waiting (std::size_t &size) {
    size = 0;
    return false;
  }

  std::function<void ()> on_open, on_writable;
  std::function<void (std::size_t)> on_message;
  // Set before accept() when only the calls that wait will be used; on_message will not come.
  bool blocking = false;
};

std::unique_ptr<Endpoint> make_endpoint (const Settings &settings);

}  // namespace bench
