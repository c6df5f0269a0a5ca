#include "object_store.hpp"

#include <deque>

#include "store/store_factory.hpp"

namespace p2p {

namespace {

Error
store_error (const GError *error, const char *otherwise) {
  if (!error) return {P2P_ERROR_STORE, otherwise};
  return from_gerror (error, P2P_ERROR_STORE);
}

// (transfer full)
GPtrArray *
to_array (const StoreBatch &batch) {
  const GDestroyNotify unref = [] (gpointer change) {
    p2p_store_change_unref (static_cast<P2pStoreChange *> (change));
  };
  GPtrArray *array = g_ptr_array_new_full (static_cast<guint> (batch.size ()), unref);
  for (const StoreChange &change : batch) g_ptr_array_add (array, store_change_box_new (change));
  return array;
}

std::vector<StoreItem>
to_items (GPtrArray *array) {
  std::vector<StoreItem> items;
  for (guint i = 0; i < array->len; ++i) {
    const StoreChange &change = static_cast<P2pStoreChange *> (array->pdata[i])->content;
    if (change.kind == StoreChange::Kind::put) items.push_back ({change.key, change.value});
  }
  return items;
}

}  // namespace

struct ObjectStore::Link : std::enable_shared_from_this<Link> {
  enum class Kind { open, commit, close };
  struct Job {
    Kind kind = Kind::commit;
    std::string owner;
    StoreBatch batch;
    OpenDone opened;
    Done done;
    std::uint64_t bytes = 0;
  };
  // Of one call to the object; `answer` runs on the core thread.
  using Answer = std::function<void (Link &)>;
  using Finish = std::function<Answer (P2pSessionStore *, GAsyncResult *)>;
  struct Call {
    std::shared_ptr<Link> link;
    Finish finish;
  };

  Link (Ref<P2pSessionStore> the_object, Ref<GMainContext> the_context)
      : object (std::move (the_object)), context (std::move (the_context)) {}

  void push (Job job) {
    waiting_bytes += job.bytes;
    jobs.push_back (std::move (job));
    next ();
  }

  // Everything that may be asked together is asked now, unless an answer is still to come.
  void next () {
    if (!running.empty () || jobs.empty ()) return;
    do {
      running.push_back (std::move (jobs.front ()));
      jobs.pop_front ();
    } while (running.back ().kind == Kind::commit && !jobs.empty () &&
             jobs.front ().kind == Kind::commit);
    switch (running.front ().kind) {
      case Kind::open:
        ask_open ();
        break;
      case Kind::commit:
        ask_commit ();
        break;
      case Kind::close:
        ask_close ();
        break;
    }
  }

  void ask_open () {
    const Finish finish = [] (P2pSessionStore *store, GAsyncResult *result) -> Answer {
      GError *raw = nullptr;
      guint64 term = 0;
      GPtrArray *array = p2p_session_store_open_finish (store, result, &term, &raw);
      const UniqueError error (raw);
      if (!array)
        return [failed = store_error (raw, "The application's store was not opened.")] (Link &l) {
          l.opened (failed);
        };
      Opened all{term, to_items (array)};
      g_ptr_array_unref (array);
      return [all = std::move (all)] (Link &l) { l.opened (all); };
    };
    post_event (context.get (), [owner = running.front ().owner, call = new_call (finish)] {
      p2p_session_store_open_async (call->link->object.get (), owner.c_str (), nullptr, on_done,
                                    new Call (*call));
    });
  }

  void ask_commit () {
    StoreBatch all;
    for (Job &job : running)
      std::move (job.batch.begin (), job.batch.end (), std::back_inserter (all));
    if (lost) {
      core_loop ().post ([self = shared_from_this ()] {
        if (self->alive) self->finished (self->lost);
      });
      return;
    }
    post_event (context.get (),
                [all = std::move (all),
                 call = new_call (finish_with (p2p_session_store_commit_finish,
                                               "The application's store did not commit."))] {
                  GPtrArray *changes = to_array (all);
                  p2p_session_store_commit_async (call->link->object.get (), changes, nullptr,
                                                  on_done, new Call (*call));
                  g_ptr_array_unref (changes);
                });
  }

  void ask_close () {
    post_event (context.get (),
                [call = new_call (finish_with (p2p_session_store_close_finish,
                                               "The application's store was not closed."))] {
                  p2p_session_store_close_async (call->link->object.get (), nullptr, on_done,
                                                 new Call (*call));
                });
  }

  std::shared_ptr<Call> new_call (Finish finish) {
    return std::make_shared<Call> (Call{shared_from_this (), std::move (finish)});
  }

