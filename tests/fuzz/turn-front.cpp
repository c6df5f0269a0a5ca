// What an ICE agent sends to its front: every packet, as it came and signed as it should be, is
// answered with what is a packet itself, or not at all.
#include <cstdlib>

#include "turn/channel_data.hpp"
#include "turn/front_server.hpp"
#include "turn/integrity.hpp"

namespace {

using namespace p2p::turn;
using p2p::ByteView;

constexpr std::size_t kHeaderBytes = 20, kAttributeHeaderBytes = 4;
const Address kClient = *Address::parse ("192.0.2.10", 5000);
const Address kStranger = *Address::parse ("192.0.2.66", 5000);

class Host final : public FrontServer::Host {
 public:
  void front_send (const Address &, ByteView packet) override {
    if (is_channel_data (packet)) {
      if (!parse_channel_data (packet)) abort ();
      return;
    }
    const auto message = Message::parse (packet);
    if (!message) abort ();
    if (auto text = message->find_text (kRealm)) realm = *text;
    if (auto text = message->find_text (kNonce)) nonce = *text;
  }
  p2p::Status front_peer (const Address &peer, bool) override {
    last_peer = peer;
    if (peer.port % 4 == 3) return p2p::Error{P2P_ERROR_REFUSED, "This peer is not for us."};
    return {};
  }
  void front_relay (const Address &, ByteView) override {}
  void front_granted () override {}

  std::string realm, nonce;
  Address last_peer = *Address::parse ("198.51.100.7", 4000);
};

bool
is_of_the_signature (std::uint16_t attribute) {
  for (const std::uint16_t one :
       {kUsername, kRealm, kNonce, kMessageIntegrity, kMessageIntegritySha256, kFingerprint})
    if (attribute == one) return true;
  return false;
}

// The same request from whoever has the credentials.
std::vector<std::uint8_t>
signed_again (ByteView packet, const FrontServer &front, const Host &host) {
  TransactionId id;
  std::copy (packet.data + 8, packet.data + kHeaderBytes, id.begin ());
  MessageWriter out (MessageClass::request, static_cast<Method> (packet[1] & 0xf), id, packet.size);
  for (std::size_t at = kHeaderBytes; at + kAttributeHeaderBytes <= packet.size;) {
    const auto type = static_cast<std::uint16_t> (packet[at] << 8 | packet[at + 1]);
    const std::size_t size =
        std::min<std::size_t> (static_cast<std::size_t> (packet[at + 2]) << 8 | packet[at + 3],
                               packet.size - at - kAttributeHeaderBytes);
    if (!is_of_the_signature (type)) out.add (type, packet.sub (at + kAttributeHeaderBytes, size));
    at += kAttributeHeaderBytes + ((size + 3) & ~std::size_t{3});
  }
  const auto &[user, password] = front.credentials ();
  out.add_text (kUsername, user);
  out.add_text (kRealm, host.realm);
  out.add_text (kNonce, host.nonce);
  out.add_integrity (kMessageIntegrity,
                     long_term_key (PasswordAlgorithm::md5, user, host.realm, password));
  return out.take ();
}

}  // namespace

extern "C" int
LLVMFuzzerTestOneInput (const std::uint8_t *data, std::size_t size) {
  Host host;
  FrontServer front (host, kClient.without_port (), *Address::parse ("203.0.113.9", 50000));
  // For its realm and nonce.
  MessageWriter first (MessageClass::request, Method::allocate, TransactionId{});
  front.receive (kClient, first.take ());
  StreamFramer framer;
  framer.add (ByteView (data, size));
  while (const auto packet = framer.next ()) {
    front.receive (kStranger, *packet);
    front.receive (kClient, *packet);
    if (!is_channel_data (*packet)) front.receive (kClient, signed_again (*packet, front, host));
    front.deliver (host.last_peer, *packet);
  }
  front.receive (kClient, ByteView (data, size));
  return 0;
}
