// The JSON codec: what goes in comes out, and whatever a network sends gives a named error.
#include "signaling/frame.hpp"

#include <gtest/gtest.h>

#include <random>

using namespace p2p;

namespace {

std::variant<Frame, FrameError>
parse (const std::string &text) {
  return parse_frame (ByteView (std::string_view (text)));
}

FrameError
error_of (const std::string &text) {
  const auto parsed = parse (text);
  const auto *error = std::get_if<FrameError> (&parsed);
  EXPECT_NE (error, nullptr) << text;
  return error ? *error : FrameError{};
}

Frame
sample (FrameType type) {
  Frame frame;
  frame.type = type;
  frame.id = "alice";
  frame.peer = "bob@example.org:1+a-b_c";
  frame.data = std::string ("\0\x01\xff opaque \"bytes\"\n", 18);
  frame.key = std::string (91, '\x80');
  frame.signature = std::string (70, '\x00');
  frame.challenge = std::string (32, '\xfe');
  frame.code = "id-taken";
  frame.text = "Another key holds \"alice\".";
  frame.field = "id";
  frame.present = true;
  frame.seq = 9007199254740991;
  frame.version = 1;
  frame.stun_port = 7480;
  frame.heartbeat_s = 25;
  return frame;
}

const FrameType kAllTypes[] = {FrameType::welcome,    FrameType::enroll,  FrameType::resign,
                               FrameType::registered, FrameType::ask,     FrameType::unask,
                               FrameType::peer,       FrameType::message, FrameType::error,
                               FrameType::ping,       FrameType::pong};

}  // namespace

TEST (Frame, EveryTypeSurvivesTheRoundTrip) {
  for (const FrameType type : kAllTypes) {
    const std::string text = to_json (sample (type));
    const auto parsed = parse (text);
    ASSERT_TRUE (std::holds_alternative<Frame> (parsed)) << text;
    EXPECT_EQ (std::get<Frame> (parsed).type, type);
    EXPECT_EQ (to_json (std::get<Frame> (parsed)), text);
  }
}

TEST (Frame, MessageCarriesAnyBytesUpToTheLimit) {
  Frame frame = sample (FrameType::message);
  for (int i = 0; i < 256; ++i) frame.data += static_cast<char> (i);
  EXPECT_EQ (std::get<Frame> (parse (to_json (frame))).data, frame.data);
  frame.id = frame.peer = std::string (kMaxIdBytes, 'x');
  frame.data.assign (kMaxSignalBytes, '\xff');
  EXPECT_EQ (std::get<Frame> (parse (to_json (frame))).data, frame.data);
  for (const std::size_t over : {1, 2, 3, 4}) {
    frame.data.assign (kMaxSignalBytes + over, 'x');
    const FrameError error = error_of (to_json (frame));
    EXPECT_EQ (error.code, "too-long");
    EXPECT_EQ (error.field, "data");
  }
}

TEST (Frame, ErrorsNameTheField) {
  EXPECT_EQ (error_of (R"({"type":"ask","id":"a"})").field, "peer");
  EXPECT_EQ (error_of (R"({"type":"ask","id":7,"peer":"b"})").field, "id");
  EXPECT_EQ (error_of (R"({"type":"ask","id":null,"peer":"b"})").field, "id");
  EXPECT_EQ (error_of (R"({"type":"ask","id":["a"],"peer":"b"})").field, "id");
  EXPECT_EQ (error_of (R"({"type":"ask","id":"","peer":"b"})").field, "id");
  EXPECT_EQ (error_of (R"({"type":"ask","id":"*","peer":"b"})").field, "id");
  EXPECT_EQ (error_of (R"({"type":"ask","id":"a b","peer":"b"})").field, "id");
  EXPECT_EQ (error_of (R"({"type":"peer","id":"a","peer":"b","present":1})").field, "present");
  EXPECT_EQ (error_of (R"({"type":"message","id":"a","peer":"b","data":"a"})").field, "data");
  EXPECT_EQ (error_of (R"({"type":"message","id":"a","peer":"b","data":"a=aa"})").field, "data");
  EXPECT_EQ (error_of (R"({"type":"message","id":"a","peer":"*","data":""})").field, "peer");
  EXPECT_EQ (error_of (R"({"type":"ping","seq":-1})").field, "seq");
  EXPECT_EQ (error_of (R"({"type":"ping","seq":1.5})").field, "seq");
  EXPECT_EQ (error_of (R"({"type":"ping","seq":99999999999999999999})").field, "seq");
  EXPECT_EQ (error_of (R"({"type":3})").field, "type");
  EXPECT_EQ (error_of (R"({})").field, "type");
  EXPECT_EQ (error_of (R"({"type":"dance"})").code, "unknown-type");
  const FrameError long_id =
      error_of (R"({"type":"unregister","id":")" + std::string (129, 'a') + "\"}");
  EXPECT_EQ (long_id.code, "too-long");
  EXPECT_EQ (long_id.field, "id");
}

