// One attempt to reach one peer: a generation of ICE and one try of each other path source, with
// the race between them. Core thread only; destroyed by retire() only.
#pragma once
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/packed_memory.hpp"
#include "core/network_config.hpp"
#include "core/path_race.hpp"
#include "core/path_source.hpp"
#include "ice/ice_transport.hpp"

namespace p2p {

constexpr char kIceWay[] = "ice";

struct AttemptConfig {
  std::string id;              // of our agent
  std::string attempt;         // attempt_id.hpp
  Scheduler *clock = nullptr;  // of everything but ICE
  IceConfig ice;
  QuicConfig quic;
  std::vector<std::string> order;  // of ways: kIceWay and names of sources
  std::vector<std::shared_ptr<PathSource>> sources;
};

class Attempt final : public Packed, private IceTransport::Observer, private PathRace::Observer {
 public:
  class Observer {
   public:
    virtual ~Observer () = default;
    virtual void attempt_candidate (const std::string &sdp) = 0;
    virtual void attempt_gathered () = 0;
    virtual void attempt_path_message (const std::string &source, ByteView message) = 0;
    virtual void attempt_warning (const Error &warning) = 0;
    // Aim::connection: see PathRace::Observer::race_won.
    virtual void attempt_won (Carrier carrier) = 0;
    // Aim::path, perhaps several times: a path that may work, as long as the attempt lives.
    virtual void attempt_path (Path &path) = 0;
    virtual void attempt_lost (const Error &error) = 0;
    virtual void attempt_path_changed () = 0;
    virtual void attempt_relay_back () = 0;  // see IceTransport::Observer
  };
  // Whether a connection is to be made, or only another way below a living one.
  enum class Aim { connection, path };

  // Starts gathering; a failure of ICE is one way that failed, told when the race starts.
  Attempt (const AttemptConfig &config, Observer *observer);
  ~Attempt () override { *alive_ = false; }

  // Null drops what is told.
  void set_observer (Observer *observer) { observer_ = observer; }
  const std::string &id () const { return attempt_; }
  NetworkConfig local_config () const;
  bool gathered () const;

  struct Start {
    bool client = false;  // on exactly one side
    Aim aim = Aim::connection;
    std::string greeting;  // of a server: QuicConfig::greeting
  };
  // The peer's configuration is known: everything begins.
  Status start (const NetworkConfig &remote, const Start &how);
  bool started () const { return remote_.has_value (); }
  Aim aim () const { return aim_; }
  const std::optional<NetworkConfig> &remote_config () const { return remote_; }
  // What it was for is reached: it has no end of its own any more.
  void keep () { deadline_->disarm (); }
  // More of what the peer has to say; errors are the peer's.
  Status add_remote_candidate (const std::string &sdp);
  void remote_gathering_done ();
  void path_message (const std::string &source, ByteView message);
  std::vector<std::string> report () const { return race_.report (); }
  // Of a transport with the peer that was named by start().
  QuicConfig quic_config (bool client) const;
  IceTransport *ice () const { return ice_.get (); }  // null where ICE is not among the ways

 private:
  void ice_candidate (const std::string &sdp) override;
  void ice_gathering_done () override;
  void ice_state (IceState state) override;
  void ice_unproven_path () override;
  void ice_selected_pair (const IcePair &pair) override;
  void ice_warning (const Error &warning) override;
  void ice_relay_back () override;
  void race_won (Carrier carrier) override;
  void race_lost (const Error &error) override;
  void open_sources (const std::string &peer, bool client);
  void way_opened (std::size_t way, Path &path);

  const AttemptConfig config_;
  const std::string attempt_;
  Observer *observer_;
  std::optional<std::size_t> ice_way_;
  std::unique_ptr<IceTransport> ice_;
  std::vector<std::unique_ptr<Path>> paths_;  // of sources
  PathRace race_;                             // after the paths: its transports use them
  struct Source {
    std::size_t way = 0;
    std::shared_ptr<PathSource> source;
    std::unique_ptr<PathSource::Attempt> attempt;
  };
  std::map<std::string, Source> sources_;
  std::optional<NetworkConfig> remote_;
  Aim aim_ = Aim::connection;
  std::vector<std::size_t> open_ways_;  // with Aim::path: those that were told
  std::unique_ptr<Scheduler::Timer> deadline_;
  std::shared_ptr<bool> alive_ = std::make_shared<bool> (true);  // for what may call back later
};

}  // namespace p2p
