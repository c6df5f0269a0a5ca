// Owning pointers for what GLib counts (Ref) and for what it frees (the Unique… aliases).
#pragma once
#include <gio/gio.h>

#include <memory>
#include <utility>

namespace p2p {

template <class T>
struct RefTraits {
  static T *ref (T *p) { return static_cast<T *> (g_object_ref (p)); }
  static void unref (T *p) { g_object_unref (p); }
};
template <>
struct RefTraits<GBytes> {
  static GBytes *ref (GBytes *p) { return g_bytes_ref (p); }
  static void unref (GBytes *p) { g_bytes_unref (p); }
};
template <>
struct RefTraits<GMainContext> {
  static GMainContext *ref (GMainContext *p) { return g_main_context_ref (p); }
  static void unref (GMainContext *p) { g_main_context_unref (p); }
};
template <>
struct RefTraits<GMainLoop> {
  static GMainLoop *ref (GMainLoop *p) { return g_main_loop_ref (p); }
  static void unref (GMainLoop *p) { g_main_loop_unref (p); }
};
template <>
struct RefTraits<GVariant> {
  static GVariant *ref (GVariant *p) { return g_variant_ref (p); }
  static void unref (GVariant *p) { g_variant_unref (p); }
};

// One reference. `adopt` takes over a reference, `share` adds one.
template <class T>
class Ref {
 public:
  Ref () = default;
  static Ref adopt (T *p) {
    Ref r;
    r.p_ = p;
    return r;
  }
  static Ref share (T *p) { return adopt (p ? RefTraits<T>::ref (p) : nullptr); }
  Ref (const Ref &other) : p_ (other.p_ ? RefTraits<T>::ref (other.p_) : nullptr) {}
  Ref (Ref &&other) noexcept : p_ (std::exchange (other.p_, nullptr)) {}
  Ref &operator= (Ref other) noexcept {
    std::swap (p_, other.p_);
    return *this;
  }
  ~Ref () {
    if (p_) RefTraits<T>::unref (p_);
  }

  T *get () const { return p_; }
  T *operator->() const { return p_; }
  explicit operator bool () const { return p_ != nullptr; }
  // Hands the reference out: (transfer full).
  T *leak () { return std::exchange (p_, nullptr); }
  void reset () { *this = Ref (); }

 private:
  T *p_ = nullptr;
};

// A GSource that is destroyed, not only unreferenced, when its owner goes.
struct SourceDeleter {
  void operator() (GSource *source) const {
    g_source_destroy (source);
    g_source_unref (source);
  }
};
using UniqueSource = std::unique_ptr<GSource, SourceDeleter>;

struct GFree {
  void operator() (void *p) const { g_free (p); }
};
using UniqueChars = std::unique_ptr<char, GFree>;

struct ErrorFree {
  void operator() (GError *error) const { g_error_free (error); }
};
using UniqueError = std::unique_ptr<GError, ErrorFree>;

}  // namespace p2p
