// A STUN Binding request and its answer, with the attributes of RFC 5780.
#pragma once
#include <optional>
#include <vector>

#include "turn/message.hpp"

namespace p2p::doctor {

using turn::Address;

// RFC 5780 section 7.2: from where the server is to answer.
enum Change : std::uint32_t { kChangeNothing = 0, kChangePort = 2, kChangeBoth = 6 };

std::vector<std::uint8_t> binding_request (const turn::TransactionId &id, Change change);

struct BindingAnswer {
  Address mapped;
  std::optional<Address> other;  // OTHER-ADDRESS: the server offers the tests of RFC 5780
};

// Nothing where the message is no success with a mapped address.
std::optional<BindingAnswer> read_binding_answer (const turn::Message &message);

// Whether the tests can be sent to `other`: another address and another port, of the same kind as
// the server's own. A server that does not know its public address names a private one.
bool usable_other_address (const Address &server, const Address &other);

}  // namespace p2p::doctor
