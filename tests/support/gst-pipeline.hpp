// Real pipelines for tests: made from a description, watched through their bus, stopped at the end.
#pragma once
#include <glib/gstdio.h>
#include <gst/gst.h>
#include <gtest/gtest.h>

#include <initializer_list>
#include <string>

namespace p2p::test {

constexpr GstClockTime kPatience = 20 * GST_SECOND;

// Own directories for sockets and identities, so that nothing of the user's is touched or met. Must
// come before anything asks GLib for them.
class GstEnvironment : public testing::Environment {
 public:
  GstEnvironment () {
    char *directory = g_dir_make_tmp ("p2p-gst-XXXXXX", nullptr);
    directory_ = directory;
    g_free (directory);
    g_setenv ("XDG_RUNTIME_DIR", directory_.c_str (), TRUE);
    g_setenv ("XDG_DATA_HOME", directory_.c_str (), TRUE);
    g_setenv ("GST_REGISTRY", (directory_ + "/registry.bin").c_str (), TRUE);
    look_at_plugins ();
    gst_init (nullptr, nullptr);
  }
  ~GstEnvironment () override {
    const char *arguments[] = {"rm", "-rf", directory_.c_str (), nullptr};
    g_spawn_sync (nullptr, const_cast<char **> (arguments), nullptr, G_SPAWN_SEARCH_PATH, nullptr,
                  nullptr, nullptr, nullptr, nullptr, nullptr);
  }
  const std::string &directory () const { return directory_; }

 private:
  // GStreamer's plugin scanner is not instrumented and cannot load the plugin of a sanitizer's
  // build; every plugin there is, in this process, would bring its leaks along. So a child looks.
  static void look_at_plugins () {
    const char *runtime = g_getenv ("P2P_SANITIZER_RUNTIME");
    if (!runtime) return;
    const std::string preload = std::string ("LD_PRELOAD=") + runtime;
    const char *command[] = {"env",
                             "GST_REGISTRY_FORK=no",
                             "ASAN_OPTIONS=detect_leaks=0",
                             preload.c_str (),
                             "gst-inspect-1.0",
                             "p2p",
                             nullptr};
    g_spawn_sync (nullptr, const_cast<char **> (command), nullptr,
                  static_cast<GSpawnFlags> (G_SPAWN_SEARCH_PATH | G_SPAWN_STDOUT_TO_DEV_NULL),
                  nullptr, nullptr, nullptr, nullptr, nullptr, nullptr);
  }

  std::string directory_;
};

inline GstEnvironment *const gst_environment =
    static_cast<GstEnvironment *> (testing::AddGlobalTestEnvironment (new GstEnvironment));

struct BusMessage {
  GstMessage *message = nullptr;

  BusMessage () = default;
  explicit BusMessage (GstMessage *m) : message (m) {}
  BusMessage (BusMessage &&other) noexcept : message (std::exchange (other.message, nullptr)) {}
  BusMessage &operator= (BusMessage &&other) noexcept {
    std::swap (message, other.message);
    return *this;
  }
  ~BusMessage () {
    if (message) gst_message_unref (message);
  }
  explicit operator bool () const { return message; }
  GstMessageType type () const {
    return message ? GST_MESSAGE_TYPE (message) : GST_MESSAGE_UNKNOWN;
  }
  // Of an error or a warning.
  std::string text () const {
    return parse ([] (GError *e) { return std::string (e->message); });
  }
  bool is_error (GQuark domain, int code) const {
    return parse ([&] (GError *e) { return g_error_matches (e, domain, code) ? "yes" : ""; }) ==
           "yes";
  }

