// URIs of Redis servers.
#include "redis/redis_address.hpp"

#include <gtest/gtest.h>

using namespace p2p;

namespace {

TEST (RedisAddress, IsTakenOutOfItsUri) {
  const auto plain = parse_redis_uri ("redis://example.org");
  ASSERT_TRUE (plain.ok ());
  EXPECT_EQ (plain.value ().host, "example.org");
  EXPECT_EQ (plain.value ().port, 6379);
  EXPECT_EQ (plain.value ().database, 0u);
  EXPECT_EQ (plain.value ().password, "");

  const auto full = parse_redis_uri ("redis://joe:s%3Acr%2Fet@[::1]:7000/12");
  ASSERT_TRUE (full.ok ());
  EXPECT_EQ (full.value ().host, "::1");
  EXPECT_EQ (full.value ().port, 7000);
  EXPECT_EQ (full.value ().database, 12u);
  EXPECT_EQ (full.value ().user, "joe");
  EXPECT_EQ (full.value ().password, "s:cr/et");
  EXPECT_EQ (full.value ().text, "redis://[::1]:7000/12");

  const auto password = parse_redis_uri ("redis://:pass@127.0.0.1/");
  ASSERT_TRUE (password.ok ());
  EXPECT_EQ (password.value ().user, "");
  EXPECT_EQ (password.value ().password, "pass");

  const auto local = parse_redis_uri ("redis+unix://:pass@/run/redis/redis.sock?db=3");
  ASSERT_TRUE (local.ok ());
  EXPECT_EQ (local.value ().socket_path, "/run/redis/redis.sock");
  EXPECT_EQ (local.value ().password, "pass");
  EXPECT_EQ (local.value ().database, 3u);
  EXPECT_EQ (local.value ().text, "redis+unix:///run/redis/redis.sock?db=3");
}

TEST (RedisAddress, WhatIsWrongIsNamedAndThePasswordIsNot) {
  const struct {
    const char *uri, *named;
  } cases[] = {
      {"", "scheme"},
      {"http://:hunter2@host", "scheme"},
      {"rediss://:hunter2@host", "scheme"},
      {"redis://", "host is missing"},
      {"redis://:hunter2@", "host is missing"},
      {"redis://:hunter2@host:0", "port"},
      {"redis://:hunter2@host:65536", "port"},
      {"redis://:hunter2@host:port", "port"},
      {"redis://:hunter2@host/one", "database"},
      {"redis://:hunter2@host/-1", "database"},
      {"redis://:hunter2@host/65536", "database"},
      {"redis://:hunter2@host/1/2", "database"},
      {"redis://:hunter2@host?db=1", "query"},
      {"redis://:hunter2@host#1", "fragment"},
      {"redis://:hunter2#@host", ""},
      {"redis://:hunter2/@host", ""},
      {"redis://:hunter2%zz@host", ""},
      {"redis://:hunter2%00@host", ""},
      {"redis://joe@host", "user and no password"},
      {"redis+unix://", "path"},
      {"redis+unix:///", "path"},
      {"redis+unix://host/path", "no host"},
      {"redis+unix:///path?hunter2", "db="},
      {"redis+unix:///path?db=x", "db="},
  };
  for (const auto &one : cases) {
    const auto parsed = parse_redis_uri (one.uri);
    ASSERT_FALSE (parsed.ok ()) << one.uri;
    const std::string &message = parsed.error ().message;
    EXPECT_NE (message.find (one.named), std::string::npos) << one.uri << ": " << message;
    EXPECT_EQ (message.find ("hunter2"), std::string::npos) << message;
    EXPECT_EQ (message.back (), '.') << message;
  }
}

}  // namespace
