// Which elements of a process share what: those with the same id, rendezvous and identity share one
// agent, those of one agent with the same peer one connection, those with the same name one
// channel. Whoever leaves last closes it.
//
// All of this belongs to P2p's event context; nothing here needs a lock.
#pragma once
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "base/error.hpp"
#include "gst-ptr.hpp"
#include "settings.hpp"

namespace p2p {

// Runs `work` on P2p's event context: at once when called there, otherwise as soon as it can.
void run_on_events (std::function<void ()> work);
bool on_events ();
// Always later, after what was posted to the same context before.
void post_to (GMainContext *context, std::function<void ()> work);

Error to_error (const GError *error);
Error take_error (GError *error);  // (transfer full)

// Held by everything that still has to be closed; who waits is told when the last one lets go.
using CloseToken = std::shared_ptr<void>;

// What an element wants to hear of its agent.
class AgentUser {
 public:
  virtual ~AgentUser () = default;
  // Whether this one looks for a peer and takes any, which offered() gives it; `soon` will be `now`
  // before long.
  enum class Wish { none, soon, now };
  virtual Wish wishes_any_peer () const = 0;
  virtual void offered (P2pConnection *connection) = 0;
  virtual void rejected (const Error &reason) = 0;  // somebody who could not prove who they are
  virtual void agent_failed (const Error &error) = 0;
  virtual void agent_warned (const Error &warning) = 0;
};

class SharedAgent : public std::enable_shared_from_this<SharedAgent> {
 public:
  // The agent of these settings, made and started by the first who asks.
  static Result<std::shared_ptr<SharedAgent>> join (const ElementSettings &settings,
                                                    std::weak_ptr<AgentUser> user);
  ~SharedAgent ();

  P2pAgent *agent () const { return agent_.get (); }
  const std::string &rendezvous () const { return rendezvous_; }

  Ref<GMainContext> context () const;  // where the agent's signals come
  // Of an agent that is not the application's. What an element was told last holds for all.
  void set_liveness (const LivenessWishes &wishes);

  // Gives connections that came by themselves to the users that wait for one.
  void offer ();
  // Lets this peer in only with that certificate; empty: with any.
  Status pin (const std::string &peer, const std::string &fingerprint);
  // Takes part in the connection to the peer; which is opened when there is none.
  Result<Ref<P2pConnection>> connect (const std::string &peer);
  void use (P2pConnection *connection);  // takes part in one that was offered
  Result<Ref<P2pChannel>> open_channel (P2pConnection *connection, const std::string &name,
                                        P2pChannelOptions *options);
  // Undoes connect() or use(), and open_channel() when `channel` is not null.
  void release (P2pConnection *connection, P2pChannel *channel, const CloseToken &token);
  // After the last user has left, the agent is closed.
  void leave (const AgentUser *user, const CloseToken &token);

 private:
  struct Connection {
    Ref<P2pConnection> connection;
    bool ours = true;  // not the application's
    unsigned users = 0;
    std::map<P2pChannel *, unsigned> channels;
  };

  SharedAgent (Ref<P2pAgent> agent, bool ours, std::string rendezvous);
  Status configure (const ElementSettings &settings);
  void start ();
  void listen ();
  void offer (P2pConnection *connection);
  void signaling_changed (const Error &problem);
  void for_each_user (const std::function<void (AgentUser &)> &visit);
  Connection *find (P2pConnection *connection);

  const Ref<P2pAgent> agent_;
  const bool ours_;
  const std::string rendezvous_;
  std::string key_;
  std::vector<std::weak_ptr<AgentUser>> users_;
  std::vector<Connection> connections_;
  std::vector<std::string> turn_servers_;
  std::map<std::string, std::string> secrets_;  // peer -> secret, to find contradictions
  std::vector<std::pair<gpointer, gulong>> handlers_;
  std::string last_signaling_problem_;
};

}  // namespace p2p
