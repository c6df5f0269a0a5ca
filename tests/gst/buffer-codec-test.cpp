#include "buffer-codec.hpp"

#include <gtest/gtest.h>

#include <cstring>
#include <random>

#include "caps-codec.hpp"

namespace p2p {
namespace {

// For more than the usual number, or for other ones: P2P_TEST_MUTATIONS and P2P_TEST_SEED.
unsigned
from_environment (const char *name, unsigned otherwise) {
  const char *text = g_getenv (name);
  return text ? static_cast<unsigned> (g_ascii_strtoull (text, nullptr, 10)) : otherwise;
}

class BufferCodec : public testing::Test {
 protected:
  static void SetUpTestSuite () { gst_init (nullptr, nullptr); }

  static Ref<GstBuffer> make_buffer (std::size_t size, guint8 fill = 7) {
    auto buffer = Ref<GstBuffer>::adopt (gst_buffer_new_allocate (nullptr, size, nullptr));
    gst_buffer_memset (buffer.get (), 0, fill, size);
    return buffer;
  }
  static Ref<GstCaps> make_caps (const char *text) {
    return Ref<GstCaps>::adopt (gst_caps_from_string (text));
  }
  std::vector<Ref<P2pMessage>> encode (GstBuffer *buffer, GstClockTime now = 0) {
    auto messages = encoder_.encode (buffer, now);
    EXPECT_TRUE (messages.ok ());
    return messages.value ();
  }
  // The buffer that all of the messages make together.
  DecodedBuffer decode (const std::vector<Ref<P2pMessage>> &messages) {
    DecodedBuffer decoded;
    for (std::size_t i = 0; i < messages.size (); i++) {
      auto result = decoder_.decode (messages[i].get ());
      EXPECT_TRUE (result.ok ()) << result.error ().message;
      EXPECT_EQ (result.value ().has_value (), i + 1 == messages.size ());
      if (result.value ()) decoded = std::move (**result);
    }
    return decoded;
  }
  static Ref<P2pMessage> message_of (std::size_t size, const BufferAttributes &attributes) {
    const std::vector<std::uint8_t> bytes (size);
    const auto payload = Ref<GBytes>::adopt (g_bytes_new (bytes.data (), size));
    return Ref<P2pMessage>::adopt (
        p2p_message_new (payload.get (), encode_attributes (attributes).get ()));
  }

