#include "base/fd_watch.hpp"

#include <glib-unix.h>
#include <sys/epoll.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <map>
#include <mutex>
#include <unordered_map>
#include <vector>

#include "base/ptr.hpp"

namespace p2p {

namespace {

constexpr std::size_t kEventsPerTurn = 64;  // then the loop's other sources have theirs

std::uint32_t
to_epoll (unsigned events) {
  std::uint32_t out = 0;
  if (events & G_IO_IN) out |= EPOLLIN;
  if (events & G_IO_OUT) out |= EPOLLOUT;
  if (events & (G_IO_ERR | G_IO_HUP)) out |= EPOLLERR | EPOLLHUP;  // there in any case
  return out;
}

unsigned
from_epoll (std::uint32_t events) {
  unsigned out = 0;
  if (events & EPOLLIN) out |= G_IO_IN;
  if (events & EPOLLOUT) out |= G_IO_OUT;
  if (events & (EPOLLERR | EPOLLHUP)) out |= G_IO_IN | G_IO_OUT | G_IO_ERR | G_IO_HUP;
  return out;
}

}  // namespace

// The epoll descriptor of one context. Lives as long as a watch does.
class EpollSet : public std::enable_shared_from_this<EpollSet> {
 public:
  static std::shared_ptr<EpollSet> of (GMainContext *context);
  explicit EpollSet (GMainContext *context);
  ~EpollSet ();
  EpollSet (const EpollSet &) = delete;
  EpollSet &operator= (const EpollSet &) = delete;

  void add (FdWatch &watch);
  void remove (FdWatch &watch);
  void update (int fd);

 private:
  void on_ready ();

  using Sets = std::map<GMainContext *, std::weak_ptr<EpollSet>>;
  static std::mutex &sets_mutex ();
  static Sets &sets ();

  const Ref<GMainContext> context_;
  const int epoll_fd_;
  UniqueSource source_;
  std::unordered_map<int, std::vector<FdWatch *>> watches_;
  std::vector<FdWatch *> *calling_ = nullptr;  // those that on_ready() is about to call
};

std::mutex &
EpollSet::sets_mutex () {
  static std::mutex mutex;
  return mutex;
}

EpollSet::Sets &
EpollSet::sets () {
  // Never destroyed: the library's threads run on while the process exits.
  static auto *const all = new Sets;
  return *all;
}

std::shared_ptr<EpollSet>
EpollSet::of (GMainContext *context) {
  if (!context) context = g_main_context_default ();
  const std::lock_guard lock (sets_mutex ());
  std::weak_ptr<EpollSet> &known = sets ()[context];
  auto set = known.lock ();
  if (!set) known = set = std::make_shared<EpollSet> (context);
  return set;
}

EpollSet::EpollSet (GMainContext *context)
    : context_ (Ref<GMainContext>::share (context)),
      epoll_fd_ (epoll_create1 (EPOLL_CLOEXEC)),
      source_ (g_unix_fd_source_new (epoll_fd_, G_IO_IN)) {
  const GUnixFDSourceFunc ready = [] (gint, GIOCondition, gpointer data) -> gboolean {
    static_cast<EpollSet *> (data)->on_ready ();
    return G_SOURCE_CONTINUE;
  };
  g_source_set_callback (source_.get (), G_SOURCE_FUNC (ready), this, nullptr);
  g_source_set_static_name (source_.get (), "p2p descriptors");
  g_source_set_can_recurse (source_.get (), TRUE);  // saves two wake-ups of the loop per dispatch
  g_source_attach (source_.get (), context);
}

EpollSet::~EpollSet () {
  source_.reset ();
  close (epoll_fd_);
  const std::lock_guard lock (sets_mutex ());
  const auto known = sets ().find (context_.get ());
  if (known != sets ().end () && known->second.expired ()) sets ().erase (known);
}

void
EpollSet::add (FdWatch &watch) {
  watches_[watch.fd_].push_back (&watch);
  update (watch.fd_);
}

void
EpollSet::remove (FdWatch &watch) {
  if (calling_)
    std::replace (calling_->begin (), calling_->end (), &watch, static_cast<FdWatch *> (nullptr));
  const auto found = watches_.find (watch.fd_);
  auto &list = found->second;
  list.erase (std::remove (list.begin (), list.end (), &watch), list.end ());
  update (watch.fd_);
  if (list.empty ()) watches_.erase (found);
}

void
EpollSet::update (int fd) {
  epoll_event event{};
  event.data.fd = fd;
  for (const FdWatch *watch : watches_[fd]) event.events |= to_epoll (watch->events_);
  // A number that was closed meanwhile is no longer in the set; one that nobody waits for must not
  // be, because hang-ups are always reported.
  if (event.events == 0)
    (void)epoll_ctl (epoll_fd_, EPOLL_CTL_DEL, fd, &event);
  else if (epoll_ctl (epoll_fd_, EPOLL_CTL_MOD, fd, &event) < 0 && errno == ENOENT &&
           epoll_ctl (epoll_fd_, EPOLL_CTL_ADD, fd, &event) < 0)
    g_warning ("descriptor %d cannot be watched: %s", fd, g_strerror (errno));
}

void
EpollSet::on_ready () {
  std::array<epoll_event, kEventsPerTurn> events;
  const int count = epoll_wait (epoll_fd_, events.data (), kEventsPerTurn, 0);
  // The last watch may go in one of the calls.
  const auto keep = shared_from_this ();
  for (int i = 0; i < count; ++i) {
    const epoll_event &event = events[static_cast<std::size_t> (i)];
    const auto found = watches_.find (event.data.fd);
    if (found == watches_.end ()) continue;
    std::vector<FdWatch *> calling = found->second;
    std::vector<FdWatch *> *const outer = std::exchange (calling_, &calling);
    for (std::size_t at = 0; at < calling.size (); ++at) {
      FdWatch *const watch = calling[at];
      const unsigned there = watch ? from_epoll (event.events) & watch->events_ : 0;
      if (there == 0) continue;
      const auto ready = watch->ready_;
      (*ready) (static_cast<GIOCondition> (there));
    }
    calling_ = outer;
  }
}

FdWatch::FdWatch (GMainContext *context, int fd, GIOCondition events,
                  std::function<void (GIOCondition)> ready)
    : set_ (EpollSet::of (context)),
      fd_ (fd),
      events_ (events),
      ready_ (std::make_shared<std::function<void (GIOCondition)>> (std::move (ready))) {
  set_->add (*this);
}

FdWatch::~FdWatch () {
  set_->remove (*this);
}

void
FdWatch::set_events (GIOCondition events) {
  if (events == events_) return;
  events_ = events;
  set_->update (fd_);
}

void
FdWatch::renew () {
  set_->update (fd_);
}

}  // namespace p2p
