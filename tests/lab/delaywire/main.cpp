// delaywire: a network cable in user space between two namespaces, for kernels without sch_netem.
// One thread, epoll and a timer.
#include <fcntl.h>
#include <sys/epoll.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <string>

#include "control.hpp"
#include "device.hpp"
#include "direction.hpp"

using namespace delaywire;

namespace {

constexpr char kUsage[] =
    "Usage: delaywire --a [NS:]DEV --b [NS:]DEV [OPTION...]\n"
    "       delaywire --send PATH COMMAND\n"
    "\n"
    "  --delay MS     --jitter MS    --loss PERCENT   --dup PERCENT   --corrupt PERCENT\n"
    "  --rate MBIT    --queue-ms MS  --reorder        --seed N        --mtu BYTES\n"
    "  --control PATH  takes the same words as commands while the wire runs, and `down`, `up`,\n"
    "                  `stats`; with -ab or -ba appended they mean one direction\n"
    "  --packet        use existing devices (an end of a veth pair each) instead of new TAP ones\n";

// The largest frame that a packet socket hands over: a segmentation offload of 64 KiB.
constexpr size_t kMaxFrameBytes = 70000;
// Frames taken from one side before the other has its turn.
constexpr int kBurstFrames = 64;

volatile std::sig_atomic_t stop_requested;

struct Options {
  std::string a, b, control;
  int mtu_bytes = 1500;
  bool packet = false;
  uint64_t seed = std::random_device{}();
  std::string commands;  // one per line
};

[[noreturn]] void
bad_usage (const std::string &option) {
  std::fprintf (stderr, "delaywire: bad option %s\n%s", option.c_str (), kUsage);
  std::exit (2);
}

Options
parse (int argc, char **argv) {
  Options options;
  for (int i = 1; i < argc; i++) {
    const std::string name = argv[i];
    if (name == "--reorder") {
      options.commands += "reorder 1\n";
      continue;
    }
    if (name == "--packet") {
      options.packet = true;
      continue;
    }
    if (i + 1 >= argc || name.compare (0, 2, "--") != 0) bad_usage (name);
    const std::string value = argv[++i];
    if (name == "--a")
      options.a = value;
    else if (name == "--b")
      options.b = value;
    else if (name == "--control")
      options.control = value;
    else if (name == "--seed")
      options.seed = std::strtoull (value.c_str (), nullptr, 10);
    else if (name == "--mtu")
      options.mtu_bytes = static_cast<int> (std::strtol (value.c_str (), nullptr, 10));
    else
      options.commands += name.substr (2) + " " + value + "\n";
  }
  if (options.a.empty () || options.b.empty ()) bad_usage ("(--a and --b are needed)");
  return options;
}

void
watch (int epoll, int fd) {
  epoll_event event{};
  event.events = EPOLLIN;
  event.data.fd = fd;
  if (epoll_ctl (epoll, EPOLL_CTL_ADD, fd, &event) != 0) die ("epoll_ctl");
}

void
arm (int timer, int64_t when_ns) {
  itimerspec at{};
  at.it_value.tv_sec = when_ns / 1000000000LL;
  at.it_value.tv_nsec = when_ns % 1000000000LL;
  if (timerfd_settime (timer, TFD_TIMER_ABSTIME, &at, nullptr) != 0) die ("timerfd_settime");
}

void
take_burst (Direction &direction) {
  static uint8_t frame[kMaxFrameBytes];
  for (int i = 0; i < kBurstFrames; i++) {
    const ssize_t size = read (direction.in (), frame, sizeof frame);
    if (size <= 0) return;
    direction.accept (frame, static_cast<size_t> (size));
  }
}

void
carry (Direction &ab, Direction &ba, int control) {
  const int epoll = epoll_create1 (EPOLL_CLOEXEC);
  const int timer = timerfd_create (CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC);
  if (epoll < 0 || timer < 0) die ("epoll");
  watch (epoll, ab.in ());
  watch (epoll, ba.in ());
  watch (epoll, timer);
  if (control >= 0) watch (epoll, control);

  int64_t armed_ns = INT64_MAX;
  while (!stop_requested) {
    epoll_event events[4];
    const int count = epoll_wait (epoll, events, 4, -1);
    for (int i = 0; i < count; i++) {
      const int fd = events[i].data.fd;
      uint64_t expirations = 0;
      if (fd == timer) {
        if (read (timer, &expirations, sizeof expirations) > 0) armed_ns = INT64_MAX;
      } else if (fd == control) {
        serve_control (control, ab, ba);
      } else {
        take_burst (fd == ab.in () ? ab : ba);
      }
    }
    ab.release_due ();
    ba.release_due ();
    const int64_t next_ns = std::min (ab.next_ns (), ba.next_ns ());
    if (next_ns != INT64_MAX && next_ns != armed_ns) {
      arm (timer, next_ns);
      armed_ns = next_ns;
    }
  }
}

}  // namespace

int
main (int argc, char **argv) {
  if (argc == 4 && std::string (argv[1]) == "--send") return send_command (argv[2], argv[3]);
  const Options options = parse (argc, argv);
  const size_t header_bytes = kEthernetHeaderBytes + (options.packet ? kVirtioHeaderBytes : 0);
  std::mt19937_64 random (options.seed);
  Direction ab (random, header_bytes);
  Direction ba (random, header_bytes);
  size_t begin = 0;
  for (size_t end; (end = options.commands.find ('\n', begin)) != std::string::npos;
       begin = end + 1) {
    const std::string command = options.commands.substr (begin, end - begin);
    if (run_command (ab, ba, command) != "ok\n") bad_usage ("--" + command);
  }

  const auto open_end = [&options] (const std::string &spec) {
    return options.packet ? open_packet (spec) : open_tap (spec, options.mtu_bytes);
  };
  const int a = open_end (options.a);
  const int b = open_end (options.b);
  ab.open (a, b);
  ba.open (b, a);
  const int control = options.control.empty () ? -1 : open_control (options.control);
  std::signal (SIGTERM, [] (int) { stop_requested = 1; });
  std::signal (SIGINT, [] (int) { stop_requested = 1; });
  carry (ab, ba, control);
  if (!options.control.empty ()) unlink (options.control.c_str ());
  return 0;
}
