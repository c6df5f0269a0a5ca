// One attempt of a connection together with what is said about it over signaling: its hello, its
// candidates as they are found, the messages of its paths. A connection has one that is being
// built, and below a living session those whose paths are in use. Core thread only.
#pragma once
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "base/packed_memory.hpp"
#include "core/attempt.hpp"
#include "core/peer_signal.hpp"

namespace p2p {

class Generation final : public Packed, private Attempt::Observer {
 public:
  class Host {
   public:
    virtual ~Host () = default;
    virtual void generation_says (const PeerSignal &signal) = 0;
    virtual void generation_config_changed (Generation &generation) = 0;
    virtual void generation_connected (Generation &generation, Carrier carrier) = 0;
    virtual void generation_path (Generation &generation, Path &path) = 0;
    virtual void generation_lost (Generation &generation, const Error &error) = 0;
    virtual void generation_pair_changed (Generation &generation) = 0;
    virtual void generation_relay_back (Generation &generation) = 0;
    virtual void generation_warning (const Error &warning) = 0;
  };
  using Make = std::function<Result<std::unique_ptr<Attempt>> (Attempt::Observer *)>;

  static Result<std::unique_ptr<Generation>> create (Host &host, const Make &make);
  explicit Generation (Host &host) : host_ (&host) {}  // for create() alone
  // What may be calling is retired.
  ~Generation () override;
  Generation (const Generation &) = delete;
  Generation &operator= (const Generation &) = delete;

  void set_host (Host &host) { host_ = &host; }
  Attempt &attempt () const { return *attempt_; }
  const std::string &id () const { return attempt_->id (); }
  bool started () const { return attempt_->started (); }
  // The attempt of the peer that this one is paired with; empty while it waits for one.
  std::string remote_id () const;

  // An offer, or with `in_reply_to` an answer to the peer's attempt of that name.
  PeerSignal hello (const std::string &in_reply_to) const;
  // `quiet`: the peer does not know of it, or has its candidates by other ways.
  Status start (const NetworkConfig &remote, const Attempt::Start &how, bool quiet);
  // A candidate, the end of them, or a path's message; false when it is malformed.
  bool receive (const PeerSignal &signal);
  std::uint64_t add_candidates (const NetworkConfig &more);  // how many are malformed

 private:
  void attempt_candidate (const std::string &sdp) override;
  void attempt_gathered () override;
  void attempt_path_message (const std::string &source, ByteView message) override;
  void attempt_warning (const Error &warning) override;
  void attempt_won (Carrier carrier) override;
  void attempt_path (Path &path) override;
  void attempt_lost (const Error &error) override;
  void attempt_path_changed () override;
  void attempt_relay_back () override;

  Host *host_;
  std::unique_ptr<Attempt> attempt_;
  bool quiet_ = false;
};

}  // namespace p2p
