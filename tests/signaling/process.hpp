// A child process whose output lines a test waits for, always with a deadline.
#pragma once
#include <gio/gio.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <functional>
#include <string>
#include <vector>

namespace p2p {

constexpr gint64 kDeadlineUs = 20 * G_USEC_PER_SEC;

class Process {
 public:
  explicit Process (std::vector<std::string> command) {
    std::vector<char *> argv;
    for (std::string &word : command) argv.push_back (word.data ());
    argv.push_back (nullptr);
    GError *error = nullptr;
    const bool started =
        g_spawn_async_with_pipes (nullptr, argv.data (), nullptr, G_SPAWN_DO_NOT_REAP_CHILD,
                                  nullptr, nullptr, &pid_, &in_, &out_, nullptr, &error);
    EXPECT_TRUE (started) << (error ? error->message : "");
    g_clear_error (&error);
  }
  ~Process () {
    if (pid_ > 0) end (SIGKILL);
    if (in_ >= 0) close (in_);
    if (out_ >= 0) close (out_);
  }
  Process (const Process &) = delete;
  Process &operator= (const Process &) = delete;

  pid_t pid () const { return pid_; }
  // The wait status, after a signal (0: after the end of its input).
  int end (int signal) {
    if (signal != 0) kill (pid_, signal);
    if (in_ >= 0) close (std::exchange (in_, -1));
    int status = -1;
    waitpid (pid_, &status, 0);
    pid_ = -1;
    return status;
  }
  void say (const std::string &line) {
    const std::string text = line + "\n";
    EXPECT_EQ (write (in_, text.data (), text.size ()), static_cast<ssize_t> (text.size ()));
  }
  // The next line of output; empty at the end of it or when the deadline has passed.
  std::string line () {
    const gint64 until = g_get_monotonic_time () + kDeadlineUs;
    std::size_t end;
    while ((end = input_.find ('\n')) == std::string::npos) {
      pollfd readable = {out_, POLLIN, 0};
      const gint64 left_ms = (until - g_get_monotonic_time ()) / 1000;
      char chunk[4096];
      ssize_t count = 0;
      if (left_ms > 0 && poll (&readable, 1, static_cast<int> (left_ms)) == 1)
        count = read (out_, chunk, sizeof chunk);
      if (count <= 0) return {};
      input_.append (chunk, static_cast<std::size_t> (count));
    }
    const std::string line = input_.substr (0, end);
    input_.erase (0, end + 1);
    return line;
  }
  // Reads lines until one starts with `start`, and answers it; fails the test otherwise.
  std::string expect (const std::string &start) {
    std::string seen;
    for (;;) {
      const std::string next = line ();
      if (next.empty ()) {
        ADD_FAILURE () << "\"" << start << "\" did not come; before it: " << seen;
        return {};
      }
      if (next.rfind (start, 0) == 0) return next;
      seen += next + "\n";
    }
  }

 private:
  GPid pid_ = -1;
  int in_ = -1, out_ = -1;
  std::string input_;
};

class TemporaryDirectory {
 public:
  TemporaryDirectory () {
    char *made = g_dir_make_tmp ("gst-p2p-test-XXXXXX", nullptr);
    path_ = made;
    g_free (made);
  }
  ~TemporaryDirectory () {
    GDir *dir = g_dir_open (path_.c_str (), 0, nullptr);
    while (const char *name = g_dir_read_name (dir)) unlink ((path_ + "/" + name).c_str ());
    g_dir_close (dir);
    rmdir (path_.c_str ());
  }
  std::string operator/ (const std::string &name) const { return path_ + "/" + name; }

 private:
  std::string path_;
};

}  // namespace p2p
