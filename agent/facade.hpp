// What every class of the C API needs: errors for callers, and the way from the core's thread into
// the main context of an application.
#pragma once
#include <gio/gio.h>

#include <functional>
#include <memory>
#include <string>

#include "base/error.hpp"
#include "base/loop_thread.hpp"
#include "base/ptr.hpp"

namespace p2p {

// A weak reference to a GObject that any thread may hold and copy.
template <class T>
class WeakObject {
 public:
  explicit WeakObject (T *object) : box_ (std::make_shared<Box> (object)) {}
  Ref<T> lock () const { return Ref<T>::adopt (static_cast<T *> (g_weak_ref_get (&box_->ref))); }

 private:
  struct Box {
    explicit Box (T *object) { g_weak_ref_init (&ref, object); }
    ~Box () { g_weak_ref_clear (&ref); }
    Box (const Box &) = delete;
    Box &operator= (const Box &) = delete;
    GWeakRef ref;
  };
  std::shared_ptr<Box> box_;
};

// post(), with the context as the thread's default while `work` runs, so that what an application
// starts in a handler comes back to the same context.
inline void
post_event (GMainContext *context, std::function<void ()> work) {
  post (context, [context, work = std::move (work)] {
    g_main_context_push_thread_default (context);
    work ();
    g_main_context_pop_thread_default (context);
  });
}

inline Ref<GMainContext>
thread_default_context () {
  return Ref<GMainContext>::adopt (g_main_context_ref_thread_default ());
}

inline void
throw_error (const Error &error, GError **out) {
  g_set_error_literal (out, P2P_ERROR, error.code, error.message.c_str ());
}

inline std::string
from_nullable (const char *text) {
  return text ? text : "";
}

// What an application's object answered; its own domains become `otherwise`.
inline Error
from_gerror (const GError *error, P2pError otherwise) {
  const bool ours = error->domain == P2P_ERROR && error->code >= P2P_ERROR_FAILED &&
                    error->code <= P2P_ERROR_FENCED;
  return {ours ? static_cast<P2pError> (error->code) : otherwise, from_nullable (error->message)};
}

constexpr char kCancelled[] = "The operation was cancelled.";

// The answer of a blocking call to its C caller.
inline gboolean
answer (const Status &status, bool cancelled, GError **error) {
  if (cancelled) {
    g_set_error_literal (error, G_IO_ERROR, G_IO_ERROR_CANCELLED, kCancelled);
    return FALSE;
  }
  if (status) throw_error (*status, error);
  return !status;
}

inline const char *
or_null (const std::string &text) {
  return text.empty () ? nullptr : text.c_str ();
}

constexpr auto kReadOnly = static_cast<GParamFlags> (G_PARAM_READABLE | G_PARAM_STATIC_STRINGS);
constexpr auto kReadWrite =
    static_cast<GParamFlags> (G_PARAM_READWRITE | G_PARAM_STATIC_STRINGS | G_PARAM_EXPLICIT_NOTIFY);
constexpr auto kConstructOnly =
    static_cast<GParamFlags> (G_PARAM_READWRITE | G_PARAM_CONSTRUCT_ONLY | G_PARAM_STATIC_STRINGS);

}  // namespace p2p
