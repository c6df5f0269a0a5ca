#include "caps-codec.hpp"

#include <gtest/gtest.h>

#include <random>

#include "buffer-codec.hpp"

namespace p2p {
namespace {

using namespace std::string_literals;

// For more than the usual number, or for other ones: P2P_TEST_MUTATIONS and P2P_TEST_SEED.
unsigned
from_environment (const char *name, unsigned otherwise) {
  const char *text = g_getenv (name);
  return text ? static_cast<unsigned> (g_ascii_strtoull (text, nullptr, 10)) : otherwise;
}

Ref<GstCaps>
make_caps (const char *text) {
  return Ref<GstCaps>::adopt (gst_caps_from_string (text));
}

std::string
encoded (const char *text) {
  auto bytes = encode_caps (make_caps (text).get ());
  EXPECT_TRUE (bytes.ok ()) << text << ": " << bytes.error ().message;
  return *bytes;
}

class CapsCodec : public testing::Test {
 protected:
  static void SetUpTestSuite () { gst_init (nullptr, nullptr); }
};

TEST_F (CapsCodec, KeepsWhatElementsSay) {
  for (const char *text :
       {"video/x-raw", "video/x-raw, format=(string)I420, width=(int)-1, framerate=(fraction)30/1",
        "audio/x-raw, channel-mask=(bitmask)0x3, a=(boolean)true, b=(uint)4294967295",
        "video/x-h264, codec_data=(buffer)0164001fffe1, level=(string)\"3.1\", x=(double)0.5",
        "audio/x-vorbis, streamheader=(buffer)< 0011, 22, 33 >, y=(float)0.25",
        "application/x-rtp, extmap-1=(string)< \"\", urn:x, \"\" >, ssrc=(uint)1",
        "a/b, i=(gint64)-5000000000, u=(guint64)18446744073709551615, empty=(int)<  >",
        "a/b, nested=(int)< < 1, 2 >, < 3 > >, flags=(GstFlagSet)5:ffffffff",
        "a/b, inner=(structure)[c, d=(string)e, f=(int)< 1 >;]"}) {
    const auto caps = make_caps (text);
    ASSERT_TRUE (caps) << text;
    auto again = decode_caps (ByteView (encoded (text)));
    ASSERT_TRUE (again.ok ()) << text << ": " << again.error ().message;
    EXPECT_TRUE (gst_caps_is_equal (again->get (), caps.get ())) << text;
    EXPECT_TRUE (gst_caps_is_fixed (again->get ())) << text;
  }
}

TEST_F (CapsCodec, KeepsFlagsOfATypeThatThisProcessDoesNotHave) {
  // The name of the type takes the end of the caps.
  std::string bytes = encoded ("a/b, flags=(GstFlagSet)5:ffffffff");
  bytes.back () = 'X';
  auto caps = decode_caps (ByteView (bytes));
  ASSERT_TRUE (caps.ok ());
  guint flags = 0, mask = 0;
  EXPECT_TRUE (
      gst_structure_get_flagset (gst_caps_get_structure (caps->get (), 0), "flags", &flags, &mask));
  EXPECT_EQ (flags, 5u);
  EXPECT_EQ (mask, GST_FLAG_SET_MASK_EXACT);
}

TEST_F (CapsCodec, NamesTheFieldThatCannotTravel) {
  for (const char *text :
       {"a/b, when=(GDate)2020-01-01", "a/b, when=(GstDateTime)2020-01-01",
        "a/b, when=(GstCaps)\"a/b\"", "a/b, when=(int)<<<<<1>>>>>", "a/b, when=(GstFlagSet)5:7"}) {
    const auto caps = make_caps (text);
    ASSERT_TRUE (caps) << text;
    const auto bytes = encode_caps (caps.get ());
    ASSERT_FALSE (bytes.ok ()) << text;
    EXPECT_EQ (bytes.error ().code, P2P_ERROR_INVALID_ARGUMENT);
    EXPECT_NE (bytes.error ().message.find ("when"), std::string::npos) << bytes.error ().message;
  }
}

TEST_F (CapsCodec, RefusesWhatGStreamerWouldAssert) {
  const auto one_field = [] (const std::string &value) {
    return "\x03"
           "a/b\x00\x01\x01"
           "x"s +
           value;
  };
  ASSERT_TRUE (decode_caps (ByteView (one_field ("\x05\x01"))).ok ());
  const struct {
    const char *what;
    std::string bytes;
  } kCases[] = {
      {"nothing", ""},
      {"no name", "\x00\x00\x00"s},
      {"a name that begins with a digit", "\x03\x31/b\x00\x00"s},
      {"a name with a blank", "\x03 /b\x00\x00"s},
      {"a name with a NUL", "\x03"s + "a\0b\0\0"s},
      {"the name of tags", "\x07taglist\x00\x00"s},
      {"a media type of version 0.10", "\x0fvideo/x-raw-rgb\x00\x00"s},
      {"more fields than bytes", "\x03"s + "a/b\x00\x05"s},
      {"too many fields", "\x03"s + "a/b\xff\xff"s},
      {"the same field twice", "\x03"s + "a/b\x00\x02\x01x\x05\x01\x01x\x05\x01"s},
      {"bytes after the end", one_field ("\x05\x01\x01"s)},
      {"a boolean of another value", one_field ("\x05\x02"s)},
      {"an unknown type", one_field ("\x63\x01"s)},
      {"a denominator of 0", one_field ("\x09\x00\x00\x00\x01\x00\x00\x00\x00"s)},
      {"the smallest numerator", one_field ("\x09\x80\x00\x00\x00\x00\x00\x00\x01"s)},
      {"a denominator below 0", one_field ("\x09\x00\x00\x00\x01\x80\x00\x00\x00"s)},
      {"text that is not UTF-8", one_field ("\x08\x00\x00\x00\x01\xff"s)},
      {"text with a NUL", one_field ("\x08\x00\x00\x00\x01\x00"s)},
      {"a string that is cut off", one_field ("\x08\xff\xff\xff\xff\x61"s)},
      {"a number that is not one", one_field ("\x07\x7f\xf8\x00\x00\x00\x00\x00\x00"s)},
      {"an array of several types",
       one_field ("\x0d\x00\x00\x00\x02\x05\x01\x01\x00\x00\x00\x01"s)},
      {"arrays of several types in an array",
       one_field ("\x0d\x00\x00\x00\x02\x0d\x00\x00\x00\x01\x05\x01\x0d\x00\x00\x00\x01"
                  "\x01\x00\x00\x00\x01"s)},
      {"an array that is cut off", one_field ("\x0d\xff\xff\xff\xff\x05\x01"s)},
  };
  for (const auto &c : kCases) {
    const auto caps = decode_caps (ByteView (c.bytes));
    ASSERT_FALSE (caps.ok ()) << c.what;
    EXPECT_EQ (caps.error ().code, P2P_ERROR_PROTOCOL) << c.what;
  }
}

TEST_F (CapsCodec, RefusesNestingWithoutAnEnd) {
  std::string arrays =
                  "\x03"
                  "a/b\x00\x01\x01"
                  "x"s,
              structures =
                  "\x01"
                  "a"s;
  for (int i = 0; i < 10000; i++) {
    arrays += "\x0d\x00\x00\x00\x01"s;
    structures +=
        "\x00\x01\x01x\x0e\x01"
        "a"s;
  }
  EXPECT_FALSE (decode_caps (ByteView (arrays)).ok ());
  EXPECT_FALSE (decode_caps (ByteView (structures)).ok ());
}

// GLib keeps each name for good, so no peer may make as many as it likes.
TEST_F (CapsCodec, TakesOnlySoManyNewNames) {
  EXPECT_EXIT (
      {
        bool refused = false;
        for (int i = 0; i < 100000 && !refused; i++) {
          const std::string name = "name" + std::to_string (i);
          std::string bytes =
              "\x03"
              "a/b\x00\x01"s;
          bytes += static_cast<char> (name.size ());
          bytes += name + "\x05\x01"s;
          refused = !decode_caps (ByteView (bytes)).ok ();
        }
        const bool known = decode_caps (ByteView (encoded ("a/b, width=(int)1"))).ok ();
        _exit (refused && known ? 0 : 1);
      },
      testing::ExitedWithCode (0), "");
}

// Whatever a peer sends is either caps or an error: nothing else, under any sanitizer and with
// fatal criticals.
TEST_F (CapsCodec, SurvivesMutations) {
  const std::string seeds[] = {
      encoded ("video/x-h264, stream-format=(string)avc, codec_data=(buffer)0164001fffe1, "
               "width=(int)64, framerate=(fraction)30/1, interlaced=(boolean)false"),
      encoded ("a/b, n=(int)< < 1 >, < 3 > >, f=(GstFlagSet)5:ffffffff, s=(string)< a, b >, "
               "m=(bitmask)3"),
      encoded (
          "a/b, i=(structure)[c, d=(string)e, f=(int)< 1 >;], h=(buffer)< 00, 11 >, x=(double)1"),
  };
  std::mt19937 random (from_environment ("P2P_TEST_SEED", 1));
  const unsigned rounds = from_environment ("P2P_TEST_MUTATIONS", 30000);
  unsigned taken = 0;
  for (unsigned i = 0; i < rounds; i++) {
    std::string bytes = seeds[random () % 3];
    for (unsigned n = 1 + random () % 4; n > 0; n--) {
      const std::size_t at = random () % bytes.size ();
      switch (random () % 4) {
        case 0:
          bytes[at] = static_cast<char> (random ());
          break;
        case 1:
          bytes[at] = static_cast<char> (bytes[at] + 1 - 2 * static_cast<int> (random () % 2));
          break;
        case 2:
          bytes.insert (at, 1, static_cast<char> (random () % 16));
          break;
        default:
          bytes.erase (at, 1 + random () % 3);
      }
      if (bytes.empty ()) bytes = "x";
    }
    const auto caps = decode_caps (ByteView (bytes));
    if (!caps.ok ()) {
      EXPECT_EQ (caps.error ().code, P2P_ERROR_PROTOCOL);
      continue;
    }
    taken++;
    // What was taken is caps like any other.
    g_free (gst_caps_to_string (caps.value ().get ()));
    EXPECT_TRUE (gst_caps_is_fixed (caps.value ().get ()));
    EXPECT_TRUE (encode_caps (caps.value ().get ()).ok ());
  }
  EXPECT_GT (taken, rounds / 100) << "the mutations reach behind the first check";
}

}  // namespace
}  // namespace p2p
