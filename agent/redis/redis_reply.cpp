#include "redis/redis_reply.hpp"

#include <hiredis/hiredis.h>

#include <type_traits>

namespace p2p {

// The reply that is being read. hiredis fills it in from the front, and its parts in place.
struct RedisReader::Root {
  RedisReply reply;
  std::size_t items = 0;
};

namespace {

// An empty item takes 4 bytes on the wire and some twenty times that here.
constexpr std::size_t kMaxItems = 256 * 1024;

#if HIREDIS_MAJOR >= 1
using ItemCount = std::size_t;
#else
using ItemCount = int;
#endif

template <class Root>
RedisReply *
place (const redisReadTask *task) {
  if (!task->parent) return &static_cast<Root *> (task->privdata)->reply;
  return &static_cast<RedisReply *> (task->parent->obj)
              ->items[static_cast<std::size_t> (task->idx)];
}

template <class Root>
void *
make_string (const redisReadTask *task, char *text, std::size_t size) {
  RedisReply *reply = place<Root> (task);
  reply->kind = task->type == REDIS_REPLY_ERROR    ? RedisReply::Kind::error
                : task->type == REDIS_REPLY_STATUS ? RedisReply::Kind::status
                                                   : RedisReply::Kind::text;
  reply->text.assign (text, size);
  return reply;
}

template <class Root>
void *
make_array (const redisReadTask *task, ItemCount count) {
  auto &root = *static_cast<Root *> (task->privdata);
  const auto items = static_cast<std::size_t> (count);
  if (items > kMaxItems - root.items) return nullptr;
  root.items += items;
  RedisReply *reply = place<Root> (task);
  reply->kind = RedisReply::Kind::array;
  reply->items.resize (items);
  return reply;
}

template <class Root>
void *
make_integer (const redisReadTask *task, long long number) {
  RedisReply *reply = place<Root> (task);
  reply->kind = RedisReply::Kind::integer;
  reply->number = number;
  return reply;
}

template <class Root>
void *
make_nil (const redisReadTask *task) {
  return place<Root> (task);
}

template <class Root>
redisReplyObjectFunctions *
functions () {
  static redisReplyObjectFunctions all = [] {
    redisReplyObjectFunctions made{};
    made.createString = make_string<Root>;
    made.createArray = make_array<Root>;
    made.createInteger = make_integer<Root>;
    made.createNil = make_nil<Root>;
#if HIREDIS_MAJOR >= 1
    // Kinds of RESP3, which nobody asks for: refused as if there were no memory for them.
    made.createDouble = [] (const redisReadTask *, double, char *, std::size_t) -> void * {
      return nullptr;
    };
    made.createBool = [] (const redisReadTask *, int) -> void * { return nullptr; };
#endif
    made.freeObject = [] (void *) {};  // the root is a member
    return made;
  }();
  return &all;
}

}  // namespace

void
RedisReader::Free::operator() (redisReader *reader) const {
  redisReaderFree (reader);
}

RedisReader::RedisReader (std::size_t max_reply_bytes)
    : max_reply_bytes_ (max_reply_bytes),
      root_ (std::make_unique<Root> ()),
      reader_ (redisReaderCreateWithFunctions (functions<Root> ())) {
  if (!reader_) g_error ("There is no memory for an answer of Redis.");  // as GLib does
  reader_->privdata = root_.get ();
}

RedisReader::~RedisReader () = default;

Status
RedisReader::feed (ByteView bytes) {
  if (redisReaderFeed (reader_.get (), reinterpret_cast<const char *> (bytes.data), bytes.size) !=
      REDIS_OK)
    return Error{P2P_ERROR_PROTOCOL, reader_->errstr};
  return std::nullopt;
}

Result<bool>
RedisReader::next (RedisReply &reply) {
  void *made = nullptr;
  if (redisReaderGetReply (reader_.get (), &made) != REDIS_OK)
    return Error{P2P_ERROR_PROTOCOL,
                 reader_->err == REDIS_ERR_OOM ? "an answer has too many parts" : reader_->errstr};
  if (!made) {
    if (reader_->len - reader_->pos <= max_reply_bytes_) return false;
    return Error{P2P_ERROR_PROTOCOL,
                 "an answer has more than " + std::to_string (max_reply_bytes_) + " bytes"};
  }
  reply = std::move (root_->reply);
  *root_ = Root ();
  return true;
}

}  // namespace p2p
