// STUN messages as TURN uses them: reading and writing, on the message functions of libnice.
#pragma once
#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/bytes.hpp"
#include "turn/address.hpp"

namespace p2p::turn {

enum class Method : std::uint16_t {
  binding = 0x001,
  allocate = 0x003,
  refresh = 0x004,
  send = 0x006,
  data = 0x007,
  create_permission = 0x008,
  channel_bind = 0x009,
};
const char *method_name (Method method);

enum class MessageClass { request, indication, success, error };

// Those of RFC 8489, RFC 8656 and RFC 8016 that a client reads or writes.
enum Attribute : std::uint16_t {
  kUsername = 0x0006,
  kMessageIntegrity = 0x0008,
  kErrorCode = 0x0009,
  kUnknownAttributes = 0x000A,
  kChannelNumber = 0x000C,
  kLifetime = 0x000D,
  kXorPeerAddress = 0x0012,
  kData = 0x0013,
  kRealm = 0x0014,
  kNonce = 0x0015,
  kXorRelayedAddress = 0x0016,
  kRequestedAddressFamily = 0x0017,
  kEvenPort = 0x0018,
  kRequestedTransport = 0x0019,
  kDontFragment = 0x001A,
  kMessageIntegritySha256 = 0x001C,
  kPasswordAlgorithm = 0x001D,
  kUserhash = 0x001E,
  kXorMappedAddress = 0x0020,
  kReservationToken = 0x0022,
  kAdditionalAddressFamily = 0x8000,
  kAddressErrorCode = 0x8001,
  kPasswordAlgorithms = 0x8002,
  kAlternateDomain = 0x8003,
  kSoftware = 0x8022,
  kAlternateServer = 0x8023,
  kFingerprint = 0x8028,
  kMobilityTicket = 0x8030,
  kDraftAdditionalAddressFamily = 0x8032,  // what coturn took before it had RFC 8656's
};

using TransactionId = std::array<std::uint8_t, 12>;
using Key = std::vector<std::uint8_t>;

TransactionId random_transaction_id ();

class MessageWriter {
 public:
  // `data_bytes` is what attributes of the caller's own size need beside the usual ones.
  MessageWriter (MessageClass message_class, Method method, const TransactionId &id,
                 std::size_t data_bytes = 0);

  void add (std::uint16_t attribute, ByteView value);
  void add_text (std::uint16_t attribute, const std::string &text) {
    add (attribute, ByteView (std::string_view (text)));
  }
  void add_u32 (std::uint16_t attribute, std::uint32_t value);
  void add_xor_address (std::uint16_t attribute, const Address &address);
  void add_error (int code, const std::string &reason);
  // These two go last, in this order.
  void add_integrity (std::uint16_t which, const Key &key);  // kMessageIntegrity or …Sha256
  void add_fingerprint ();

  // What did not fit was left out; a caller that knows its sizes need not ask.
  bool complete () const { return complete_; }
  const TransactionId &id () const { return id_; }
  std::vector<std::uint8_t> take ();

 private:
  void set_length (std::size_t bytes_after);

  std::vector<std::uint8_t> bytes_;
  TransactionId id_;
  bool complete_ = true;
};

// A view of a well-formed message, valid as long as its bytes are.
class Message {
 public:
  // Nothing unless all of `bytes` is one message with the magic cookie, whole attributes, and a
  // fingerprint that fits if there is one.
  static std::optional<Message> parse (ByteView bytes);

  MessageClass message_class () const { return class_; }
  Method method () const { return method_; }  // may be none of those that have a name
  const TransactionId &id () const { return id_; }
  ByteView bytes () const { return bytes_; }

  // The first with that number. Behind an integrity only another integrity or the fingerprint is
  // found (RFC 8489 section 14.5).
  std::optional<ByteView> find (std::uint16_t attribute) const;
  bool has (std::uint16_t attribute) const { return find (attribute).has_value (); }
  std::optional<std::uint32_t> find_u32 (std::uint16_t attribute) const;
  std::optional<std::string> find_text (std::uint16_t attribute) const;
  std::vector<Address> find_xor_addresses (std::uint16_t attribute) const;
  std::optional<Address> find_xor_address (std::uint16_t attribute) const;
  std::optional<Address> find_address (std::uint16_t attribute) const;
  std::optional<int> error_code () const;         // 300 to 699
  std::string error_reason () const;              // printable, shortened
  std::optional<Family> refused_family () const;  // ADDRESS-ERROR-CODE
  std::vector<std::uint16_t> unknown_attributes () const;
  // That of a comprehension-required attribute which nobody here comprehends.
  std::optional<std::uint16_t> incomprehensible () const;
  // Whether an integrity of this kind is there and made with this key.
  bool check_integrity (std::uint16_t which, const Key &key) const;

 private:
  template <class Visit>
  void each (Visit visit) const;

  ByteView bytes_;
  MessageClass class_ = MessageClass::request;
  Method method_ = Method::binding;
  TransactionId id_{};
};

}  // namespace p2p::turn