  BufferEncoder encoder_;
  BufferDecoder decoder_;
};

TEST_F (BufferCodec, KeepsBytesTimesAndFlags) {
  const auto sent = make_buffer (1000);
  GST_BUFFER_PTS (sent.get ()) = 5;
  GST_BUFFER_DTS (sent.get ()) = 4;
  GST_BUFFER_DURATION (sent.get ()) = 3;
  GST_BUFFER_OFFSET (sent.get ()) = 2;
  GST_BUFFER_OFFSET_END (sent.get ()) = 1;
  constexpr auto kFlags = static_cast<GstBufferFlags> (
      GST_BUFFER_FLAG_DISCONT | GST_BUFFER_FLAG_DELTA_UNIT | GST_BUFFER_FLAG_HEADER |
      GST_BUFFER_FLAG_GAP | GST_BUFFER_FLAG_CORRUPTED | GST_BUFFER_FLAG_MARKER |
      GST_BUFFER_FLAG_DROPPABLE | GST_BUFFER_FLAG_RESYNC);
  GST_BUFFER_FLAG_SET (sent.get (), kFlags);
  const auto messages = encode (sent.get ());
  ASSERT_EQ (messages.size (), 1u);
  const DecodedBuffer got = decode (messages);
  EXPECT_EQ (GST_BUFFER_PTS (got.buffer.get ()), 5u);
  EXPECT_EQ (GST_BUFFER_DTS (got.buffer.get ()), 4u);
  EXPECT_EQ (GST_BUFFER_DURATION (got.buffer.get ()), 3u);
  EXPECT_EQ (GST_BUFFER_OFFSET (got.buffer.get ()), 2u);
  EXPECT_EQ (GST_BUFFER_OFFSET_END (got.buffer.get ()), 1u);
  EXPECT_TRUE (gst_buffer_has_flags (got.buffer.get (), kFlags));
  const std::vector<std::uint8_t> expected (1000, 7);
  EXPECT_EQ (gst_buffer_get_size (got.buffer.get ()), 1000u);
  EXPECT_EQ (gst_buffer_memcmp (got.buffer.get (), 0, expected.data (), 1000), 0);
}

TEST_F (BufferCodec, WrapsTheBytesInsteadOfCopyingThem) {
  const auto sent = make_buffer (1000);
  GstMapInfo before, after;
  gst_buffer_map (sent.get (), &before, GST_MAP_READ);
  const DecodedBuffer got = decode (encode (sent.get ()));
  gst_buffer_map (got.buffer.get (), &after, GST_MAP_READ);
  EXPECT_EQ (before.data, after.data);
  gst_buffer_unmap (got.buffer.get (), &after);
  gst_buffer_unmap (sent.get (), &before);
}

TEST_F (BufferCodec, LetsGoOfTheBufferWithTheMessage) {
  const auto sent = make_buffer (10);
  {
    const auto messages = encode (sent.get ());
    EXPECT_EQ (GST_MINI_OBJECT_REFCOUNT_VALUE (sent.get ()), 2);
  }
  EXPECT_EQ (GST_MINI_OBJECT_REFCOUNT_VALUE (sent.get ()), 1);
}

TEST_F (BufferCodec, CarriesEmptyBuffers) {
  const auto sent = Ref<GstBuffer>::adopt (gst_buffer_new ());
  GST_BUFFER_PTS (sent.get ()) = 9;
  const DecodedBuffer got = decode (encode (sent.get ()));
  EXPECT_EQ (gst_buffer_get_size (got.buffer.get ()), 0u);
  EXPECT_EQ (GST_BUFFER_PTS (got.buffer.get ()), 9u);
}

TEST_F (BufferCodec, CarriesBuffersOfSeveralMemories) {
  auto sent = make_buffer (3, 1);
  gst_buffer_append_memory (sent.get (), gst_allocator_alloc (nullptr, 2, nullptr));
  gst_buffer_memset (sent.get (), 3, 2, 2);
  const DecodedBuffer got = decode (encode (sent.get ()));
  const std::uint8_t expected[] = {1, 1, 1, 2, 2};
  ASSERT_EQ (gst_buffer_get_size (got.buffer.get ()), 5u);
  EXPECT_EQ (gst_buffer_memcmp (got.buffer.get (), 0, expected, 5), 0);
}

TEST_F (BufferCodec, CarriesBuffersAboveTheMessageLimit) {
  for (const std::size_t size : {kMaxWholeBufferBytes + 1, 17 * kPartBytes + 5}) {
    const auto sent = make_buffer (size, 3);
    gst_buffer_memset (sent.get (), size - 1, 9, 1);
    GST_BUFFER_PTS (sent.get ()) = 77;
    const auto messages = encode (sent.get ());
    EXPECT_GT (messages.size (), 1u);
    const DecodedBuffer got = decode (messages);
    ASSERT_EQ (gst_buffer_get_size (got.buffer.get ()), size);
    EXPECT_EQ (GST_BUFFER_PTS (got.buffer.get ()), 77u);
    GstMapInfo a, b;
    gst_buffer_map (sent.get (), &a, GST_MAP_READ);
    gst_buffer_map (got.buffer.get (), &b, GST_MAP_READ);
    EXPECT_EQ (std::memcmp (a.data, b.data, size), 0);
    gst_buffer_unmap (sent.get (), &a);
    gst_buffer_unmap (got.buffer.get (), &b);
  }
}

TEST_F (BufferCodec, SendsCapsWithTheFirstBufferAndAfterAChange) {
  const auto buffer = make_buffer (1);
  const auto one = make_caps ("video/x-raw, width=(int)1"), two = make_caps ("audio/x-raw");
  EXPECT_FALSE (encoder_.set_caps (one.get ()));
  DecodedBuffer got = decode (encode (buffer.get ()));
  ASSERT_TRUE (got.caps);
  EXPECT_TRUE (gst_caps_is_equal (got.caps.get (), one.get ()));
  EXPECT_FALSE (encoder_.set_caps (one.get ()));
  EXPECT_FALSE (decode (encode (buffer.get ())).caps);
  EXPECT_FALSE (encoder_.set_caps (two.get ()));
  got = decode (encode (buffer.get ()));
  ASSERT_TRUE (got.caps);
  EXPECT_TRUE (gst_caps_is_equal (got.caps.get (), two.get ()));
}

TEST_F (BufferCodec, SendsLongCapsInAMessageOfTheirOwn) {
  const auto caps = make_caps (
      ("audio/x-vorbis, streamheader=(string)" + std::string (kMaxInlineCapsBytes, 'a')).c_str ());
  EXPECT_FALSE (encoder_.set_caps (caps.get ()));
  const auto messages = encode (make_buffer (1).get ());
  ASSERT_EQ (messages.size (), 2u);
  const DecodedBuffer got = decode (messages);
  ASSERT_TRUE (got.caps);
  EXPECT_TRUE (gst_caps_is_equal (got.caps.get (), caps.get ()));
}

TEST_F (BufferCodec, RepeatsCapsOnALossyChannelAndTellsThemOnce) {
  BufferEncoder lossy (true);
  const auto buffer = make_buffer (1);
  EXPECT_FALSE (lossy.set_caps (make_caps ("video/x-raw").get ()));
  const auto first = lossy.encode (buffer.get (), 0);
  const auto soon = lossy.encode (buffer.get (), GST_MSECOND);
  const auto later = lossy.encode (buffer.get (), 2 * GST_SECOND);
  EXPECT_TRUE (decode (later.value ()).caps) << "the first was lost";
  EXPECT_FALSE (decode (soon.value ()).caps);
  EXPECT_FALSE (decode (first.value ()).caps) << "the same caps again";
}

TEST_F (BufferCodec, TellsNewSegmentsAfterTheFirst) {
  const auto buffer = make_buffer (1);
  encoder_.new_segment ();
  EXPECT_FALSE (decode (encode (buffer.get ())).new_segment);
  encoder_.new_segment ();
  EXPECT_TRUE (decode (encode (buffer.get ())).new_segment);
  EXPECT_FALSE (decode (encode (buffer.get ())).new_segment);
}

TEST_F (BufferCodec, TakesMessagesWithoutAttributes) {
  const auto payload = Ref<GBytes>::adopt (g_bytes_new_static ("abc", 3));
  const auto message = Ref<P2pMessage>::adopt (p2p_message_new (payload.get (), nullptr));
  auto got = decoder_.decode (message.get ());
  ASSERT_TRUE (got.ok () && got.value ());
  EXPECT_EQ (gst_buffer_get_size ((*got)->buffer.get ()), 3u);
  EXPECT_FALSE (GST_BUFFER_PTS_IS_VALID ((*got)->buffer.get ()));
}

TEST_F (BufferCodec, RefusesPartsThatDoNotFit) {
  const auto first = [] (std::uint64_t whole) {
    BufferAttributes attributes;
    attributes.whole_bytes = whole;
    return attributes;
  };
  const auto part = [] (std::uint32_t index) {
    BufferAttributes attributes;
    attributes.part = index;
    return attributes;
  };
  const auto refuses = [] (std::initializer_list<Ref<P2pMessage>> messages) {
    BufferDecoder decoder;
    bool refused = false;
    for (const auto &message : messages) {
      const auto result = decoder.decode (message.get ());
      refused = !result.ok () && result.error ().code == P2P_ERROR_PROTOCOL;
    }
    return refused;
  };
  const std::size_t n = kPartBytes;
  EXPECT_TRUE (refuses ({message_of (n, part (1))})) << "no first part";
  EXPECT_TRUE (refuses ({message_of (n, first (kMaxBufferBytes + 1))})) << "too large";
  EXPECT_TRUE (refuses ({message_of (n, first (2 * n)), message_of (n, part (2))})) << "order";
  EXPECT_TRUE (refuses ({message_of (n, first (n - 1))})) << "more than announced";
  EXPECT_TRUE (refuses ({message_of (n, first (2 * n)), message_of (0, part (1))})) << "empty";
  EXPECT_TRUE (refuses ({message_of (1, first (2 * n))})) << "many small parts";
  EXPECT_TRUE (refuses ({message_of (n, first (2 * n)), message_of (n, {})})) << "interrupted";
}

// Whatever a peer sends is either a buffer or an error: nothing else happens, under any sanitizer.
TEST_F (BufferCodec, CarriesThePlaceOfAStreamThatCanBeResumed) {
  const auto sent = make_buffer (100);
  const StreamPlace place{0x0123456789abcdef, G_MAXINT64, true, false};
  auto messages = encoder_.encode (sent.get (), 0, place);
  ASSERT_TRUE (messages.ok ());
  const DecodedBuffer decoded = decode (messages.value ());
  ASSERT_TRUE (decoded.place);
  EXPECT_EQ (decoded.place->serial, place.serial);
  EXPECT_EQ (decoded.place->offset, place.offset);
  EXPECT_TRUE (decoded.place->fixed);
  EXPECT_FALSE (decoded.place->unknown);
  EXPECT_FALSE (decoded.control);
  EXPECT_FALSE (decode (encode (sent.get ())).place);
}

TEST_F (BufferCodec, CarriesWhatTheEndsOfSuchAStreamSay) {
  for (const auto control :
       {ResumeControl::begun, ResumeControl::from, ResumeControl::end, ResumeControl::taken}) {
    const DecodedBuffer decoded = decode ({make_control (control, {1, 2, false, true})});
    EXPECT_EQ (decoded.control, control);
    EXPECT_FALSE (decoded.buffer);
    EXPECT_TRUE (decoded.place && decoded.place->unknown);
  }
}

TEST_F (BufferCodec, RefusesPlacesThatMeanNothing) {
  BufferAttributes far, none, unknown, part;
  far.place = StreamPlace{1, static_cast<std::uint64_t> (G_MAXINT64) + 1, false, false};
  none.control = ResumeControl::from;
  unknown.place = part.place = StreamPlace{};
  unknown.control = static_cast<ResumeControl> (5);
  part.whole_bytes = 10;
  for (const BufferAttributes &attributes : {far, none, unknown, part})
    EXPECT_FALSE (decoder_.decode (message_of (10, attributes).get ()).ok ());
}

TEST_F (BufferCodec, RepeatsCapsForANewReceiver) {
  const auto caps = make_caps ("application/x-some");
  ASSERT_FALSE (encoder_.set_caps (caps.get ()));
  const auto buffer = make_buffer (10);
  EXPECT_TRUE (decode (encode (buffer.get ())).caps);
  EXPECT_FALSE (decode (encode (buffer.get ())).caps);
  encoder_.repeat_caps ();
  decoder_ = BufferDecoder ();
  EXPECT_TRUE (decode (encode (buffer.get ())).caps);
}

TEST_F (BufferCodec, SurvivesMutatedAttributes) {
  BufferAttributes attributes;
  attributes.pts = 1;
  attributes.flags = kWireDiscont;
  attributes.caps =
      *encode_caps (make_caps ("video/x-h264, width=(int)64, x=(string)< a, b >").get ());
  attributes.offset = 12;
  const auto valid = encode_attributes (attributes);
  gsize size = 0;
  const auto *data = static_cast<const std::uint8_t *> (g_bytes_get_data (valid.get (), &size));
  const auto payload = Ref<GBytes>::adopt (g_bytes_new_static ("x", 1));
  std::mt19937 random (from_environment ("P2P_TEST_SEED", 1));
  const unsigned rounds = from_environment ("P2P_TEST_MUTATIONS", 20000);
  for (unsigned i = 0; i < rounds; i++) {
    std::vector<std::uint8_t> bytes (data, data + size);
    for (unsigned n = random () % 4; n > 0; n--)
      bytes[random () % bytes.size ()] = static_cast<std::uint8_t> (random ());
    if (random () % 4 == 0) bytes.resize (random () % bytes.size ());
    const auto encoded = Ref<GBytes>::adopt (g_bytes_new (bytes.data (), bytes.size ()));
    const auto message = Ref<P2pMessage>::adopt (p2p_message_new (payload.get (), encoded.get ()));
    BufferDecoder decoder;
    const auto result = decoder.decode (message.get ());
    EXPECT_TRUE (result.ok () || result.error ().code == P2P_ERROR_PROTOCOL);
  }
}

TEST_F (BufferCodec, SkipsUnknownHintsAndRefusesUnknownFields) {
  const std::uint8_t hint[] = {1, 200, 0, 1, 5}, field[] = {1, 100, 0, 1, 5}, version[] = {2};
  EXPECT_TRUE (decode_attributes ({hint, sizeof hint}).ok ());
  EXPECT_FALSE (decode_attributes ({field, sizeof field}).ok ());
  EXPECT_FALSE (decode_attributes ({version, sizeof version}).ok ());
}

}  // namespace
}  // namespace p2p
