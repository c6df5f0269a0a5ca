#include "ice_fixture.hpp"

#include <condition_variable>
#include <mutex>

namespace p2p::test {

bool
wait_until (const std::function<bool ()> &condition, TimeUs limit) {
  std::mutex mutex;
  std::condition_variable finished;
  bool done = false, held = false;
  std::unique_ptr<Scheduler::Timer> timer;
  const TimeUs end = g_get_monotonic_time () + limit;
  on_core ([&] {
    timer = core_loop ().scheduler ().make_timer ([&] {
      const bool now_held = condition ();
      const TimeUs now = core_loop ().scheduler ().now ();
      if (!now_held && now < end) {
        timer->arm (now + 2 * kMillisecond);
        return;
      }
      timer.reset ();
      const std::lock_guard lock (mutex);
      held = now_held;
      done = true;
      finished.notify_one ();
    });
    timer->arm (0);
  });
  std::unique_lock lock (mutex);
  finished.wait (lock, [&] { return done; });
  return held;
}

Status
IceEnd::open (const IceConfig &config) {
  inside_a_call = true;
  auto made = IceTransport::create (config, *this);
  inside_a_call = false;
  if (!made) return made.error ();
  transport = std::move (*made);
  transport->path ().set_receiver (this);
  return {};
}

void
IceEnd::ice_candidate (const std::string &sdp) {
  called_back_inside = called_back_inside || inside_a_call;
  EXPECT_TRUE (core_loop ().is_current ());
  candidates.push_back (sdp);
  if (!far || (let_through && !let_through (sdp))) return;
  core_loop ().post ([far_end = far, sdp] {
    if (!far_end->transport) return;
    far_end->inside_a_call = true;
    const Status status = far_end->transport->add_remote_candidate (sdp);
    far_end->inside_a_call = false;
    EXPECT_FALSE (status) << status->message << ": " << sdp;
  });
}

void
IceEnd::ice_gathering_done () {
  called_back_inside = called_back_inside || inside_a_call;
  ++gathering_done;
  if (!far) return;
  core_loop ().post ([far_end = far] {
    if (far_end->transport) far_end->transport->remote_gathering_done ();
  });
}

void
IceEnd::path_received (Path &, ByteView datagram) {
  EXPECT_TRUE (core_loop ().is_current ());
  received.push_back (datagram.to_string ());
  longest_batch = std::max (longest_batch, ++received_since_batch);
}

void
IceEnd::path_batch_done (Path &) {
  ++batches;
  received_since_batch = 0;
}

void
IceEnd::path_writable (Path &) {
  ++writable;
}

void
IceEnd::path_changed (Path &) {
  ++changes;
}

void
IceEnd::path_failed (Path &, const Error &error) {
  failure = error.message;
  ++failures;
}

IceCouple::IceCouple () {
  a.far = &b;
  b.far = &a;
}

bool
IceCouple::connect (const IceConfig &config_a, const IceConfig &config_b) {
  Status error;
  on_core ([&] {
    error = a.open (config_a);
    if (!error) error = b.open (config_b);
    if (!error) error = a.transport->set_remote_credentials (b.transport->local_credentials ());
    if (!error) error = b.transport->set_remote_credentials (a.transport->local_credentials ());
  });
  EXPECT_FALSE (error) << error->message;
  return !error;
}

bool
IceCouple::exchange (const std::string &text) {
  const auto arrived = [&] (const IceEnd &end) {
    return std::find (end.received.begin (), end.received.end (), text) != end.received.end ();
  };
  return wait_until ([&] {
    if (!arrived (a)) b.send (text);
    if (!arrived (b)) a.send (text);
    return arrived (a) && arrived (b);
  });
}

IceConfig
loopback_config (bool controlling) {
  IceConfig config;
  config.controlling = controlling;
  config.local_addresses = {"127.0.0.1"};
  return config;
}

namespace {

std::size_t
count_entries (const char *directory) {
  std::size_t count = 0;
  GDir *dir = g_dir_open (directory, 0, nullptr);
  while (dir && g_dir_read_name (dir)) ++count;
  if (dir) g_dir_close (dir);
  return count;
}

}  // namespace

std::size_t
count_descriptors () {
  return count_entries ("/proc/self/fd");
}

std::size_t
count_threads () {
  return count_entries ("/proc/self/task");
}

}  // namespace p2p::test