 private:
  template <class Read>
  std::string parse (Read read) const {
    GError *error = nullptr;
    if (type () == GST_MESSAGE_ERROR) gst_message_parse_error (message, &error, nullptr);
    if (type () == GST_MESSAGE_WARNING) gst_message_parse_warning (message, &error, nullptr);
    if (type () == GST_MESSAGE_INFO) gst_message_parse_info (message, &error, nullptr);
    if (!error) return "";
    const std::string result = read (error);
    g_error_free (error);
    return result;
  }
};

class Pipeline {
 public:
  explicit Pipeline (const std::string &description) {
    GError *error = nullptr;
    pipeline_ = gst_parse_launch (description.c_str (), &error);
    EXPECT_EQ (error, nullptr) << (error ? error->message : "");
    g_clear_error (&error);
    if (pipeline_ && !GST_IS_PIPELINE (pipeline_)) {
      GstElement *only = pipeline_;
      pipeline_ = gst_pipeline_new (nullptr);
      gst_bin_add (GST_BIN (pipeline_), only);
    }
    bus_ = gst_element_get_bus (pipeline_);
  }
  ~Pipeline () {
    stop ();
    gst_object_unref (bus_);
    gst_object_unref (pipeline_);
  }
  Pipeline (const Pipeline &) = delete;
  Pipeline &operator= (const Pipeline &) = delete;

  GstStateChangeReturn set (GstState state) { return gst_element_set_state (pipeline_, state); }
  void play () { EXPECT_NE (set (GST_STATE_PLAYING), GST_STATE_CHANGE_FAILURE); }
  // Waits until the last change of the state is done.
  GstStateChangeReturn settle (GstClockTime patience = kPatience) {
    return gst_element_get_state (pipeline_, nullptr, nullptr, patience);
  }
  // How long that took, in ms.
  gint64 stop () {
    const gint64 start = g_get_monotonic_time ();
    set (GST_STATE_NULL);
    return (g_get_monotonic_time () - start) / 1000;
  }
  BusMessage wait (int types, GstClockTime patience = kPatience) {
    return BusMessage (
        gst_bus_timed_pop_filtered (bus_, patience, static_cast<GstMessageType> (types)));
  }
  // EOS, or what came instead.
  std::string wait_end (GstClockTime patience = kPatience) {
    const BusMessage end = wait (GST_MESSAGE_EOS | GST_MESSAGE_ERROR, patience);
    return end.type () == GST_MESSAGE_EOS ? "eos" : end ? "error: " + end.text () : "nothing";
  }
  // Waits until the element says that it is in the state ("connected").
  bool wait_connection (const char *state, GstClockTime patience = kPatience) {
    const GstClockTime deadline = gst_util_get_timestamp () + patience;
    for (;;) {
      const GstClockTime now = gst_util_get_timestamp ();
      if (now >= deadline) return false;
      const BusMessage message = wait (GST_MESSAGE_ELEMENT | GST_MESSAGE_ERROR, deadline - now);
      if (message.type () != GST_MESSAGE_ELEMENT) return false;
      const GstStructure *fields = gst_message_get_structure (message.message);
      if (!gst_structure_has_name (fields, "p2p-connection-state")) continue;
      char *text = gst_value_serialize (gst_structure_get_value (fields, "state"));
      const bool found = g_str_equal (text, state);
      g_free (text);
      if (found) return true;
    }
  }
  GstElement *get (const char *name) {
    GstElement *element = gst_bin_get_by_name (GST_BIN (pipeline_), name);
    EXPECT_NE (element, nullptr);
    gst_object_unref (element);  // the pipeline has its own reference
    return element;
  }
  guint64 stat (const char *element, const char *field) {
    GstStructure *stats = nullptr;
    g_object_get (get (element), "stats", &stats, nullptr);
    guint64 value = 0;
    EXPECT_TRUE (gst_structure_get_uint64 (stats, field, &value)) << field;
    gst_structure_free (stats);
    return value;
  }
  GstBus *bus () { return bus_; }

 private:
  GstElement *pipeline_ = nullptr;
  GstBus *bus_ = nullptr;
};

}  // namespace p2p::test