TEST (Frame, WhatIsNotPlainJsonIsRefused) {
  using namespace std::string_literals;
  for (const std::string &text :
       {""s, "x"s, "[]"s, "null"s, "{\"type\":"s, "{\"type\":\"ping\"}\0{}"s, "\xff\xfe"s,
        "{'type':'ping'}"s, "/* */{\"type\":\"ping\"}"s, "{\"type\":\"ping\"}#"s})
    EXPECT_EQ (error_of (text).code, "bad-json") << text;
  EXPECT_EQ (error_of (std::string (kMaxFrameBytes, '[')).code, "bad-json");
  EXPECT_EQ (error_of (std::string (kMaxFrameBytes + 1, ' ')).code, "too-long");
  EXPECT_EQ (error_of ("{\"type\":\"ping\",\"x\":" + std::string (90000, '{')).code, "bad-json");
}

TEST (Frame, UnknownFieldsAreIgnored) {
  const auto parsed = parse (R"({"later":{"a":[1]},"type":"unregister","id":"a"})");
  ASSERT_TRUE (std::holds_alternative<Frame> (parsed));
  EXPECT_EQ (std::get<Frame> (parsed).id, "a");
}

// Whatever is accepted must itself be a frame that survives the round trip.
TEST (Frame, MutatedInputNeverBreaksTheParser) {
  std::mt19937 random (20240601);
  const std::string pieces[] = {
      "\"",      "{",       "}",    "[",    "]",  ",",     ":",    "\\",
      "\\u0000", "\\ud800", "null", "true", "-1", "1e999", "\xc3", std::string (1, '\0')};
  int accepted = 0, refused = 0;
  for (int round = 0; round < 20000; ++round) {
    std::string text = to_json (sample (kAllTypes[random () % std::size (kAllTypes)]));
    for (unsigned edits = 1 + random () % 4; edits > 0; --edits) {
      const std::size_t at = random () % text.size ();
      switch (random () % 4) {
        case 0:
          text[at] = static_cast<char> (random ());
          break;
        case 1:
          text.erase (at, random () % 8);
          break;
        case 2:
          text.insert (at, pieces[random () % std::size (pieces)]);
          break;
        default:
          text.insert (at, text.substr (random () % text.size (), random () % 40));
      }
      if (text.empty ()) text = "{";
    }
    const auto parsed = parse (text);
    if (const auto *error = std::get_if<FrameError> (&parsed)) {
      ++refused;
      ASSERT_FALSE (error->code.empty ());
      ASSERT_FALSE (error->text.empty ());
      continue;
    }
    ++accepted;
    const std::string again = to_json (std::get<Frame> (parsed));
    const auto reparsed = parse (again);
    ASSERT_TRUE (std::holds_alternative<Frame> (reparsed)) << text << "\n" << again;
    ASSERT_EQ (to_json (std::get<Frame> (reparsed)), again);
  }
  EXPECT_GT (accepted, 100);
  EXPECT_GT (refused, 1000);
}
