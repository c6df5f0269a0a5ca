// Owning pointers to what GLib counts or frees.
#pragma once
#include <gio/gio.h>

#include <memory>

namespace lab {

struct Free {
  void operator() (GError *error) const { g_error_free (error); }
  void operator() (GBytes *bytes) const { g_bytes_unref (bytes); }
  void operator() (GVariant *variant) const { g_variant_unref (variant); }
  void operator() (char *text) const { g_free (text); }
};
struct Unref {
  void operator() (gpointer object) const { g_object_unref (object); }
};

using UniqueError = std::unique_ptr<GError, Free>;
using UniqueBytes = std::unique_ptr<GBytes, Free>;
using UniqueVariant = std::unique_ptr<GVariant, Free>;
using UniqueChars = std::unique_ptr<char, Free>;
// Holds the reference that it is given.
template <typename T>
using Owned = std::unique_ptr<T, Unref>;

}  // namespace lab
