#include "object_path.hpp"

#include <atomic>
#include <deque>

#include "object_data.hpp"
#include "path_inbox.hpp"

namespace p2p {

namespace {

// What may wait for the application's context: enough for a burst of congestion control.
constexpr std::size_t kMaxOutgoingBytes = 1024 * 1024;
// The longest train that QUIC hands over at once (RFC 9000 has no bound; 64 KiB is GSO's).
constexpr std::size_t kMaxBurstBytes = 64 * 1024;
constexpr std::size_t kMaxPathMessageBytes = 16 * 1024;

// Datagrams on their way to the application's object; outlives the path in posted work.
class Outbox : public std::enable_shared_from_this<Outbox> {
 public:
  Outbox (Ref<P2pPath> object, Ref<GMainContext> context, std::function<void ()> writable)
      : object_ (std::move (object)),
        context_ (std::move (context)),
        writable_ (std::move (writable)) {}

  // Core thread. False while too much waits; then `writable` is called on the core thread later.
  bool add (ByteView burst, std::size_t segment_bytes) {
    {
      const std::lock_guard lock (mutex_);
      if (bytes_ + burst.size > kMaxOutgoingBytes) {
        blocked_ = true;
        return false;
      }
      for (std::size_t offset = 0; offset < burst.size; offset += segment_bytes) {
        const ByteView segment = burst.sub (offset, segment_bytes);
        datagrams_.push_back (Ref<GBytes>::adopt (g_bytes_new (segment.data, segment.size)));
      }
      bytes_ += burst.size;
      if (std::exchange (scheduled_, true)) return true;
    }
    post_event (context_.get (), [self = shared_from_this ()] { self->drain (); });
    return true;
  }

  // Core thread. Closes the application's path, after what waits.
  void close () {
    writable_ = {};
    post_event (context_.get (), [self = shared_from_this ()] {
      p2p_path_close (self->object_.get ());
      self->object_.reset ();
    });
  }

  std::uint64_t dropped () const { return dropped_; }

 private:
  void drain () {
    std::deque<Ref<GBytes>> datagrams;
    bool blocked = false;
    {
      const std::lock_guard lock (mutex_);
      datagrams.swap (datagrams_);
      bytes_ = 0;
      scheduled_ = false;
      blocked = std::exchange (blocked_, false);
    }
    for (const auto &datagram : datagrams) {
      // What cannot be sent is lost, as on a wire.
      GError *error = nullptr;
      if (object_ && !p2p_path_send (object_.get (), datagram.get (), &error)) dropped_++;
      g_clear_error (&error);
    }
    if (blocked)
      core_loop ().post ([self = shared_from_this ()] {
        if (self->writable_) self->writable_ ();
      });
  }

  Ref<P2pPath> object_;  // context only
  const Ref<GMainContext> context_;
  std::function<void ()> writable_;  // core thread only
  std::atomic<std::uint64_t> dropped_{0};
  std::mutex mutex_;
  // Guarded by mutex_.
  std::deque<Ref<GBytes>> datagrams_;
  std::size_t bytes_ = 0;
  bool scheduled_ = false, blocked_ = false;
};

class ObjectPath final : public Path {
 public:
  // What was asked of the object in its context.
  struct Opened {
    Ref<P2pPath> object;
    std::size_t max_datagram_bytes;
    PathInfo info;
  };

  ObjectPath (Opened opened, Ref<GMainContext> context)
      : max_datagram_bytes_ (opened.max_datagram_bytes),
        info_ (std::move (opened.info)),
        inbox_ (PathInbox::of (opened.object.get ())),
        outbox_ (std::make_shared<Outbox> (std::move (opened.object), std::move (context), [this] {
          if (receiver_) receiver_->path_writable (*this);
        })) {
    inbox_->attach (
        [this, alive = alive_] (const PathInbox::Batch &batch) { deliver (alive, batch); });
  }
  ~ObjectPath () override {
    *alive_ = false;
    inbox_->attach ({});
    outbox_->close ();
  }

