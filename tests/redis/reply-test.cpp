// Answers of Redis out of bytes, from servers that are none as well.
#include "redis/redis_reply.hpp"

#include <gtest/gtest.h>

#include <random>

using namespace p2p;

namespace {

constexpr std::size_t kMaxBytes = 1024;

ByteView
view (const std::string &text) {
  return ByteView (std::string_view (text));
}

// Everything that can be read of it; empty where the reader is not content.
std::vector<RedisReply>
read_all (RedisReader &reader, const std::string &text, std::string *wrong = nullptr) {
  std::vector<RedisReply> replies;
  if (const auto error = reader.feed (view (text))) {
    if (wrong) *wrong = error->message;
    return {};
  }
  for (;;) {
    RedisReply reply;
    const auto whole = reader.next (reply);
    if (!whole) {
      if (wrong) *wrong = whole.error ().message;
      return {};
    }
    if (!whole.value ()) return replies;
    replies.push_back (std::move (reply));
  }
}

TEST (RedisReader, ReadsEveryKindWhereverTheBytesAreCut) {
  static const char bytes[] =
      "+OK\r\n-ERR no\r\n:-42\r\n$5\r\na\r\n\0b\r\n$-1\r\n*3\r\n:1\r\n*2\r\n+x\r\n$-1\r\n$0\r\n\r\n"
      "*0\r\n*-1\r\n";
  const std::string text (bytes, sizeof bytes - 1);
  for (std::size_t cut = 0; cut <= text.size (); ++cut) {
    RedisReader reader (kMaxBytes);
    auto replies = read_all (reader, text.substr (0, cut));
    for (auto &more : read_all (reader, text.substr (cut))) replies.push_back (std::move (more));
    ASSERT_EQ (replies.size (), 8u) << cut;
    EXPECT_EQ (replies[0].kind, RedisReply::Kind::status);
    EXPECT_EQ (replies[0].text, "OK");
    EXPECT_EQ (replies[1].kind, RedisReply::Kind::error);
    EXPECT_EQ (replies[1].text, "ERR no");
    EXPECT_EQ (replies[2].number, -42);
    EXPECT_EQ (replies[3].text, std::string ("a\r\n\0b", 5));
    EXPECT_EQ (replies[4].kind, RedisReply::Kind::nil);
    ASSERT_TRUE (replies[5].is_array_of (3));
    EXPECT_EQ (replies[5].items[0].number, 1);
    ASSERT_TRUE (replies[5].items[1].is_array_of (2));
    EXPECT_EQ (replies[5].items[1].items[0].text, "x");
    EXPECT_EQ (replies[5].items[2].kind, RedisReply::Kind::text);
    EXPECT_TRUE (replies[6].is_array_of (0));
    EXPECT_EQ (replies[7].kind, RedisReply::Kind::nil);
  }
}

TEST (RedisReader, WhatIsTooLargeIsRefusedBeforeItIsThere) {
  const struct {
    std::string text;
    const char *named;
  } cases[] = {
      {"*2000000000\r\n", "parts"},
      {"*200000\r\n*200000\r\n", "parts"},
      {"$2000\r\n" + std::string (kMaxBytes + 1, 'x'), "1024 bytes"},
      {"+" + std::string (kMaxBytes + 1, 'x'), "1024 bytes"},
  };
  for (const auto &one : cases) {
    RedisReader reader (kMaxBytes);
    std::string wrong;
    read_all (reader, one.text, &wrong);
    EXPECT_NE (wrong.find (one.named), std::string::npos) << one.text.substr (0, 30) << wrong;
  }
}

TEST (RedisReader, WhatIsNoAnswerIsAnError) {
  for (const char *text :
       {"HTTP/1.1 400 Bad Request\r\n\r\n", "\r\n", ":x\r\n", "$x\r\n", "$-2\r\n", "*-2\r\n",
        "*x\r\n", "$1\r\nabc\r\n", "$99999999999999999999\r\n",
        "*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n:1\r\n"}) {
    RedisReader reader (kMaxBytes);
    std::string wrong;
    const auto replies = read_all (reader, text, &wrong);
    // hiredis passes over what follows a bulk string; then the next one is wrong.
    if (replies.size () == 1) read_all (reader, "x\r\n", &wrong);
    EXPECT_NE (wrong, "") << text;
  }
}

TEST (RedisReader, SurvivesMutatedAnswers) {
  const std::string good =
      "*3\r\n$7\r\nmessage\r\n$4\r\nchan\r\n$3\r\nabc\r\n:7\r\n-ERR\r\n*-1\r\n";
  std::mt19937 random (7);
  for (int run = 0; run < 20000; ++run) {
    std::string text = good;
    for (int change = 0; change < 3; ++change)
      text[random () % text.size ()] = "*$+-:\r\n0123456789\0x"[random () % 20];
    RedisReader reader (kMaxBytes);
    read_all (reader, text);
  }
}

}  // namespace
