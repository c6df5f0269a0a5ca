// What a Redis server answers, out of bytes: hiredis' reader behind bounds of our own. Of hiredis
// only that is used. Its asynchronous context looks names up in place, which would stop the loop,
// and asserts on what the server says (0.14: an answer that nobody asked for ends the process).
#pragma once
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "base/bytes.hpp"
#include "base/error.hpp"

struct redisReader;

namespace p2p {

struct RedisReply {
  enum class Kind { nil, text, status, error, integer, array };
  Kind kind = Kind::nil;
  std::string text;               // text, status and error; any bytes
  std::int64_t number = 0;        // integer
  std::vector<RedisReply> items;  // array

  bool is_array_of (std::size_t least) const {
    return kind == Kind::array && items.size () >= least;
  }
};

class RedisReader {
 public:
  explicit RedisReader (std::size_t max_reply_bytes);
  ~RedisReader ();
  RedisReader (const RedisReader &) = delete;
  RedisReader &operator= (const RedisReader &) = delete;

  // After an error nothing more can be read.
  Status feed (ByteView bytes);
  // The next whole reply, if there is one. The error says what is wrong, as a clause.
  Result<bool> next (RedisReply &reply);

 private:
  struct Root;
  struct Free {
    void operator() (redisReader *reader) const;
  };
  const std::size_t max_reply_bytes_;
  const std::unique_ptr<Root> root_;
  const std::unique_ptr<redisReader, Free> reader_;
};

}  // namespace p2p
