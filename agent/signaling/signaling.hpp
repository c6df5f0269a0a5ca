// Signaling carries small opaque messages between two ids that asked for each other, until they
// have a path of their own. The server in between may be hostile: it sees ids and sealed texts.
// Core thread only.
#pragma once
#include <memory>
#include <string>

#include "base/error.hpp"

namespace p2p {

constexpr std::size_t kMaxSignalBytes = 64 * 1024;  // of one message, in every implementation
constexpr char kAnyPeer[] = "*";                    // ask() for whoever asks for us

class Signaling {
 public:
  enum class State {
    idle,
    connecting,  // also while it waits to try again
    registered,  // our id is ours; messages pass
    refused,     // for good: the id is held by another key, or the server will not have us
  };
  class Observer {
   public:
    virtual ~Observer () = default;
    // `reason` is null when all is well. Comes once per change, and at every failed attempt.
    virtual void signaling_state (State state, const Error *reason) = 0;
    // `peer` is registered and asked for us as we for it; or it is gone. All messages between the
    // two calls arrive in order: one that is lost on the way shows as going and coming again.
    virtual void signaling_peer (const std::string &peer, bool present) = 0;
    virtual void signaling_message (const std::string &from, const std::string &message) = 0;
  };

  virtual ~Signaling () = default;  // ends without a further call to the observer
  virtual void set_observer (Observer *observer) = 0;
  // Registers `id` and stays registered, through any loss, until destroyed (back-off with jitter).
  virtual void start (const std::string &id) = 0;
  virtual void ask (const std::string &peer) = 0;
  virtual void unask (const std::string &peer) = 0;
  // P2P_ERROR_NOT_CONNECTED when the peer is not present, P2P_ERROR_MESSAGE_TOO_LARGE above the
  // limit, P2P_ERROR_WOULD_BLOCK when too much is under way already.
  virtual Status send (const std::string &peer, const std::string &message) = 0;
  // This machine's network is another one, or the machine has slept: whatever waits for better
  // times tries now, and a connection that may be dead is put to the proof. Calls no observer from
  // inside. Nothing where the implementation knows better itself. Not `usable`: there is none.
  virtual void network_changed (bool /*usable*/) {}
  virtual State state () const = 0;
  // Address of a STUN server that comes with it: "host:port", empty when there is none.
  virtual std::string stun_server () const = 0;
};

}  // namespace p2p