  static Finish finish_with (gboolean (*function) (P2pSessionStore *, GAsyncResult *, GError **),
                             const char *otherwise) {
    return [function, otherwise] (P2pSessionStore *store, GAsyncResult *result) -> Answer {
      GError *raw = nullptr;
      const bool worked = function (store, result, &raw);
      const UniqueError error (raw);
      const Status status = worked ? Status () : Status (store_error (raw, otherwise));
      return [status] (Link &l) { l.finished (status); };
    };
  }

  static void on_done (GObject *source, GAsyncResult *result, gpointer data) {
    const std::unique_ptr<Call> call (static_cast<Call *> (data));
    core_loop ().post (
        [link = call->link, answer = call->finish (P2P_SESSION_STORE (source), result)] {
          if (link->alive) answer (*link);
        });
  }

  void opened (Result<Opened> result) {
    const Job job = std::move (running.front ());
    running.clear ();
    job.opened (std::move (result));
    if (alive) next ();
  }

  void finished (const Status &status) {
    const bool commit = running.front ().kind == Kind::commit;
    if (status && commit) lose (*status);
    std::vector<Job> jobs_done = std::move (running);
    running.clear ();
    for (Job &job : jobs_done) {
      if (!alive) return;
      waiting_bytes -= job.bytes;
      job.done (status);
    }
    if (alive) next ();
  }

  void lose (const Error &error) {
    if (lost) return;
    lost = error;
    if (observer) observer->store_lost (error);
  }

  static void on_lost (P2pSessionStore *, const GError *reason, gpointer data) {
    const auto link = static_cast<std::weak_ptr<Link> *> (data)->lock ();
    if (!link) return;
    core_loop ().post ([link, error = from_gerror (reason, P2P_ERROR_STORE)] {
      if (link->alive) link->lose (error);
    });
  }

  const Ref<P2pSessionStore> object;
  const Ref<GMainContext> context;
  // Core thread only.
  bool alive = true;
  Observer *observer = nullptr;
  std::deque<Job> jobs;
  std::vector<Job> running;  // one call to the object
  std::uint64_t waiting_bytes = 0;
  Status lost;
  gulong handler = 0;
};

ObjectStore::ObjectStore (Ref<P2pSessionStore> object, Ref<GMainContext> context)
    : link_ (std::make_shared<Link> (std::move (object), std::move (context))) {
  using Weak = std::weak_ptr<Link>;
  link_->handler = g_signal_connect_data (
      link_->object.get (), "lost", G_CALLBACK (&Link::on_lost), new Weak (link_),
      [] (gpointer data, GClosure *) { delete static_cast<Weak *> (data); },
      static_cast<GConnectFlags> (0));
}

ObjectStore::~ObjectStore () {
  link_->alive = false;
  link_->observer = nullptr;
  g_signal_handler_disconnect (link_->object.get (), link_->handler);
  // Callbacks go on this thread. The object leaves its owner to others.
  link_->jobs.clear ();
  const bool closing =
      !link_->running.empty () && link_->running.front ().kind == Link::Kind::close;
  link_->running.clear ();
  if (!closing) link_->ask_close ();
}

void
ObjectStore::set_observer (Observer *observer) {
  link_->observer = observer;
}

void
ObjectStore::open (const std::string &owner, OpenDone done) {
  Link::Job job;
  job.kind = Link::Kind::open;
  job.owner = owner;
  job.opened = std::move (done);
  link_->push (std::move (job));
}

void
ObjectStore::commit (StoreBatch batch, Done done) {
  Link::Job job;
  job.bytes = batch_bytes (batch);
  job.batch = std::move (batch);
  job.done = std::move (done);
  link_->push (std::move (job));
}

std::uint64_t
ObjectStore::waiting_bytes () const {
  return link_->waiting_bytes;
}

void
ObjectStore::close (Done done) {
  Link::Job job;
  job.kind = Link::Kind::close;
  job.done = std::move (done);
  link_->push (std::move (job));
}

Result<std::unique_ptr<SessionStore>>
session_store_of (P2pSessionStore *object, Ref<GMainContext> context) {
  if (P2P_IS_URI_SESSION_STORE (object)) {
    const StoreSpec spec = uri_session_store_spec (P2P_URI_SESSION_STORE (object));
    return make_session_store (spec.uri, spec.key_file);
  }
  return std::unique_ptr<SessionStore> (
      std::make_unique<ObjectStore> (Ref<P2pSessionStore>::share (object), std::move (context)));
}

}  // namespace p2p
