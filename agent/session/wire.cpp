#include "session/wire.hpp"

namespace p2p::wire {

Writer &
Writer::byte (std::uint8_t value) {
  out_.push_back (value);
  return *this;
}

Writer &
Writer::varint (std::uint64_t value) {
  const int log = value < 0x40 ? 0 : value < 0x4000 ? 1 : value < 0x40000000 ? 2 : 3;
  const int length = 1 << log;
  for (int i = length - 1; i >= 0; --i) {
    auto octet = static_cast<std::uint8_t> (value >> (8 * i));
    if (i == length - 1) octet = static_cast<std::uint8_t> ((octet & 0x3f) | log << 6);
    out_.push_back (octet);
  }
  return *this;
}

Writer &
Writer::bytes (ByteView value) {
  out_.insert (out_.end (), value.begin (), value.end ());
  return *this;
}

Writer &
Writer::ranges (const RangeSet &set) {
  const std::size_t count = std::min (set.beyond ().size (), kMaxRanges);
  varint (set.next ()).varint (count);
  std::uint64_t at = set.next ();
  std::size_t written = 0;
  for (const auto &[begin, end] : set.beyond ()) {
    if (written++ == count) break;
    varint (begin - at).varint (end - begin);
    at = end;
  }
  return *this;
}

namespace {

ByteView
view_of (const Ref<GBytes> &bytes) {
  gsize size = 0;
  if (!bytes) return {};
  const void *data = g_bytes_get_data (bytes.get (), &size);
  return {data, size};
}

enum class RangesProblem { none, cut_short, malformed };

RangesProblem
read_ranges (Reader &reader, RangeSet &set) {
  std::uint64_t at = reader.varint ();
  const std::uint64_t count = reader.varint ();
  if (reader.is_short ()) return RangesProblem::cut_short;
  if (count > kMaxRanges) return RangesProblem::malformed;
  set.insert_range (0, at);
  for (std::uint64_t i = 0; i < count; ++i) {
    const std::uint64_t gap = reader.varint ();
    const std::uint64_t length = reader.varint ();
    if (reader.is_short ()) return RangesProblem::cut_short;
    if (gap == 0 || length == 0 || gap > kMaxVarint - at || length > kMaxVarint - at - gap)
      return RangesProblem::malformed;
    set.insert_range (at + gap, at + gap + length);
    at += gap + length;
  }
  return RangesProblem::none;
}

Error
malformed (const char *frame, const char *field) {
  return {P2P_ERROR_PROTOCOL, std::string ("The peer sent a malformed ") + frame +
                                  ": the field \"" + field +
                                  "\" is not valid. Both sides need the same version."};
}

// The rest of a frame is a list of {type, length, value} that later versions may fill. `take` sees
// each of them, and answers whether it is well-formed.
template <class Take>
bool
read_extensions (Reader &reader, Take take) {
  while (!reader.rest ().empty ()) {
    const std::uint64_t type = reader.varint ();
    const ByteView value = reader.bytes (reader.varint ());
    if (reader.is_short () || !take (type, Reader (value))) return false;
  }
  return true;
}

template <class T>
Decoded<T>
bad (const char *field) {
  return {Progress::bad, {}, field};
}

}  // namespace

Writer
encode (const Hello &hello) {
  Writer body;
  body.varint (hello.version).bytes ({hello.session.data (), hello.session.size ()});
  body.varint (hello.epoch).varint (hello.peer_epoch).varint (hello.max_message_bytes);
  body.varint (hello.incoming.size ());
  for (const HelloIncoming &in : hello.incoming)
    body.varint (in.id).type (in.state).ranges (in.received).ranges (in.confirmed);
  body.varint (hello.outgoing.size ());
  for (const std::uint64_t id : hello.outgoing) body.varint (id);
  if (hello.memory_epoch != 0 && hello.memory_epoch != hello.epoch) {
    const Writer value = Writer ().varint (hello.memory_epoch);
    body.type (HelloExtension::memory_epoch).varint (value.view ().size ()).bytes (value.view ());
  }
  Writer frame;
  frame.type (ControlType::hello).varint (body.view ().size ()).bytes (body.view ());
  return frame;
}

Writer
encode_signal (ByteView text) {
  return Writer ().type (ControlType::signal).varint (text.size).bytes (text);
}

Decoded<ControlFrame>
decode_control (Reader &reader) {
  ControlFrame frame;
  frame.type = reader.varint ();
  const std::uint64_t length = reader.varint ();
  if (reader.is_short ()) return {};
  if (length > kMaxControlFrameBytes) return bad<ControlFrame> ("length of a control frame");
  frame.body = reader.bytes (length);
  if (reader.is_short ()) return {};
  return {Progress::done, frame, {}};
}

Result<Hello>
decode_hello (ByteView body) {
  Reader reader (body);
  Hello hello;
  hello.version = reader.varint ();
  if (reader.is_short ()) return malformed ("HELLO", "protocol version");
  // The fields of another version are unknown; the caller refuses it by its number.
  if (hello.version != kVersion) return hello;
  const ByteView session = reader.bytes (hello.session.size ());
  if (reader.is_short ()) return malformed ("HELLO", "session id");
  std::copy (session.begin (), session.end (), hello.session.begin ());
  hello.epoch = reader.varint ();
  if (reader.is_short () || hello.epoch == 0) return malformed ("HELLO", "epoch");
  hello.peer_epoch = reader.varint ();
  if (reader.is_short ()) return malformed ("HELLO", "peer epoch");
  hello.max_message_bytes = reader.varint ();
  if (reader.is_short ()) return malformed ("HELLO", "max message bytes");
  const std::uint64_t incoming = reader.varint ();
  // Every entry takes six bytes at least, so that the count cannot ask for more memory than came.
  if (reader.is_short () || incoming > reader.rest ().size / 6)
    return malformed ("HELLO", "number of incoming channels");
  for (std::uint64_t i = 0; i < incoming; ++i) {
    HelloIncoming in;
    in.id = reader.varint ();
    const std::uint8_t state = reader.byte ();
    if (reader.is_short () || state > static_cast<std::uint8_t> (DirectionState::refused))
      return malformed ("HELLO", "state of an incoming channel");
    in.state = static_cast<DirectionState> (state);
    if (read_ranges (reader, in.received) != RangesProblem::none)
      return malformed ("HELLO", "received sequence numbers");
    if (read_ranges (reader, in.confirmed) != RangesProblem::none)
      return malformed ("HELLO", "confirmed sequence numbers");
    hello.incoming.push_back (std::move (in));
  }
  const std::uint64_t outgoing = reader.varint ();
  if (reader.is_short () || outgoing > reader.rest ().size)
    return malformed ("HELLO", "number of outgoing channels");
  for (std::uint64_t i = 0; i < outgoing; ++i) hello.outgoing.push_back (reader.varint ());
  if (reader.is_short ()) return malformed ("HELLO", "outgoing channel id");
  hello.memory_epoch = hello.epoch;
  const bool good = read_extensions (reader, [&] (std::uint64_t type, Reader value) {
    if (type != static_cast<std::uint64_t> (HelloExtension::memory_epoch)) return true;
    hello.memory_epoch = value.varint ();
    return !value.is_short () && hello.memory_epoch > 0 && hello.memory_epoch <= hello.epoch;
  });
  if (!good) return malformed ("HELLO", "extension");
  return hello;
}

Writer
encode (const Open &open) {
  const ChannelOptions &options = open.options;
  Writer body;
  body.varint (open.id).varint (open.name.size ()).bytes (ByteView (open.name));
  body.byte (static_cast<std::uint8_t> ((options.ordered ? 1 : 0) |
                                        (options.max_packet_lifetime_ms ? 2 : 0) |
                                        (options.max_retransmits ? 4 : 0)));
  if (options.max_packet_lifetime_ms) body.varint (*options.max_packet_lifetime_ms);
  if (options.max_retransmits) body.varint (*options.max_retransmits);
  body.varint (options.protocol.size ()).bytes (ByteView (options.protocol));
  body.varint (open.first_seq).varint (open.answers ? *open.answers + 1 : 0);
  if (options.priority != kNormalPriority) {
    Writer value;
    value.varint (options.priority);
    body.type (OpenExtension::priority).varint (value.view ().size ()).bytes (value.view ());
  }
  Writer writer;
  writer.type (StreamType::channel).varint (body.view ().size ()).bytes (body.view ());
  return writer;
}

Decoded<Open>
decode_open (Reader &reader) {
  const std::uint64_t length = reader.varint ();
  if (reader.is_short ()) return {};
  if (length > kMaxOpenBytes) return bad<Open> ("length of OPEN");
  Reader body (reader.bytes (length));
  if (reader.is_short ()) return {};
  Open open;
  open.id = body.varint ();
  if (body.is_short ()) return bad<Open> ("channel id of OPEN");
  const std::uint64_t name_bytes = body.varint ();
  const ByteView name = body.bytes (name_bytes);
  if (body.is_short () || name_bytes == 0 || name_bytes > kMaxNameBytes ||
      !g_utf8_validate_len (reinterpret_cast<const char *> (name.data), name.size, nullptr))
    return bad<Open> ("name of OPEN");
  open.name = name.to_string ();
  const std::uint8_t flags = body.byte ();
  if (body.is_short () || flags > 7 || (flags & 6) == 6) return bad<Open> ("flags of OPEN");
  open.options.ordered = (flags & 1) != 0;
  if ((flags & 2) != 0) {
    const std::uint64_t lifetime_ms = body.varint ();
    if (lifetime_ms > UINT32_MAX) return bad<Open> ("lifetime of OPEN");
    open.options.max_packet_lifetime_ms = static_cast<std::uint32_t> (lifetime_ms);
  }
  if ((flags & 4) != 0) {
    const std::uint64_t retransmits = body.varint ();
    if (retransmits > UINT32_MAX) return bad<Open> ("retransmits of OPEN");
    open.options.max_retransmits = static_cast<std::uint32_t> (retransmits);
  }
  const std::uint64_t protocol_bytes = body.varint ();
  const ByteView protocol = body.bytes (protocol_bytes);
  if (body.is_short () || protocol_bytes > kMaxNameBytes ||
      !g_utf8_validate_len (reinterpret_cast<const char *> (protocol.data), protocol.size, nullptr))
    return bad<Open> ("protocol of OPEN");
  open.options.protocol = protocol.to_string ();
  open.first_seq = body.varint ();
  const std::uint64_t answers = body.varint ();
  if (body.is_short ()) return bad<Open> ("first sequence number of OPEN");
  if (answers != 0) open.answers = answers - 1;
  std::uint64_t priority = kNormalPriority;
  const bool known = read_extensions (body, [&] (std::uint64_t type, Reader value) {
    if (type == static_cast<std::uint64_t> (OpenExtension::priority)) priority = value.varint ();
    return !value.is_short ();
  });
  if (!known) return bad<Open> ("extension of OPEN");
  if (priority == 0 || priority > kMaxPriority) return bad<Open> ("priority of OPEN");
  open.options.priority = static_cast<std::uint32_t> (priority);
  return {Progress::done, std::move (open), {}};
}

void
encode_record (Writer &writer, const Message &message) {
  const ByteView payload = view_of (message.payload);
  if (message.attributes) {
    writer.type (RecordType::data_with_attributes);
    writer.varint (view_of (message.attributes).size).varint (payload.size);
    writer.bytes (view_of (message.attributes));
  } else {
    writer.type (RecordType::data).varint (payload.size);
  }
}

Writer
encode_end (std::uint64_t count) {
  return Writer ().type (RecordType::end).varint (count);
}

Decoded<Record>
decode_record (Reader &reader) {
  Record record;
  const std::uint8_t type = reader.byte ();
  if (reader.is_short ()) return {};
  if (type > static_cast<std::uint8_t> (RecordType::end)) return bad<Record> ("type of a record");
  record.type = static_cast<RecordType> (type);
  if (record.type == RecordType::end) {
    record.count = reader.varint ();
  } else {
    if (record.type == RecordType::data_with_attributes) record.attributes_bytes = reader.varint ();
    record.payload_bytes = reader.varint ();
  }
  if (reader.is_short ()) return {};
  if (record.attributes_bytes > kMaxAttributesBytes)
    return bad<Record> ("attributes length of a message");
  return {Progress::done, record, {}};
}

Writer
encode_message_head (std::uint64_t id, const Message &message) {
  Writer writer;
  writer.type (StreamType::message).varint (id).varint (message.seq);
  encode_record (writer, message);
  return writer;
}

Decoded<MessageHead>
decode_message_head (Reader &reader) {
  MessageHead head;
  head.id = reader.varint ();
  head.seq = reader.varint ();
  if (reader.is_short ()) return {};
  Decoded<Record> record = decode_record (reader);
  if (record.progress == Progress::bad) return {Progress::bad, {}, record.problem};
  if (record.progress == Progress::more) return {};
  if (record.value.type == RecordType::end) return bad<MessageHead> ("type of a record");
  head.record = record.value;
  return {Progress::done, head, {}};
}

Writer
encode_datagram_head (std::uint64_t id, const Message &message) {
  Writer writer;
  if (message.attributes) {
    const ByteView attributes = view_of (message.attributes);
    writer.type (DatagramType::data_with_attributes).varint (id).varint (message.seq);
    writer.varint (attributes.size).bytes (attributes);
  } else {
    writer.type (DatagramType::data).varint (id).varint (message.seq);
  }
  return writer;
}

Result<Datagram>
decode_datagram (ByteView bytes) {
  Reader reader (bytes);
  Datagram datagram;
  const std::uint8_t type = reader.byte ();
  if (reader.is_short () || type > static_cast<std::uint8_t> (DatagramType::data_with_attributes))
    return malformed ("datagram", "type");
  datagram.id = reader.varint ();
  datagram.seq = reader.varint ();
  if (reader.is_short ()) return malformed ("datagram", "channel id or sequence number");
  datagram.has_attributes = type == static_cast<std::uint8_t> (DatagramType::data_with_attributes);
  if (datagram.has_attributes) datagram.attributes = reader.bytes (reader.varint ());
  if (reader.is_short ()) return malformed ("datagram", "attributes length");
  datagram.payload = reader.rest ();
  return datagram;
}

Writer
encode_confirm (const RangeSet &confirmed) {
  return Writer ().type (ReplyType::confirm).ranges (confirmed);
}

Writer
encode_stop (Code code) {
  return Writer ().type (ReplyType::stop).varint (static_cast<std::uint64_t> (code));
}

Decoded<Reply>
decode_reply (Reader &reader) {
  Reply reply;
  const std::uint8_t type = reader.byte ();
  if (reader.is_short ()) return {};
  if (type == static_cast<std::uint8_t> (ReplyType::confirm)) {
    const RangesProblem problem = read_ranges (reader, reply.confirmed);
    if (problem == RangesProblem::cut_short) return {};
    if (problem == RangesProblem::malformed) return bad<Reply> ("ranges of CONFIRM");
  } else if (type == static_cast<std::uint8_t> (ReplyType::stop)) {
    reply.type = ReplyType::stop;
    reply.code = static_cast<Code> (reader.varint ());
    if (reader.is_short ()) return {};
  } else {
    return bad<Reply> ("type of a reply");
  }
  return {Progress::done, std::move (reply), {}};
}

}  // namespace p2p::wire
