// An element's way to its peer: it shares an agent, waits for or opens the connection, and opens
// the channel. Opened when the element starts, closed when it stops; a new one for each time.
//
// Opening never waits, and what goes on is told to a LinkObserver. Streaming threads wait here for
// the channel, and then in the channel's own blocking calls.
#pragma once
#include <condition_variable>
#include <mutex>

#include "agent-registry.hpp"
#include "state-watch.hpp"

namespace p2p {

// The element's side. Called from the event context, or from a streaming thread, with no lock held.
class LinkObserver {
 public:
  virtual ~LinkObserver () = default;
  // Each state once, in order.
  virtual void link_state_changed (const ConnectionEvent &event, P2pConnection *connection) = 0;
  // At most once: nothing will work any more. `connected`: it did work before.
  virtual void link_failed (const Error &error, bool connected) = 0;
  virtual void link_warned (const Error &warning) = 0;
  // Connected to a peer that only the rendezvous server vouches for.
  virtual void link_unauthenticated (const std::string &peer, bool local) = 0;
};

class Link;

// Is told of each channel that the link opens, before anything is sent on it. Called from the event
// context, with no lock held.
class ChannelUser {
 public:
  virtual ~ChannelUser () = default;
  virtual void channel_opened (const std::shared_ptr<Link> &link,
                               const Ref<P2pChannel> &channel) = 0;
};

class Link final : public AgentUser, public std::enable_shared_from_this<Link> {
 public:
  static std::shared_ptr<Link> open (const ElementSettings &settings, bool sends,
                                     std::shared_ptr<LinkObserver> observer,
                                     std::weak_ptr<ChannelUser> user = {});
  Link (const ElementSettings &settings, bool sends, std::shared_ptr<LinkObserver> observer,
        std::weak_ptr<ChannelUser> user);

  enum class Wait {
    ready,
    ended,        // the peer closed the connection, in order
    failed,       // and the observer was told why
    interrupted,  // the cancellable is cancelled
    stalled,      // the peer took nothing for too long
  };
  // Waits for the channel, and with `connected` also for the connection to be up.
  Wait wait_ready (bool connected, GCancellable *cancellable);
  // Waits until the peer has taken everything that was sent: for as long as it goes on taking, or
  // the connection is broken, unless that counts.
  enum class Broken { waits, counts };  // whether the time of a broken connection is one of a stall
  Wait wait_flushed (GCancellable *cancellable, guint max_stall_ms, Broken broken = Broken::waits);
  // Waits until this holds, or until somebody calls wake() and it holds then.
  Wait wait_until (const std::function<bool ()> &holds, GCancellable *cancellable);
  void wake ();  // after the cancellable was cancelled
  // The channel has ended, and another session is waited for: wait_ready() waits for its channel.
  void listen_again (P2pChannel *ended);
  // The stream is complete: what happens to the connection from now on is no failure.
  void complete ();

  Ref<P2pChannel> channel () const;
  Ref<P2pConnection> connection () const;
  P2pConnectionState state () const;  // removed when there is no connection
  bool connected () const;            // now
  bool failed () const;
  bool hopeless () const;         // it failed or ended: no connection will come
  Status removal_error () const;  // that ended the connection; nothing after an orderly end
  // The first failure counts; the observer is told of that one only.
  void fail (const Error &error);

  // Nothing is told to the observer any more. Waits for an orderly end, but not for long.
  void close ();

  void set_liveness (const LivenessWishes &wishes);  // of the agent

  Wish wishes_any_peer () const override;
  void offered (P2pConnection *connection) override;
  void rejected (const Error &reason) override;
  void agent_failed (const Error &error) override;
  void agent_warned (const Error &warning) override;

 private:
  using Lock = std::unique_lock<std::mutex>;
  struct FlushTask;

  void start ();
  void seek ();
  void adopt (const Ref<P2pConnection> &connection);
  void open_channel (P2pConnection *connection);
  void take (const ConnectionEvent &event);
  void take_removal ();
  void refresh ();
  void begin_again ();
  void seek_later ();
  void peer_absent (const Status &error);
  void peer_present ();
  void let_go (P2pConnection *connection, P2pChannel *parting);
  void release (const CloseToken &token);
  bool closed () const;

  const ElementSettings settings_;
  const bool sends_;
  const std::shared_ptr<LinkObserver> observer_;
  const std::weak_ptr<ChannelUser> user_;

  // Event context only.
  std::shared_ptr<SharedAgent> agent_;
  std::shared_ptr<StateWatch> watch_;
  gulong warning_handler_ = 0, closed_handler_ = 0;
  P2pConnectionState told_ = P2P_CONNECTION_STATE_REMOVED;  // last, of this connection
  bool told_unauthenticated_ = false;
  GSource *absence_ = nullptr;  // runs out when the peer is away for too long
  Status absence_error_;
  bool begins_again_ = false;  // once the connection's end is told, or its channel's is there

  mutable std::mutex mutex_;
  std::condition_variable changed_;
  // All below is guarded by mutex_.
  Ref<P2pConnection> connection_;
  Ref<P2pChannel> channel_, parting_;  // the latter has ended, and the next is waited for
  P2pConnectionState state_ = P2P_CONNECTION_STATE_REMOVED;
  bool was_connected_ = false, ended_ = false, closed_ = false;
  bool complete_ = false;
  Status failure_;
};

}  // namespace p2p
