// Where paths other than ICE come from: what a P2pPathFactory is for the core. Core thread only.
#pragma once
#include <functional>
#include <memory>
#include <string>

#include "base/bytes.hpp"
#include "base/error.hpp"
#include "path/path.hpp"

namespace p2p {

class PathSource {
 public:
  // One attempt to open a path; destroying it cancels the attempt.
  class Attempt {
   public:
    virtual ~Attempt () = default;
    virtual void receive_message (ByteView message) = 0;  // from the peer's factory of that name
  };
  using Opened = std::function<void (Result<std::unique_ptr<Path>>)>;
  using SendMessage = std::function<void (ByteView message)>;

  virtual ~PathSource () = default;
  virtual const std::string &name () const = 0;
  // Both sides call open; `initiator` on exactly one of them. `opened` comes once, never from
  // inside.
  virtual std::unique_ptr<Attempt> open (const std::string &id, const std::string &peer,
                                         bool initiator, SendMessage send, Opened opened) = 0;
  // Calls `done`, from any thread, once every path of it that was destroyed before is closed, where
  // closing is more than the destructor.
  virtual void when_closed (const std::function<void ()> &done) { done (); }
};

}  // namespace p2p
