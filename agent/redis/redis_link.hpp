// One connection to a Redis server: bytes out, whole replies in. No back-off, no meaning.
#pragma once
#include <gio/gio.h>

#include <memory>
#include <string>

#include "base/error.hpp"
#include "base/fd_watch.hpp"
#include "base/ptr.hpp"
#include "redis/redis_address.hpp"
#include "redis/redis_reply.hpp"

namespace p2p {

class RedisLink {
 public:
  // Each may destroy or close the link.
  class Observer {
   public:
    virtual ~Observer () = default;
    virtual void link_open () = 0;
    virtual void link_reply (RedisReply reply) = 0;
    // It is closed already. `why` is a clause: "the connection was refused".
    virtual void link_closed (P2pError code, const std::string &why) = 0;
  };

  // Of the thread of `context`; null is the default main context.
  RedisLink (GMainContext *context, const RedisAddress &address, std::size_t max_reply_bytes,
             Observer &observer);
  ~RedisLink ();
  RedisLink (const RedisLink &) = delete;
  RedisLink &operator= (const RedisLink &) = delete;

  // Neither calls the observer from inside.
  void open ();
  void close ();  // no call follows until the next open()
  // Once it is open, and until it is closed. The observer is not called from inside.
  void write (const std::string &bytes);

 private:
  void on_connected (GSocketConnection *connection, const GError *error);
  void on_ready (GIOCondition there);
  void read_some ();
  void flush ();
  void end (P2pError code, const std::string &why);

  GMainContext *const context_;
  const RedisAddress &address_;
  const std::size_t max_reply_bytes_;
  Observer &observer_;
  Ref<GCancellable> cancellable_;  // of the attempt under way
  Ref<GSocketConnection> connection_;
  std::unique_ptr<RedisReader> reader_;
  std::unique_ptr<FdWatch> watch_;
  std::string out_;
  std::size_t written_ = 0;  // of out_
  // A new one with each connection: tells a call that what it belongs to has ended.
  std::shared_ptr<bool> alive_;
};

}  // namespace p2p
