#include "buffer-codec.hpp"

#include <algorithm>
#include <cstring>

#include "caps-codec.hpp"

namespace p2p {
namespace {

// On a lossy channel the message with the caps may be the lost one.
constexpr GstClockTime kRepeatCapsEvery = GST_SECOND;

struct MappedBuffer {
  GstBuffer *buffer;
  GstMapInfo map;
};

// The bytes of the buffer, which stays mapped and referenced as long as they are needed.
Ref<GBytes>
wrap_buffer (GstBuffer *buffer) {
  if (gst_buffer_get_size (buffer) == 0) return Ref<GBytes>::adopt (g_bytes_new (nullptr, 0));
  auto *mapped = new MappedBuffer{buffer, GST_MAP_INFO_INIT};
  if (!gst_buffer_map (buffer, &mapped->map, GST_MAP_READ)) {
    delete mapped;
    return {};
  }
  gst_buffer_ref (buffer);
  return Ref<GBytes>::adopt (g_bytes_new_with_free_func (
      mapped->map.data, mapped->map.size,
      [] (gpointer data) {
        auto *done = static_cast<MappedBuffer *> (data);
        gst_buffer_unmap (done->buffer, &done->map);
        gst_buffer_unref (done->buffer);
        delete done;
      },
      mapped));
}

Ref<GstBuffer>
wrap_bytes (const Ref<GBytes> &bytes) {
  // GstMemory has no use for the null pointer of empty GBytes.
  return Ref<GstBuffer>::adopt (g_bytes_get_size (bytes.get ()) == 0
                                    ? gst_buffer_new ()
                                    : gst_buffer_new_wrapped_bytes (bytes.get ()));
}

Ref<P2pMessage>
make_message (GBytes *payload, const BufferAttributes &attributes) {
  return Ref<P2pMessage>::adopt (p2p_message_new (payload, encode_attributes (attributes).get ()));
}

// A buffer holds few memories before it starts to copy them together, again and again: then it is
// better done here, once.
Ref<GstBuffer>
join_parts (std::vector<Ref<GBytes>> &parts, std::uint64_t size) {
  if (parts.size () <= gst_buffer_get_max_memory ()) {
    auto buffer = Ref<GstBuffer>::adopt (gst_buffer_new ());
    for (const auto &part : parts) {
      const auto wrapped = wrap_bytes (part);
      gst_buffer_copy_into (buffer.get (), wrapped.get (), GST_BUFFER_COPY_MEMORY, 0,
                            static_cast<gsize> (-1));
    }
    return buffer;
  }
  auto *joined = static_cast<guint8 *> (g_try_malloc (size));
  if (!joined) return {};
  std::size_t at = 0;
  for (auto &part : parts) {
    gsize count = 0;
    const void *data = g_bytes_get_data (part.get (), &count);
    std::memcpy (joined + at, data, count);
    at += count;
    part.reset ();
  }
  return Ref<GstBuffer>::adopt (gst_buffer_new_wrapped (joined, size));
}

Error
protocol (const char *message) {
  return {P2P_ERROR_PROTOCOL, message};
}

}  // namespace

Status
BufferEncoder::set_caps (const GstCaps *caps) {
  auto encoded = encode_caps (caps);
  if (!encoded) return encoded.error ();
  if (encoded->size () > kMaxCapsBytes)
    return Error{P2P_ERROR_INVALID_ARGUMENT, "The caps are above the limit of 1 MiB."};
  if (caps_ == *encoded) return {};
  caps_ = std::move (*encoded);
  caps_pending_ = true;
  return {};
}

bool
BufferEncoder::take_caps (GstClockTime now) {
  if (caps_.empty ()) return false;
  const bool repeat = lossy_ && now >= caps_sent_ + kRepeatCapsEvery;
  if (!caps_pending_ && !repeat) return false;
  caps_pending_ = false;
  caps_sent_ = now;
  return true;
}

Result<std::vector<Ref<P2pMessage>>>
BufferEncoder::encode (GstBuffer *buffer, GstClockTime now, std::optional<StreamPlace> place) {
  const std::size_t size = gst_buffer_get_size (buffer);
  if (size > kMaxBufferBytes)
    return Error{P2P_ERROR_MESSAGE_TOO_LARGE,
                 "A buffer of " + std::to_string (size) + " bytes is above the limit of 1 GiB."};
  if ((lossy_ || place) && size > kMaxWholeBufferBytes)
    return Error{P2P_ERROR_MESSAGE_TOO_LARGE,
                 "A buffer of " + std::to_string (size) +
                     " bytes needs a reliable and ordered channel; the limit of others is 16 MiB."};
  const auto payload = wrap_buffer (buffer);
  if (!payload)
    return Error{P2P_ERROR_INVALID_ARGUMENT, "A buffer's memory cannot be mapped for reading."};

  std::vector<Ref<P2pMessage>> messages;
  BufferAttributes attributes = attributes_of_buffer (buffer);
  attributes.new_segment = segment_pending_ && !first_;
  attributes.place = place;
  if (take_caps (now)) {
    if (caps_.size () <= kMaxInlineCapsBytes) {
      attributes.caps = caps_;
    } else {
      BufferAttributes caps_only;
      caps_only.caps_only = true;
      const auto bytes = Ref<GBytes>::adopt (g_bytes_new (caps_.data (), caps_.size ()));
      messages.push_back (make_message (bytes.get (), caps_only));
    }
  }
  segment_pending_ = first_ = false;

  if (size <= kMaxWholeBufferBytes) {
    messages.push_back (make_message (payload.get (), attributes));
    return messages;
  }
  attributes.whole_bytes = size;
  std::uint32_t index = 0;
  for (std::size_t at = 0; at < size; at += kPartBytes) {
    const auto part = Ref<GBytes>::adopt (
        g_bytes_new_from_bytes (payload.get (), at, std::min (kPartBytes, size - at)));
    messages.push_back (make_message (part.get (), attributes));
    attributes = BufferAttributes ();
    attributes.part = ++index;
  }
  return messages;
}

Result<std::optional<DecodedBuffer>>
BufferDecoder::decode (P2pMessage *message) {
  if (p2p_message_get_gap_before (message)) gap_ = true;
  auto payload = Ref<GBytes>::share (p2p_message_get_payload (message));
  BufferAttributes attributes;
  if (GBytes *encoded = p2p_message_get_attributes (message)) {
    gsize size = 0;
    const void *data = g_bytes_get_data (encoded, &size);
    auto decoded = decode_attributes ({data, size});
    if (!decoded) return decoded.error ();
    attributes = std::move (*decoded);
  }
  if (attributes.control) {
    DecodedBuffer decoded;
    decoded.place = attributes.place;
    decoded.control = attributes.control;
    return std::optional<DecodedBuffer> (std::move (decoded));
  }
  if (partial_ || attributes.part || attributes.whole_bytes)
    return add_part (attributes, std::move (payload));
  if (attributes.caps_only) {
    gsize size = 0;
    const void *data = g_bytes_get_data (payload.get (), &size);
    auto caps = take_caps (ByteView (data, size).to_string ());
    if (!caps) return caps.error ();
    if (*caps) caps_ = std::move (*caps);
    return std::optional<DecodedBuffer> ();
  }
  return finish (attributes, wrap_bytes (payload));
}

Result<Ref<GstCaps>>
BufferDecoder::take_caps (std::string bytes) {
  if (bytes == caps_bytes_) return Ref<GstCaps> ();
  if (bytes.size () > kMaxCapsBytes)
    return protocol ("The peer sent caps above the limit of 1 MiB.");
  auto caps = decode_caps (ByteView (bytes));
  if (caps) caps_bytes_ = std::move (bytes);
  return caps;
}

Result<std::optional<DecodedBuffer>>
BufferDecoder::add_part (const BufferAttributes &attributes, Ref<GBytes> payload) {
  if (!partial_) {
    if (!attributes.whole_bytes)
      return protocol ("The peer sent a later part of a buffer without its first part.");
    if (*attributes.whole_bytes > kMaxBufferBytes)
      return protocol ("The peer announced a buffer above the limit of 1 GiB.");
    partial_ = attributes;
  } else if (attributes.part != parts_.size ()) {
    return protocol ("The peer sent the parts of a buffer in the wrong order.");
  }
  const gsize size = g_bytes_get_size (payload.get ());
  if (size == 0) return protocol ("The peer sent an empty part of a buffer.");
  if (size > *partial_->whole_bytes - parts_bytes_)
    return protocol ("The peer sent more of a buffer than it had announced.");
  // Small parts would make the list itself the larger thing.
  if (size < kPartBytes / 4 && size != *partial_->whole_bytes - parts_bytes_)
    return protocol ("The peer sent a buffer in too small parts.");
  parts_.push_back (std::move (payload));
  parts_bytes_ += size;
  if (parts_bytes_ < *partial_->whole_bytes) return std::optional<DecodedBuffer> ();

  const BufferAttributes whole = *std::exchange (partial_, std::nullopt);
  auto buffer = join_parts (parts_, std::exchange (parts_bytes_, 0));
  parts_.clear ();
  if (!buffer)
    return Error{P2P_ERROR_LIMIT, "There is not enough memory for a buffer of " +
                                      std::to_string (*whole.whole_bytes) + " bytes."};
  return finish (whole, std::move (buffer));
}

Result<std::optional<DecodedBuffer>>
BufferDecoder::finish (const BufferAttributes &attributes, Ref<GstBuffer> buffer) {
  DecodedBuffer decoded;
  decoded.new_segment = attributes.new_segment;
  decoded.place = attributes.place;
  decoded.caps = std::exchange (caps_, {});
  if (attributes.caps) {
    auto caps = take_caps (*attributes.caps);
    if (!caps) return caps.error ();
    if (*caps) decoded.caps = std::move (*caps);
  }
  apply_attributes (attributes, buffer.get ());
  if (std::exchange (gap_, false)) GST_BUFFER_FLAG_SET (buffer.get (), GST_BUFFER_FLAG_DISCONT);
  decoded.buffer = std::move (buffer);
  return std::optional<DecodedBuffer> (std::move (decoded));
}

}  // namespace p2p
