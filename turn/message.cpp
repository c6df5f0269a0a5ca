#include "turn/message.hpp"

#include <glib.h>
#include <stun/constants.h>
#include <stun/stunmessage.h>
#include <sys/random.h>

#include <algorithm>
#include <cstring>

#include "turn/integrity.hpp"

namespace p2p::turn {

namespace {

constexpr std::size_t kHeaderBytes = STUN_MESSAGE_HEADER_LENGTH;
constexpr std::size_t kUsualBytes = 2048;  // more than all attributes of a request together
constexpr std::uint8_t kCookie[] = {0x21, 0x12, 0xa4, 0x42};
constexpr std::size_t kMaxReasonBytes = 128;

std::uint16_t
read_u16 (const std::uint8_t *at) {
  return static_cast<std::uint16_t> (at[0] << 8 | at[1]);
}

void
write_u16 (std::uint8_t *at, std::size_t value) {
  at[0] = static_cast<std::uint8_t> (value >> 8);
  at[1] = static_cast<std::uint8_t> (value);
}

// A message as libnice's functions want it; they write to none that they only read.
StunMessage
as_libnice (const std::uint8_t *bytes, std::size_t size) {
  StunMessage message{};
  message.buffer = const_cast<std::uint8_t *> (bytes);
  message.buffer_len = size;
  return message;
}

std::optional<Address>
decode_address (ByteView value, const TransactionId *id) {
  if (value.size < 8) return std::nullopt;
  Address out;
  if (value[1] == static_cast<int> (Family::ipv4) && value.size == 8)
    out.family = Family::ipv4;
  else if (value[1] == static_cast<int> (Family::ipv6) && value.size == 20)
    out.family = Family::ipv6;
  else
    return std::nullopt;
  out.port = read_u16 (value.data + 2);
  std::memcpy (out.ip.data (), value.data + 4, out.ip_bytes ());
  if (!id) return out;
  out.port = static_cast<std::uint16_t> (out.port ^ read_u16 (kCookie));
  for (std::size_t i = 0; i < out.ip_bytes (); ++i)
    out.ip[i] = static_cast<std::uint8_t> (out.ip[i] ^ (i < 4 ? kCookie[i] : (*id)[i - 4]));
  return out;
}

std::optional<int>
decode_error (ByteView value) {
  if (value.size < 4) return std::nullopt;
  const int number = value[2] & 7, rest = value[3];
  if (number < 3 || number > 6 || rest > 99) return std::nullopt;
  return number * 100 + rest;
}

}  // namespace

const char *
method_name (Method method) {
  switch (method) {
    case Method::binding:
      return "Binding";
    case Method::allocate:
      return "Allocate";
    case Method::refresh:
      return "Refresh";
    case Method::send:
      return "Send";
    case Method::data:
      return "Data";
    case Method::create_permission:
      return "CreatePermission";
    case Method::channel_bind:
      return "ChannelBind";
  }
  return "unknown";
}

TransactionId
random_transaction_id () {
  TransactionId id;
  if (getrandom (id.data (), id.size (), GRND_NONBLOCK) != static_cast<ssize_t> (id.size ()))
    for (auto &byte : id) byte = static_cast<std::uint8_t> (g_random_int ());
  return id;
}

MessageWriter::MessageWriter (MessageClass message_class, Method method, const TransactionId &id,
                              std::size_t data_bytes)
    : bytes_ (kUsualBytes + data_bytes), id_ (id) {
  StunTransactionId whole;
  std::memcpy (whole, kCookie, sizeof kCookie);
  std::memcpy (whole + sizeof kCookie, id.data (), id.size ());
  static constexpr StunClass kClasses[] = {STUN_REQUEST, STUN_INDICATION, STUN_RESPONSE,
                                           STUN_ERROR};
  StunMessage message = as_libnice (bytes_.data (), bytes_.size ());
  stun_message_init (&message, kClasses[static_cast<int> (message_class)],
                     static_cast<StunMethod> (method), whole);
}

void
MessageWriter::add (std::uint16_t attribute, ByteView value) {
  StunMessage message = as_libnice (bytes_.data (), bytes_.size ());
  // A length has 16 bits, and libnice does not look.
  if (stun_message_length (&message) + value.size + 8 > UINT16_MAX ||
      stun_message_append_bytes (&message, static_cast<StunAttribute> (attribute), value.data,
                                 value.size) != STUN_MESSAGE_RETURN_SUCCESS)
    complete_ = false;
}

void
MessageWriter::add_u32 (std::uint16_t attribute, std::uint32_t value) {
  StunMessage message = as_libnice (bytes_.data (), bytes_.size ());
  if (stun_message_append32 (&message, static_cast<StunAttribute> (attribute), value) !=
      STUN_MESSAGE_RETURN_SUCCESS)
    complete_ = false;
}

void
MessageWriter::add_xor_address (std::uint16_t attribute, const Address &address) {
  StunMessage message = as_libnice (bytes_.data (), bytes_.size ());
  socklen_t size = 0;
  const sockaddr_storage storage = address.to_sockaddr (&size);
  if (stun_message_append_xor_addr (&message, static_cast<StunAttribute> (attribute), &storage,
                                    size) != STUN_MESSAGE_RETURN_SUCCESS)
    complete_ = false;
}

void
MessageWriter::add_error (int code, const std::string &reason) {
  std::string value = {0, 0, static_cast<char> (code / 100), static_cast<char> (code % 100)};
  add_text (kErrorCode, value + reason);
}

// As if `bytes_after` more were there: what is signed counts the signature itself.
void
MessageWriter::set_length (std::size_t bytes_after) {
  StunMessage message = as_libnice (bytes_.data (), bytes_.size ());
  write_u16 (bytes_.data () + 2, stun_message_length (&message) - kHeaderBytes + bytes_after);
}

void
MessageWriter::add_integrity (std::uint16_t which, const Key &key) {
  StunMessage message = as_libnice (bytes_.data (), bytes_.size ());
  const std::size_t size = stun_message_length (&message);
  const std::size_t mac_bytes = integrity_bytes (which);
  set_length (4 + mac_bytes);
  const auto mac = integrity (which, key, ByteView (bytes_.data (), size));
  write_u16 (bytes_.data () + 2, size - kHeaderBytes);
  add (which, mac);
}

void
MessageWriter::add_fingerprint () {
  StunMessage message = as_libnice (bytes_.data (), bytes_.size ());
  const std::size_t size = stun_message_length (&message);
  set_length (8);
  const std::uint32_t value = fingerprint (ByteView (bytes_.data (), size));
  write_u16 (bytes_.data () + 2, size - kHeaderBytes);
  add_u32 (kFingerprint, value);
}

std::vector<std::uint8_t>
MessageWriter::take () {
  const StunMessage message = as_libnice (bytes_.data (), bytes_.size ());
  bytes_.resize (stun_message_length (&message));
  return std::move (bytes_);
}

std::optional<Message>
Message::parse (ByteView bytes) {
  if (bytes.size < kHeaderBytes || bytes.size > UINT16_MAX || bytes[0] > 3) return std::nullopt;
  const int size = stun_message_validate_buffer_length (bytes.data, bytes.size, true);
  if (size < 0 || static_cast<std::size_t> (size) != bytes.size) return std::nullopt;
  const StunMessage read = as_libnice (bytes.data, bytes.size);
  if (!stun_message_has_cookie (&read)) return std::nullopt;

  Message out;
  out.bytes_ = bytes;
  switch (stun_message_get_class (&read)) {
    case STUN_REQUEST:
      out.class_ = MessageClass::request;
      break;
    case STUN_INDICATION:
      out.class_ = MessageClass::indication;
      break;
    case STUN_RESPONSE:
      out.class_ = MessageClass::success;
      break;
    case STUN_ERROR:
      out.class_ = MessageClass::error;
      break;
  }
  out.method_ = static_cast<Method> (stun_message_get_method (&read));
  std::memcpy (out.id_.data (), bytes.data + 8, out.id_.size ());
  if (const auto given = out.find (kFingerprint)) {
    const auto at = static_cast<std::size_t> (given->data - bytes.data);
    if (given->size != 4 || at + 4 != bytes.size) return std::nullopt;
    const std::uint32_t value = fingerprint (bytes.sub (0, at - 4));
    if (*out.find_u32 (kFingerprint) != value) return std::nullopt;
  }
  return out;
}

template <class Visit>
void
Message::each (Visit visit) const {
  bool sealed = false;
  for (std::size_t at = kHeaderBytes; at + 4 <= bytes_.size;) {
    const std::uint16_t type = read_u16 (bytes_.data + at);
    const std::size_t size = read_u16 (bytes_.data + at + 2);
    if (size > bytes_.size - at - 4) return;
    const bool seals = type == kMessageIntegrity || type == kMessageIntegritySha256;
    if (!sealed || seals || type == kFingerprint)
      if (!visit (type, bytes_.sub (at + 4, size))) return;
    if (type == kFingerprint) return;
    sealed = sealed || seals;
    at += 4 + ((size + 3) & ~std::size_t{3});
  }
}

std::optional<ByteView>
Message::find (std::uint16_t attribute) const {
  std::optional<ByteView> out;
  each ([&] (std::uint16_t type, ByteView value) {
    if (type == attribute) out = value;
    return !out;
  });
  return out;
}

std::optional<std::uint32_t>
Message::find_u32 (std::uint16_t attribute) const {
  const auto value = find (attribute);
  if (!value || value->size != 4) return std::nullopt;
  return static_cast<std::uint32_t> (read_u16 (value->data)) << 16 | read_u16 (value->data + 2);
}

std::optional<std::string>
Message::find_text (std::uint16_t attribute) const {
  const auto value = find (attribute);
  if (!value) return std::nullopt;
  return value->to_string ();
}

std::vector<Address>
Message::find_xor_addresses (std::uint16_t attribute) const {
  std::vector<Address> out;
  each ([&] (std::uint16_t type, ByteView value) {
    if (type != attribute) return true;
    if (const auto address = decode_address (value, &id_)) out.push_back (*address);
    return true;
  });
  return out;
}

std::optional<Address>
Message::find_xor_address (std::uint16_t attribute) const {
  const auto value = find (attribute);
  return value ? decode_address (*value, &id_) : std::nullopt;
}

std::optional<Address>
Message::find_address (std::uint16_t attribute) const {
  const auto value = find (attribute);
  return value ? decode_address (*value, nullptr) : std::nullopt;
}

std::optional<int>
Message::error_code () const {
  const auto value = find (kErrorCode);
  return value ? decode_error (*value) : std::nullopt;
}

std::string
Message::error_reason () const {
  const auto value = find (kErrorCode);
  if (!value || value->size <= 4) return {};
  std::string out = value->sub (4, kMaxReasonBytes).to_string ();
  for (char &c : out)
    if (!g_ascii_isprint (c)) c = '?';
  return out;
}

std::optional<Family>
Message::refused_family () const {
  const auto value = find (kAddressErrorCode);
  if (!value || !decode_error (*value)) return std::nullopt;
  if ((*value)[0] == static_cast<int> (Family::ipv4)) return Family::ipv4;
  if ((*value)[0] == static_cast<int> (Family::ipv6)) return Family::ipv6;
  return std::nullopt;
}

std::vector<std::uint16_t>
Message::unknown_attributes () const {
  std::vector<std::uint16_t> out;
  if (const auto value = find (kUnknownAttributes))
    for (std::size_t at = 0; at + 2 <= value->size; at += 2)
      out.push_back (read_u16 (value->data + at));
  return out;
}

std::optional<std::uint16_t>
Message::incomprehensible () const {
  static constexpr std::uint16_t kKnown[] = {
      0x0001,  // MAPPED-ADDRESS
      kUsername,
      kMessageIntegrity,
      kErrorCode,
      kUnknownAttributes,
      kChannelNumber,
      kLifetime,
      0x0010,  // the BANDWIDTH of drafts, which old servers send
      kXorPeerAddress,
      kData,
      kRealm,
      kNonce,
      kXorRelayedAddress,
      kRequestedAddressFamily,
      kEvenPort,
      kRequestedTransport,
      kDontFragment,
      kMessageIntegritySha256,
      kPasswordAlgorithm,
      kUserhash,
      kXorMappedAddress,
      kReservationToken,
  };
  std::optional<std::uint16_t> out;
  each ([&] (std::uint16_t type, ByteView) {
    if (type < 0x8000 &&
        std::find (std::begin (kKnown), std::end (kKnown), type) == std::end (kKnown))
      out = type;
    return !out;
  });
  return out;
}

bool
Message::check_integrity (std::uint16_t which, const Key &key) const {
  const auto given = find (which);
  if (!given || given->size != integrity_bytes (which)) return false;
  const auto at = static_cast<std::size_t> (given->data - bytes_.data);
  std::vector<std::uint8_t> signed_part (bytes_.data, bytes_.data + at - 4);
  write_u16 (signed_part.data () + 2, at + given->size - kHeaderBytes);
  const auto mac = integrity (which, key, signed_part);
  std::uint8_t difference = 0;  // in constant time
  for (std::size_t i = 0; i < mac.size (); ++i)
    difference = static_cast<std::uint8_t> (difference | (mac[i] ^ (*given)[i]));
  return difference == 0;
}

}  // namespace p2p::turn
