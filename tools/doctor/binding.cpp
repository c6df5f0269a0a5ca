#include "doctor/binding.hpp"

namespace p2p::doctor {

namespace {

constexpr std::uint16_t kMappedAddress = 0x0001;  // RFC 8489 section 18.3
constexpr std::uint16_t kChangeRequest = 0x0003;  // RFC 5780 section 7.2
constexpr std::uint16_t kOtherAddress = 0x802c;   // RFC 5780 section 7.4

}  // namespace

std::vector<std::uint8_t>
binding_request (const turn::TransactionId &id, Change change) {
  turn::MessageWriter writer (turn::MessageClass::request, turn::Method::binding, id);
  if (change != kChangeNothing) writer.add_u32 (kChangeRequest, change);
  return writer.take ();
}

std::optional<BindingAnswer>
read_binding_answer (const turn::Message &message) {
  if (message.message_class () != turn::MessageClass::success ||
      message.method () != turn::Method::binding)
    return std::nullopt;
  auto mapped = message.find_xor_address (turn::kXorMappedAddress);
  if (!mapped) mapped = message.find_address (kMappedAddress);
  if (!mapped) return std::nullopt;
  return BindingAnswer{*mapped, message.find_address (kOtherAddress)};
}

bool
usable_other_address (const Address &server, const Address &other) {
  return other.family == server.family && other.port != 0 && other.port != server.port &&
         other.without_port () != server.without_port () && scope_of (other) == scope_of (server);
}

}  // namespace p2p::doctor
