// Child processes of tests, always with a time limit of their own.
#pragma once
#include <gio/gio.h>
#include <signal.h>

#include <cstring>
#include <random>
#include <string>

#include "../support/gst-pipeline.hpp"

namespace p2p::test {

inline std::string
path_of (const std::string &name) {
  return gst_environment->directory () + "/" + name;
}

// Returns its content.
inline std::string
make_file (const std::string &name, std::size_t size, unsigned seed = 7) {
  std::string bytes (size, '\0');
  std::mt19937 random (seed);
  for (std::size_t i = 0; i + 4 <= size; i += 4) {
    const std::uint32_t word = random ();
    std::memcpy (&bytes[i], &word, 4);
  }
  g_file_set_contents (path_of (name).c_str (), bytes.data (), static_cast<gssize> (size), nullptr);
  return bytes;
}

inline std::string
read_file (const std::string &name) {
  char *data = nullptr;
  gsize size = 0;
  if (!g_file_get_contents (path_of (name).c_str (), &data, &size, nullptr)) return "";
  const std::string bytes (data, size);
  g_free (data);
  return bytes;
}

// It is not instrumented: where the plugin is, the sanitizer's runtime must be there before.
inline std::string
launch_command () {
  const char *runtime = g_getenv ("P2P_SANITIZER_RUNTIME");
  return (runtime ? std::string ("env LD_PRELOAD=") + runtime + " " : "") + "gst-launch-1.0 ";
}
inline const std::string kLaunch = launch_command ();

class Process {
 public:
  // A shell's command line, as one process: the command itself gets the signals. After 60 s it is
  // killed, which is no exit status.
  explicit Process (const std::string &command) {
    GError *error = nullptr;
    process_ = g_subprocess_new (static_cast<GSubprocessFlags> (G_SUBPROCESS_FLAGS_STDOUT_PIPE |
                                                                G_SUBPROCESS_FLAGS_STDIN_PIPE),
                                 &error, "timeout", "--foreground", "60", "sh", "-c",
                                 ("exec " + command).c_str (), nullptr);
    EXPECT_NE (process_, nullptr) << (error ? error->message : "");
    g_clear_error (&error);
  }
  ~Process () {
    if (process_) {
      g_subprocess_send_signal (process_, SIGTERM);
      wait ();
    }
    g_clear_object (&lines_);
  }
  Process (const Process &) = delete;
  Process &operator= (const Process &) = delete;

  // The exit status; -1 after a signal.
  int wait () {
    g_subprocess_wait (process_, nullptr, nullptr);
    const int status =
        g_subprocess_get_if_exited (process_) ? g_subprocess_get_exit_status (process_) : -1;
    g_clear_object (&process_);
    return status;
  }
  void signal (int number) { g_subprocess_send_signal (process_, number); }
  // The next line of its standard output; empty at the end.
  std::string line () {
    if (!lines_) lines_ = g_data_input_stream_new (g_subprocess_get_stdout_pipe (process_));
    char *text = g_data_input_stream_read_line (lines_, nullptr, nullptr, nullptr);
    const std::string line = text ? text : "";
    g_free (text);
    return line;
  }
  // Lines until one has this in it.
  bool says (const std::string &what) {
    for (std::string next = line (); !next.empty (); next = line ())
      if (next.find (what) != std::string::npos) return true;
    return false;
  }

 private:
  GSubprocess *process_ = nullptr;
  GDataInputStream *lines_ = nullptr;
};

}  // namespace p2p::test
