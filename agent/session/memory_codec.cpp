#include "session/memory_codec.hpp"

#include <algorithm>

#include "session/sender.hpp"

namespace p2p::memory {

namespace {

constexpr std::uint8_t kVersion = 1;
constexpr std::size_t kDigits = 16;
constexpr std::uint8_t kHasChannel = 1, kHasEnd = 2;
constexpr std::uint8_t kDurable = 1, kManualConfirm = 2, kFinished = 4, kEnded = 8;

std::string
number (std::uint64_t value) {
  std::string text (kDigits, '0');
  for (auto digit = text.rbegin (); digit != text.rend (); ++digit, value >>= 4)
    *digit = "0123456789abcdef"[value & 0xf];
  return text;
}

std::optional<std::uint64_t>
parse_number (const std::string &text) {
  if (text.size () != kDigits) return {};
  std::uint64_t value = 0;
  for (const char c : text) {
    const int digit = g_ascii_xdigit_value (c);
    if (digit < 0) return {};
    value = value << 4 | static_cast<std::uint64_t> (digit);
  }
  return value;
}

// Whole, unlike the ranges of a frame: what is left out of those is only sent again.
void
write_set (wire::Writer &out, const RangeSet &set) {
  out.varint (set.next ()).varint (set.beyond ().size ());
  for (const auto &[begin, end] : set.beyond ()) out.varint (begin).varint (end);
}

bool
read_set (wire::Reader &in, RangeSet &set) {
  const std::uint64_t next = in.varint ();
  const std::uint64_t count = in.varint ();
  if (next > 0) set.insert_range (0, next);
  std::uint64_t last = next;
  for (std::uint64_t i = 0; i < count && !in.is_short (); ++i) {
    const std::uint64_t begin = in.varint (), end = in.varint ();
    if (begin <= last || end <= begin) return false;
    set.insert_range (begin, end);
    last = end;
  }
  return !in.is_short ();
}

void
write_open (wire::Writer &out, const wire::Open &open) {
  out.bytes (ByteView (wire::encode (open).view ()));
  out.varint (open.options.max_buffered_bytes);
}

bool
read_open (wire::Reader &in, wire::Open &open) {
  if (in.byte () != static_cast<std::uint8_t> (wire::StreamType::channel)) return false;
  auto decoded = wire::decode_open (in);
  if (decoded.progress != wire::Progress::done) return false;
  open = std::move (decoded.value);
  open.options.max_buffered_bytes = in.varint ();
  return !in.is_short ();
}

wire::Writer
begin () {
  wire::Writer out;
  out.byte (kVersion);
  return out;
}

Error
malformed (const std::string &key, const char *what) {
  return {P2P_ERROR_PROTOCOL, "The kept item \"" + key + "\" of a session " + what +
                                  ". The session cannot be restored from this store; connect anew, "
                                  "or give the store that this version has written."};
}

}  // namespace

std::string
receiver_key (std::uint64_t id) {
  return "r/" + number (id);
}

std::string
sender_key (std::uint64_t id) {
  return "s/" + number (id);
}

std::string
message_key (std::uint64_t sender, std::uint64_t seq) {
  return "m/" + number (sender) + "/" + number (seq);
}

Ref<GBytes>
encode (const Progress &progress) {
  wire::Writer out = begin ();
  out.varint (progress.peer_epoch)
      .varint (progress.next_channel_id)
      .varint (progress.peer_max_message_bytes);
  write_set (out, progress.seen_ids);
  return out.to_bytes ();
}

Ref<GBytes>
encode (const ReceiverItem &item) {
  wire::Writer out = begin ();
  out.byte (
      static_cast<std::uint8_t> ((item.has_channel ? kHasChannel : 0) | (item.end ? kHasEnd : 0)));
  out.type (item.state);
  write_open (out, item.open);
  write_set (out, item.taken);
  out.varint (item.next_seq).varint (item.end.value_or (0));
  return out.to_bytes ();
}

Ref<GBytes>
encode (const SenderItem &item) {
  wire::Writer out = begin ();
  out.byte (static_cast<std::uint8_t> (
      (item.durable ? kDurable : 0) | (item.manual_confirm ? kManualConfirm : 0) |
      (item.finished ? kFinished : 0) | (item.ended ? kEnded : 0)));
  write_open (out, item.open);
  out.varint (item.base_seq).varint (item.next_seq);
  return out.to_bytes ();
}

Ref<GBytes>
encode (const Message &message) {
  wire::Writer out = begin ();
  const ByteView attributes = view_of (message.attributes), payload = view_of (message.payload);
  out.byte (message.attributes ? 1 : 0).varint (attributes.size).bytes (attributes);
  out.varint (payload.size).bytes (payload);
  return out.to_bytes ();
}

static bool
read_progress (wire::Reader &in, Decoded &result) {
  Progress progress;
  progress.peer_epoch = in.varint ();
  progress.next_channel_id = in.varint ();
  progress.peer_max_message_bytes = in.varint ();
  if (!read_set (in, progress.seen_ids)) return false;
  result.progress = std::move (progress);
  return true;
}

static bool
read_receiver (wire::Reader &in, Decoded &result) {
  ReceiverItem item;
  const std::uint8_t flags = in.byte ();
  const std::uint8_t state = in.byte ();
  if (state > static_cast<std::uint8_t> (wire::DirectionState::refused)) return false;
  item.state = static_cast<wire::DirectionState> (state);
  item.has_channel = (flags & kHasChannel) != 0;
  if (!read_open (in, item.open) || !read_set (in, item.taken)) return false;
  item.next_seq = in.varint ();
  const std::uint64_t end = in.varint ();
  if ((flags & kHasEnd) != 0) item.end = end;
  result.receiver = std::move (item);
  return true;
}

static bool
read_sender (wire::Reader &in, Decoded &result) {
  SenderItem item;
  const std::uint8_t flags = in.byte ();
  item.durable = (flags & kDurable) != 0;
  item.manual_confirm = (flags & kManualConfirm) != 0;
  item.finished = (flags & kFinished) != 0;
  item.ended = (flags & kEnded) != 0;
  if (!read_open (in, item.open)) return false;
  item.open.options.durable = item.durable;
  item.open.options.manual_confirm = item.manual_confirm;
  item.base_seq = in.varint ();
  item.next_seq = in.varint ();
  if (item.next_seq < item.base_seq) return false;
  result.sender = std::move (item);
  return true;
}

static bool
read_message (wire::Reader &in, const std::string &key, Decoded &result) {
  // m/ID/SEQ
  if (key.size () != 2 + kDigits + 1 + kDigits || key[2 + kDigits] != '/') return false;
  const auto id = parse_number (key.substr (2, kDigits));
  const auto seq = parse_number (key.substr (2 + kDigits + 1));
  if (!id || !seq) return false;
  const bool has_attributes = in.byte () != 0;
  const ByteView attributes = in.bytes (in.varint ());
  const ByteView payload = in.bytes (in.varint ());
  if (in.is_short ()) return false;
  Message message;
  if (has_attributes)
    message.attributes = Ref<GBytes>::adopt (g_bytes_new (attributes.data, attributes.size));
  message.payload = Ref<GBytes>::adopt (g_bytes_new (payload.data, payload.size));
  message.seq = *seq;
  result.sender_id = *id;
  result.message = std::move (message);
  return true;
}

Result<Decoded>
decode (const MemoryItem &item) {
  wire::Reader in (view_of (item.value));
  if (in.byte () != kVersion)
    return malformed (item.key, "was written by another version of this library");
  Decoded result;
  bool good = false;
  if (item.key == kProgressKey)
    good = read_progress (in, result);
  else if (item.key.compare (0, 2, "r/") == 0)
    good = read_receiver (in, result);
  else if (item.key.compare (0, 2, "s/") == 0)
    good = read_sender (in, result);
  else if (item.key.compare (0, 2, "m/") == 0)
    good = read_message (in, item.key, result);
  if (!good || in.is_short ()) return malformed (item.key, "is damaged");
  return result;
}

}  // namespace p2p::memory
