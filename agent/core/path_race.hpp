// Several ways to one peer are tried side by side, in an order of preference; the first that
// carries an authenticated handshake wins. The QUIC client decides, the server follows: a client
// has one handshake at a time, a server waits on every path at once. Core thread only. Destroyed
// by retire() only: its transports may be calling.
#pragma once
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "path/path_group.hpp"
#include "transport/quic_transport.hpp"
#include "transport/transport.hpp"

namespace p2p {

// A transport with the ways below it, of which there is one at first.
struct Carrier {
  std::unique_ptr<PathGroup> ways;
  std::unique_ptr<Transport> transport;  // uses the ways: destroyed before them
};

class PathRace {
 public:
  class Observer {
   public:
    virtual ~Observer () = default;
    // The transport is ready and has no observer yet. It may be calling: destroyed by retire()
    // only, and before the race, whose path it uses.
    virtual void race_won (Carrier carrier) = 0;
    // No way is left, or the peer is not who it should be. Comes at most once, then nothing more.
    virtual void race_lost (const Error &error) = 0;
  };

  PathRace (const QuicConfig &config, Scheduler &clock, Observer &observer);
  ~PathRace ();
  PathRace (const PathRace &) = delete;
  PathRace &operator= (const PathRace &) = delete;

  // In order of preference; all of them before the first report. Answers the way's number.
  std::size_t add_way (const std::string &name);
  void way_opened (std::size_t way, Path &path);  // owned by somebody else
  // It takes a client's first packets, and may open; way_opened() or way_failed() follows.
  void way_unproven (std::size_t way, Path &path);
  void way_failed (std::size_t way, const Error &error);
  // The peer's certificate and our role are known: handshakes may begin; a server tells `greeting`
  // with each. Without handshakes nothing is ever won.
  void start (const std::string &peer_fingerprint, bool client, bool handshakes,
              const std::string &greeting = {});
  // One sentence for each way.
  std::vector<std::string> report () const;

 private:
  class Handshake;
  struct Way {
    std::string name;
    Path *path = nullptr;
    bool unproven = false;
    TimeUs opened_at = 0;
    std::unique_ptr<Handshake> handshake;
    unsigned handshakes = 0;
    std::optional<Error> failed;
  };

  void choose ();
  void wait_for_proof ();
  void begin_handshake (Way &way);
  void end_handshake (Way &way);
  void handshake_ready (Way &way);
  void handshake_failed (Way &way, const Error &error, bool by_peer);
  void lose (const Error &error);

  QuicConfig config_;
  Scheduler &clock_;
  Observer &observer_;
  std::vector<std::unique_ptr<Way>> ways_;
  std::vector<std::unique_ptr<Handshake>> ended_;  // until no callback can be running
  std::unique_ptr<Scheduler::Timer> patience_, proof_;
  bool started_ = false, handshakes_ = true, over_ = false;
};

}  // namespace p2p
