// A process with one signaling client, for tests: signaling-helper URI ID [CA-FILE]. Takes
// "ask PEER", "unask PEER" and "send PEER TEXT" on stdin until its end, and prints what happens;
// "last PEER TEXT" sends and ends in the same moment, "leave PEER TEXT" has the process exit right
// then; "greet PEER TEXT" sends whenever that peer comes. It looks after the network, as agents do.
#include <unistd.h>

#include <cstdlib>
#include <iostream>
#include <map>
#include <sstream>
#include <string>

#include "base/loop_thread.hpp"
#include "net/network_monitor.hpp"
#include "signaling/factory.hpp"

using namespace p2p;

namespace {

class Printer final : public Signaling::Observer {
 public:
  void signaling_state (Signaling::State state, const Error *reason) override {
    const char *const names[] = {"idle", "connecting", "registered", "refused"};
    say (std::string (names[static_cast<int> (state)]) + (reason ? " " + reason->message : ""));
  }
  void signaling_peer (const std::string &peer, bool present) override {
    say ((present ? "+" : "-") + peer);
    if (const auto greeting = greetings.find (peer); present && greeting != greetings.end ())
      send (peer, greeting->second);
  }
  void signaling_message (const std::string &from, const std::string &message) override {
    say (from + ": " + message);
  }
  void send (const std::string &peer, const std::string &text) {
    if (const Status failed = signaling->send (peer, text)) say ("!" + failed->message);
  }
  static void say (const std::string &line) { std::cout << line << std::endl; }

  std::unique_ptr<Signaling> signaling;
  std::map<std::string, std::string> greetings;  // by peer
};

struct Roamer final : NetworkMonitor::Observer {
  explicit Roamer (std::unique_ptr<Signaling> &roaming) : signaling (roaming) {}
  void network_changed (const NetworkSnapshot &, const NetworkChange &) override {
    if (signaling) signaling->network_changed (true);
  }
  void network_woke () override {}
  std::unique_ptr<Signaling> &signaling;
};

}  // namespace

int
main (int argc, char **argv) {
  if (argc < 3) return 2;
  Printer printer;
  std::unique_ptr<Signaling> &signaling = printer.signaling;
  Roamer roamer (signaling);
  std::shared_ptr<NetworkMonitor> network;
  core_loop ().run_sync ([&] {
    auto key = make_ephemeral_signing_key ();
    auto made = make_signaling (argv[1], *key, {argc > 3 ? argv[3] : ""});
    if (!made) {
      Printer::say ("error " + made.error ().message);
      return;
    }
    signaling = std::move (*made);
    signaling->set_observer (&printer);
    signaling->start (argv[2]);
    network = NetworkMonitor::shared ();
    network->add (&roamer);
  });
  std::string line;
  while (signaling && std::getline (std::cin, line)) {
    std::istringstream words (line);
    std::string command, peer, text;
    words >> command >> peer >> std::ws;
    std::getline (words, text);
    core_loop ().run_sync ([&] {
      if (command == "ask") signaling->ask (peer);
      if (command == "unask") signaling->unask (peer);
      if (command == "stun") Printer::say ("stun " + signaling->stun_server ());
      if (command == "greet") printer.greetings[peer] = text;
      if (command != "send" && command != "last" && command != "leave") return;
      printer.send (peer, text);
      if (command != "send") signaling.reset ();
    });
    if (command == "leave") std::exit (0);
  }
  core_loop ().run_sync ([&] {
    if (network) network->remove (&roamer);
    network.reset ();
    signaling.reset ();
  });
  return 0;
}
