// What a TURN server sends: every packet, whatever it holds, finds a client in every state, and
// leaves it one that can be closed.
#include <cstdlib>

#include "turn/channel_data.hpp"
#include "turn/client.hpp"

namespace {

using namespace p2p::turn;

class Host final : public Client::Host {
 public:
  void open_transport (const Target &) override {}
  void close_transport () override {}
  bool send_packet (p2p::ByteView packet) override {
    // The transaction id of the last request, so that an answer may find whom it is for.
    if (packet.size >= 20) std::copy (packet.data + 8, packet.data + 20, id);
    return true;
  }
  void turn_event (const Event &event) override {
    if (event.kind == Event::Kind::closed) closed = true;
  }
  void turn_received (const Address &, p2p::ByteView) override {}
  void credentials_wanted (const Server &) override {}

  std::uint8_t id[12] = {};
  bool closed = false;
};

}  // namespace

extern "C" int
LLVMFuzzerTestOneInput (const std::uint8_t *data, std::size_t size) {
  p2p::VirtualScheduler clock;
  Host host;
  ClientConfig config;
  config.servers = {{"host", 3478, Protocol::tcp, {"user", "password"}}};
  Client client (clock, host, config);
  client.start ();
  client.transport_opened (true);
  StreamFramer framer;
  framer.add (p2p::ByteView (data, size));
  while (const auto packet = framer.next ()) {
    client.receive (*packet);
    std::vector<std::uint8_t> answer (packet->begin (), packet->end ());
    if (answer.size () >= 20) std::copy (host.id, host.id + 12, answer.begin () + 8);
    client.receive (answer);
    (void)client.add_peer (*Address::parse ("198.51.100.7", 4000));
    client.send (*Address::parse ("198.51.100.7", 4000), p2p::ByteView (data, size));
    clock.run_for (p2p::kSecond);
    if (client.state () == Client::State::opening) client.transport_opened (false);
  }
  client.receive (p2p::ByteView (data, size));
  client.close ();
  clock.run_for (2 * p2p::kSecond);
  if (!host.closed) abort ();
  return 0;
}