  void set_receiver (Receiver *receiver) override { receiver_ = receiver; }
  Sent send (ByteView burst, std::size_t segment_bytes) override {
    return outbox_->add (burst, segment_bytes) ? Sent::all : Sent::would_block;
  }
  std::size_t max_datagram_bytes () const override { return max_datagram_bytes_; }
  std::size_t max_burst_bytes () const override { return kMaxBurstBytes; }
  PathInfo info () const override { return info_; }
  std::uint64_t dropped_datagrams () const override {
    return inbox_->dropped () + outbox_->dropped ();
  }
  Scheduler &scheduler () override { return core_loop ().scheduler (); }

 private:
  void deliver (const std::shared_ptr<bool> &alive, const PathInbox::Batch &batch) {
    for (const auto &datagram : batch.datagrams) {
      if (!*alive || !receiver_) return;
      gsize size = 0;
      const void *bytes = g_bytes_get_data (datagram.get (), &size);
      receiver_->path_received (*this, {bytes, size});
    }
    if (*alive && receiver_ && !batch.datagrams.empty ()) receiver_->path_batch_done (*this);
    if (*alive && receiver_ && batch.failed) receiver_->path_failed (*this, *batch.failed);
  }

  const std::size_t max_datagram_bytes_;
  const PathInfo info_;
  const std::shared_ptr<PathInbox> inbox_;
  Receiver *receiver_ = nullptr;
  const std::shared_ptr<bool> alive_ = std::make_shared<bool> (true);
  const std::shared_ptr<Outbox> outbox_;
};

// One open_async() under way.
class ObjectAttempt final : public PathSource::Attempt {
 public:
  ObjectAttempt (Ref<P2pPathFactory> factory, Ref<GMainContext> context, std::string name,
                 std::string id, std::string peer, PathSource::SendMessage send,
                 PathSource::Opened opened)
      : core_ (std::make_shared<Core> ()) {
    core_->factory = std::move (factory);
    core_->context = std::move (context);
    core_->name = std::move (name);
    core_->id = std::move (id);
    core_->peer = std::move (peer);
    core_->opened = std::move (opened);
    core_->send = std::move (send);
    core_->cancellable = Ref<GCancellable>::adopt (g_cancellable_new ());
    // Messages of the factory come from any thread; the core takes them on its own.
    send_ = std::make_shared<PathFactoryHub::Send> (
        [weak = std::weak_ptr<Core> (core_)] (Ref<GBytes> message) {
          core_loop ().post ([weak, message = std::move (message)] {
            const auto core = weak.lock ();
            gsize size = 0;
            const void *bytes = g_bytes_get_data (message.get (), &size);
            if (core && core->send) core->send ({bytes, size});
          });
        });
    PathFactoryHub::of (core_->factory.get ())->add (core_->id, core_->peer, send_);
  }
  ~ObjectAttempt () override {
    PathFactoryHub::of (core_->factory.get ())->remove (core_->id, core_->peer, send_);
    core_->opened = {};
    core_->send = {};
    // In the context, since an application's handlers may run.
    post_event (core_->context.get (),
                [core = core_] { g_cancellable_cancel (core->cancellable.get ()); });
  }

  void start (bool initiator) {
    post_event (core_->context.get (), [core = core_, initiator] {
      p2p_path_factory_open_async (core->factory.get (), core->id.c_str (), core->peer.c_str (),
                                   initiator, core->cancellable.get (), on_opened,
                                   new std::shared_ptr<Core> (core));
    });
  }
  void receive_message (ByteView message) override {
    auto bytes = Ref<GBytes>::adopt (g_bytes_new (message.data, message.size));
    if (core_->messages_waiting >= kMaxMessagesWaiting) return;
    core_->messages_waiting++;
    post_event (core_->context.get (), [core = core_, bytes = std::move (bytes)] {
      core->messages_waiting--;
      p2p_path_factory_receive_message (core->factory.get (), core->id.c_str (),
                                        core->peer.c_str (), bytes.get ());
    });
  }

 private:
  static constexpr int kMaxMessagesWaiting = 256;  // for an application that does not iterate

  struct Core {
    Ref<P2pPathFactory> factory;
    Ref<GMainContext> context;
    std::string name, id, peer;
    Ref<GCancellable> cancellable;
    PathSource::Opened opened;     // core thread only
    PathSource::SendMessage send;  // core thread only
    std::atomic<int> messages_waiting{0};
  };

