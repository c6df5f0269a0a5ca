// What p2psrc and p2psink have in common: properties, URI, life cycle of the link, and what they
// say on the bus. Each element owns one.
#pragma once
#include <gst/base/base.h>

#include <atomic>
#include <mutex>

#include "link.hpp"

namespace p2p {

class ElementCore {
 public:
  ElementCore (GstElement *element, bool sends);
  ElementCore (const ElementCore &) = delete;
  ElementCore &operator= (const ElementCore &) = delete;

  // The class's share: properties, the action signal, and the documentation of both.
  static void install (GObjectClass *klass, bool sends);
  void set_property (guint id, const GValue *value, GParamSpec *pspec);
  void get_property (guint id, GValue *value, GParamSpec *pspec);
  bool add_turn_server (const char *uri);

  // URI handler; null resets. Fails with a GST_URI_ERROR above READY, or when the URI is bad.
  bool set_uri (const char *uri, GError **error);
  std::string uri () const;  // empty: nothing is set

  ElementSettings settings () const;
  bool waits_for_connection () const;  // for each buffer, where a copy of all of them is too much
  Ref<GstCaps> caps () const;          // p2psrc: the property

  // Opens a link, and posts an error and returns false when the properties do not allow that.
  bool start (std::weak_ptr<ChannelUser> user = {});
  void stop ();
  // GstBaseSrc's and GstBaseSink's unlock() and unlock_stop().
  void interrupt ();
  void resume ();
  std::shared_ptr<Link> link () const;  // null unless started
  GCancellable *cancellable () const { return cancellable_.get (); }

  void count (std::uint64_t bytes);
  void count_dropped () { dropped_++; }
  GstStructure *stats () const;  // (transfer full)

 private:
  bool set_liveness (guint id, const GValue *value);  // false: it is another property
  P2pUri to_uri () const;

  GstElement *const element_;
  const bool sends_;
  const Ref<GCancellable> cancellable_;
  std::atomic<std::uint64_t> buffers_{0}, bytes_{0}, dropped_{0};

  mutable std::mutex mutex_;
  // Guarded by mutex_.
  ElementSettings settings_;
  Ref<GstCaps> caps_;
  std::shared_ptr<Link> link_;
  Status uri_error_;  // a bad value of the property, told when the element starts
};

// GST_ELEMENT_ERROR, with GStreamer's code for it.
void post_error (GstElement *element, const Error &error, bool sends, bool connected);
void post_warning (GstElement *element, const Error &warning);
// The fields of an a{sv} that have a GType.
void add_fields (GstStructure *structure, GVariant *dictionary, const char *prefix = "");
std::shared_ptr<LinkObserver> make_bus_reporter (GstElement *element, bool sends);

}  // namespace p2p
