#include "store/sqlite_store.hpp"

#include <condition_variable>
#include <deque>
#include <optional>

#include "base/loop_thread.hpp"

namespace p2p {

namespace {

// A transaction ends with the batch that reaches it, so that the first does not wait for the last.
constexpr std::uint64_t kMaxGroupBytes = 4 * 1024 * 1024;
// Others hold the file for a transaction each; a store that cannot be opened in this time is stuck.
constexpr gint64 kOpenWithin_us = 5 * G_USEC_PER_SEC;
constexpr int kLongestWait_ms = 50;

struct Job {
  enum class Kind { open, commit, close };
  Kind kind = Kind::commit;
  std::string owner;
  StoreBatch batch;
  SessionStore::OpenDone opened;
  SessionStore::Done done;
  std::uint64_t bytes = 0;
};

struct Answer {
  SessionStore::Done done;
  Status status;
  std::uint64_t bytes = 0;
};

}  // namespace

struct SqliteStore::Front {
  void answer (std::vector<Answer> answers, bool lost) {
    if (lost && observer) observer->store_lost (*answers.front ().status);
    for (Answer &answer : answers) {
      if (!alive) return;
      waiting_bytes -= answer.bytes;
      answer.done (answer.status);
    }
  }

  bool alive = true;
  Observer *observer = nullptr;
  std::uint64_t waiting_bytes = 0;
};

// Callbacks travel with their jobs and are called, and destroyed, on the core thread alone.
class SqliteStore::Writer {
 public:
  Writer (SqliteOptions options, std::weak_ptr<Front> front)
      : options_ (std::move (options)), front_ (std::move (front)) {
    const GThreadFunc body = [] (gpointer data) -> gpointer {
      static_cast<Writer *> (data)->run ();
      return nullptr;
    };
    thread_ = g_thread_new ("p2p-store", body, this);
  }

  ~Writer () {
    {
      const MutexLock lock (mutex_);
      stopping_ = true;
      changed_.notify_one ();
    }
    g_thread_join (thread_);
  }

  void push (Job job) {
    const MutexLock lock (mutex_);
    jobs_.push_back (std::move (job));
    changed_.notify_one ();
  }

 private:
  // The next job, or all commits that stand first in the queue; none when the store goes.
  std::vector<Job> take () {
    const MutexLock lock (mutex_);
    while (jobs_.empty () && !stopping_) changed_.wait (mutex_);
    std::vector<Job> jobs;
    std::uint64_t bytes = 0;
    while (!stopping_ && !jobs_.empty () && bytes < kMaxGroupBytes) {
      const bool commit = jobs_.front ().kind == Job::Kind::commit;
      if (!commit && !jobs.empty ()) break;
      bytes += jobs_.front ().bytes;
      jobs.push_back (std::move (jobs_.front ()));
      jobs_.pop_front ();
      if (!commit) break;
    }
    return jobs;
  }

  // As SqliteDatabase::Wait: it grows, and ends at once when the store goes.
  bool wait (int tries) {
    if (opening_since_us_ && g_get_monotonic_time () - *opening_since_us_ > kOpenWithin_us)
      return false;
    const auto span = std::chrono::milliseconds (tries < 6 ? 1 << tries : kLongestWait_ms);
    const MutexLock lock (mutex_);
    const auto end = std::chrono::steady_clock::now () + span;
    while (!stopping_ && changed_.wait_until (mutex_, end) != std::cv_status::timeout) {
    }
    return !stopping_;
  }

  void run () {
    for (;;) {
      std::vector<Job> jobs = take ();
      if (jobs.empty ()) break;
      switch (jobs.front ().kind) {
        case Job::Kind::open:
          open (std::move (jobs.front ()));
          break;
        case Job::Kind::commit:
          commit (std::move (jobs));
          break;
        case Job::Kind::close:
          owner_.reset ();
          answer (std::move (jobs), failed_, false);
          break;
      }
    }
    if (owner_) owner_->keep_log_on_close ();  // the core thread waits for us
    owner_.reset ();
  }

  void open (Job job) {
    opening_since_us_ = g_get_monotonic_time ();
    auto owner =
        SqliteOwner::open (options_, job.owner, [this] (int tries) { return wait (tries); });
    opening_since_us_.reset ();
    std::optional<Result<Opened>> result;
    if (owner) {
      auto items = (*owner)->items ();
      if (items) {
        owner_ = std::move (*owner);
        result = Opened{owner_->term (), std::move (*items)};
      } else {
        result = items.error ();
      }
    } else {
      result = owner.error ();
    }
    core_loop ().post (
        [front = front_, done = std::move (job.opened), opened = std::move (*result)] () mutable {
          if (front.lock ()) done (std::move (opened));
        });
  }

  void commit (std::vector<Job> jobs) {
    bool lost = false;
    if (!failed_ && !owner_)
      failed_ = Error{P2P_ERROR_STORE, "The session store " + options_.path + " is not open."};
    if (!failed_) {
      std::vector<const StoreBatch *> batches;
      for (const Job &job : jobs) batches.push_back (&job.batch);
      failed_ = owner_->write (batches);
      for (int tries = 0; failed_ && failed_->code == P2P_ERROR_WOULD_BLOCK && wait (tries);
           ++tries)
        failed_ = owner_->write (batches);
      lost = failed_.has_value ();
    }
    answer (std::move (jobs), failed_, lost);
  }

  void answer (std::vector<Job> jobs, const Status &status, bool lost) {
    std::vector<Answer> answers;
    for (Job &job : jobs) answers.push_back ({std::move (job.done), status, job.bytes});
    core_loop ().post ([weak = front_, answers = std::move (answers), lost] () mutable {
      if (const auto front = weak.lock ()) front->answer (std::move (answers), lost);
    });
  }

  const SqliteOptions options_;
  const std::weak_ptr<Front> front_;
  GThread *thread_;
  Mutex mutex_;
  std::condition_variable_any changed_;
  std::deque<Job> jobs_ P2P_GUARDED_BY (mutex_);
  bool stopping_ P2P_GUARDED_BY (mutex_) = false;
  // The store's thread only.
  std::optional<gint64> opening_since_us_;
  std::unique_ptr<SqliteOwner> owner_;
  Status failed_;
};

SqliteStore::SqliteStore (SqliteOptions options)
    : front_ (std::make_shared<Front> ()),
      writer_ (std::make_unique<Writer> (std::move (options), front_)) {}

SqliteStore::~SqliteStore () {
  front_->alive = false;
  front_->observer = nullptr;
}

void
SqliteStore::set_observer (Observer *observer) {
  front_->observer = observer;
}

void
SqliteStore::open (const std::string &owner, OpenDone done) {
  Job job;
  job.kind = Job::Kind::open;
  job.owner = owner;
  job.opened = std::move (done);
  writer_->push (std::move (job));
}

void
SqliteStore::commit (StoreBatch batch, Done done) {
  Job job;
  job.bytes = batch_bytes (batch);
  job.batch = std::move (batch);
  job.done = std::move (done);
  front_->waiting_bytes += job.bytes;
  writer_->push (std::move (job));
}

std::uint64_t
SqliteStore::waiting_bytes () const {
  return front_->waiting_bytes;
}

void
SqliteStore::close (Done done) {
  Job job;
  job.kind = Job::Kind::close;
  job.done = std::move (done);
  writer_->push (std::move (job));
}

}  // namespace p2p