  static void on_opened (GObject *, GAsyncResult *result, gpointer data) {
    const std::unique_ptr<std::shared_ptr<Core>> box (static_cast<std::shared_ptr<Core> *> (data));
    const std::shared_ptr<Core> core = *box;
    GError *raw = nullptr;
    auto object =
        Ref<P2pPath>::adopt (p2p_path_factory_open_finish (core->factory.get (), result, &raw));
    const UniqueError error (raw);
    if (!object) {
      const Error reason{P2P_ERROR_UNREACHABLE,
                         error ? from_nullable (error->message)
                               : "The path factory \"" + core->name + "\" gave no path."};
      core_loop ().post ([core, reason] {
        if (const auto opened = std::exchange (core->opened, {})) opened (reason);
      });
      return;
    }
    ObjectPath::Opened content{std::move (object), 0, {}};
    content.max_datagram_bytes = p2p_path_get_max_datagram_bytes (content.object.get ());
    const UniqueChars description (p2p_path_describe (content.object.get ()));
    content.info = {core->name, from_nullable (description.get ()), {}, false};
    core_loop ().post ([core, content = std::move (content)] { deliver (core, content); });
  }

  static void deliver (const std::shared_ptr<Core> &core, const ObjectPath::Opened &content) {
    const auto opened = std::exchange (core->opened, {});
    auto path = std::make_unique<ObjectPath> (content, core->context);
    if (!opened) return;  // given up meanwhile: destroying the path closes it
    if (content.max_datagram_bytes < kMinDatagramBytes) {
      opened (Error{P2P_ERROR_INVALID_ARGUMENT,
                    "The path of \"" + core->name + "\" carries datagrams of " +
                        std::to_string (content.max_datagram_bytes) +
                        " bytes; it must carry 1200 (RFC 9000 section 14)."});
      return;
    }
    opened (std::unique_ptr<Path> (std::move (path)));
  }

  const std::shared_ptr<Core> core_;
  std::shared_ptr<PathFactoryHub::Send> send_;
};

class ObjectPathSource final : public PathSource {
 public:
  ObjectPathSource (P2pPathFactory *factory, Ref<GMainContext> context)
      : factory_ (Ref<P2pPathFactory>::share (factory)),
        context_ (std::move (context)),
        name_ (from_nullable (p2p_path_factory_get_name (factory))) {}

  const std::string &name () const override { return name_; }
  std::unique_ptr<Attempt> open (const std::string &id, const std::string &peer, bool initiator,
                                 SendMessage send, Opened opened) override {
    auto attempt = std::make_unique<ObjectAttempt> (factory_, context_, name_, id, peer,
                                                    std::move (send), std::move (opened));
    attempt->start (initiator);
    return attempt;
  }
  void when_closed (const std::function<void ()> &done) override {
    // After the closings that wait there already.
    post_event (context_.get (), done);
  }

 private:
  const Ref<P2pPathFactory> factory_;
  const Ref<GMainContext> context_;
  const std::string name_;
};

}  // namespace

std::shared_ptr<PathFactoryHub>
PathFactoryHub::of (P2pPathFactory *factory) {
  return object_data<PathFactoryHub> (G_OBJECT (factory), "p2p-path-factory-hub");
}

void
PathFactoryHub::add (const std::string &id, const std::string &peer, std::shared_ptr<Send> send) {
  const std::lock_guard lock (mutex_);
  sends_[{id, peer}] = std::move (send);
}

void
PathFactoryHub::remove (const std::string &id, const std::string &peer,
                        const std::shared_ptr<Send> &send) {
  const std::lock_guard lock (mutex_);
  const auto found = sends_.find ({id, peer});
  if (found != sends_.end () && found->second == send) sends_.erase (found);
}

void
PathFactoryHub::emit (const std::string &id, const std::string &peer, GBytes *message) {
  if (g_bytes_get_size (message) > kMaxPathMessageBytes) return;
  std::shared_ptr<Send> send;
  {
    const std::lock_guard lock (mutex_);
    const auto found = sends_.find ({id, peer});
    if (found != sends_.end ()) send = found->second;
  }
  if (send) (*send) (Ref<GBytes>::share (message));
}

std::shared_ptr<PathSource>
make_object_path_source (P2pPathFactory *factory, Ref<GMainContext> context) {
  return std::make_shared<ObjectPathSource> (factory, std::move (context));
}

}  // namespace p2p
