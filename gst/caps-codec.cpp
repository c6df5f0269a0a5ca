#include "caps-codec.hpp"

#include <atomic>
#include <cmath>
#include <cstring>
#include <string_view>

namespace p2p {
namespace {

// Deeper than any real caps; the recursion of reader and writer ends here.
constexpr int kMaxDepth = 4;
constexpr std::size_t kMaxNameBytes = 127;
constexpr std::size_t kMaxFields = 256;
// GLib never frees a name that was once in use, so peers may add only so many to this process.
constexpr int kMaxNewNames = 16384;

enum Type : std::uint8_t {
  kInt = 1,
  kUint,
  kInt64,
  kUint64,
  kBoolean,
  kFloat,
  kDouble,
  kString,
  kFraction,
  kBitmask,
  kFlagSet,
  kBuffer,
  kArray,
  kStructure,
};

bool
is_name (std::string_view name, std::string_view punctuation) {
  if (name.empty () || name.size () > kMaxNameBytes) return false;
  for (const char c : name)
    if (!g_ascii_isalnum (c) && punctuation.find (c) == std::string_view::npos) return false;
  return true;
}

bool
is_field_name (std::string_view name) {
  return is_name (name, "-_.:+/");
}

// The name of a structure, which GStreamer asserts. It warns of the media types of its version
// 0.10, and treats the name of tags in its own way.
bool
is_structure_name (std::string_view name) {
  return is_name (name, "/-_.:+") && g_ascii_isalpha (name[0]) && name != "taglist" &&
         name.substr (0, 12) != "video/x-raw-";
}

bool
is_utf8 (std::string_view text) {
  return g_utf8_validate_len (text.data (), text.size (), nullptr);
}

template <class To, class From>
To
same_bits (From from) {
  static_assert (sizeof (To) == sizeof (From), "the bits of a number of the same width");
  To to;
  std::memcpy (&to, &from, sizeof to);
  return to;
}

class Writer {
 public:
  bool structure (const GstStructure *structure, int depth) {
    const std::string_view text = gst_structure_get_name (structure);
    const int count = gst_structure_n_fields (structure);
    if (!is_structure_name (text)) return fail ("have a media type that is not valid");
    if (static_cast<std::size_t> (count) > kMaxFields) return fail ("have too many fields");
    name (text);
    number (static_cast<std::uint64_t> (count), 2);
    for (int i = 0; i < count; i++) {
      field_ = gst_structure_nth_field_name (structure, static_cast<guint> (i));
      if (!is_field_name (field_)) return fail ("have a field whose name is not valid");
      name (field_);
      if (!value (gst_structure_get_value (structure, field_), depth)) return false;
    }
    return true;
  }

  std::string take () { return std::move (bytes_); }
  const std::string &problem () const { return problem_; }

 private:
  bool fail (const std::string &what) {
    problem_ = "The caps " + what + (field_ ? std::string (": ") + field_ : "") + ".";
    return false;
  }
  void number (std::uint64_t value, int width) {
    while (width-- > 0) bytes_ += static_cast<char> (value >> (8 * width));
  }
  void name (std::string_view text) {
    number (text.size (), 1);
    bytes_ += text;
  }
  bool fixed (Type type, std::uint64_t value, int width) {
    number (type, 1);
    number (value, width);
    return true;
  }
  bool bytes (Type type, const void *data, std::size_t size) {
    if (size > G_MAXUINT32) return fail ("have a field that is too long");
    fixed (type, size, 4);
    bytes_.append (static_cast<const char *> (data), size);
    return true;
  }

  bool value (const GValue *value, int depth) {
    const GType type = G_VALUE_TYPE (value);
    if (type == G_TYPE_INT) return fixed (kInt, static_cast<guint> (g_value_get_int (value)), 4);
    if (type == G_TYPE_UINT) return fixed (kUint, g_value_get_uint (value), 4);
    if (type == G_TYPE_INT64)
      return fixed (kInt64, static_cast<guint64> (g_value_get_int64 (value)), 8);
    if (type == G_TYPE_UINT64) return fixed (kUint64, g_value_get_uint64 (value), 8);
    if (type == G_TYPE_BOOLEAN) return fixed (kBoolean, g_value_get_boolean (value) != FALSE, 1);
    if (type == G_TYPE_FLOAT)
      return fixed (kFloat, same_bits<std::uint32_t> (g_value_get_float (value)), 4);
    if (type == G_TYPE_DOUBLE)
      return fixed (kDouble, same_bits<std::uint64_t> (g_value_get_double (value)), 8);
    if (type == GST_TYPE_BITMASK) return fixed (kBitmask, gst_value_get_bitmask (value), 8);
    if (type == GST_TYPE_FRACTION) {
      fixed (kFraction, static_cast<guint> (gst_value_get_fraction_numerator (value)), 4);
      number (static_cast<guint> (gst_value_get_fraction_denominator (value)), 4);
      return true;
    }
    // Of a fixed flag set, no bit is left open.
    if (GST_VALUE_HOLDS_FLAG_SET (value) &&
        gst_value_get_flagset_mask (value) == GST_FLAG_SET_MASK_EXACT) {
      fixed (kFlagSet, gst_value_get_flagset_flags (value), 4);
      name (g_type_name (type));
      return true;
    }
    if (type == G_TYPE_STRING && g_value_get_string (value)) {
      const std::string_view text = g_value_get_string (value);
      return is_utf8 (text) ? bytes (kString, text.data (), text.size ())
                            : fail ("have a text that is not UTF-8");
    }
    if (type == GST_TYPE_BUFFER && gst_value_get_buffer (value)) return buffer (value);
    if (depth > 0 && type == GST_TYPE_ARRAY) {
      const guint count = gst_value_array_get_size (value);
      fixed (kArray, count, 4);
      for (guint i = 0; i < count; i++)
        if (!this->value (gst_value_array_get_value (value, i), depth - 1)) return false;
      return true;
    }
    if (depth > 0 && type == GST_TYPE_STRUCTURE && gst_value_get_structure (value)) {
      number (kStructure, 1);
      return structure (gst_value_get_structure (value), depth - 1);
    }
    return fail (std::string ("have a field of the type ") + g_type_name (type) +
                 ", which cannot be sent");
  }

  bool buffer (const GValue *value) {
    GstBuffer *buffer = gst_value_get_buffer (value);
    GstMapInfo map;
    if (!gst_buffer_map (buffer, &map, GST_MAP_READ))
      return fail ("have a buffer that cannot be read");
    const bool written = bytes (kBuffer, map.data, map.size);
    gst_buffer_unmap (buffer, &map);
    return written;
  }

  std::string bytes_;
  const char *field_ = nullptr;
  std::string problem_;
};

// Admits a name for good. Whatever this process knows already costs nothing.
bool
admit_name (const std::string &name) {
  static std::atomic<int> admitted{0};
  if (g_quark_try_string (name.c_str ())) return true;
  return ++admitted <= kMaxNewNames;
}

class Value {
 public:
  Value () = default;
  ~Value () {
    if (G_IS_VALUE (&value_)) g_value_unset (&value_);
  }
  Value (const Value &) = delete;
  Value &operator= (const Value &) = delete;
  GValue *get () { return &value_; }
  GValue *init (GType type) { return g_value_init (&value_, type); }

 private:
  GValue value_ = G_VALUE_INIT;
};

class Reader {
 public:
  explicit Reader (ByteView bytes) : left_ (bytes) {}

  // Null: malformed.
  UniqueStructure structure (int depth) {
    std::string text;
    if (!name (text) || !is_structure_name (text)) return fail ("the media type is not valid");
    if (!admit_name (text)) return fail ("too many different names");
    UniqueStructure structure (gst_structure_new_empty (text.c_str ()));
    std::uint64_t count = 0;
    if (!number (2, count) || count > kMaxFields) return fail ("the count of fields");
    while (count-- > 0) {
      std::string field;
      if (!name (field) || !is_field_name (field)) return fail ("the name of a field");
      if (!admit_name (field)) return fail ("too many different names");
      if (gst_structure_has_field (structure.get (), field.c_str ()))
        return fail ("the field '" + field + "' comes twice");
      Value read;
      GType leaf = G_TYPE_INVALID;
      if (!value (read, depth, leaf)) return fail ("the field '" + field + "'");
      gst_structure_set_value (structure.get (), field.c_str (), read.get ());
    }
    return structure;
  }

  bool at_end () const { return left_.empty (); }
  const std::string &problem () const { return problem_; }

 private:
  std::nullptr_t fail (const std::string &what) {
    if (problem_.empty ()) problem_ = what;  // the innermost is the most exact
    return nullptr;
  }
  bool number (std::size_t width, std::uint64_t &to) {
    if (left_.size < width) return false;
    to = 0;
    for (const std::uint8_t byte : left_.sub (0, width)) to = to << 8 | byte;
    left_ = left_.sub (width);
    return true;
  }
  bool bytes (std::size_t width, ByteView &to) {
    std::uint64_t size = 0;
    if (!number (width, size) || left_.size < size) return false;
    to = left_.sub (0, size);
    left_ = left_.sub (size);
    return true;
  }
  bool name (std::string &to) {
    ByteView text;
    if (!bytes (1, text)) return false;
    to = text.to_string ();
    return true;
  }

  // `leaf`: the type that all values of one array, and of the arrays in it, have in common.
  bool value (Value &to, int depth, GType &leaf) {
    std::uint64_t type = 0;
    if (!number (1, type)) return false;
    if (type == kArray) return depth > 0 && array (to, depth - 1, leaf);
    if (!single (static_cast<Type> (type), to, depth)) return false;
    if (leaf == G_TYPE_INVALID) leaf = G_VALUE_TYPE (to.get ());
    return leaf == G_VALUE_TYPE (to.get ());
  }

  bool array (Value &to, int depth, GType &leaf) {
    std::uint64_t count = 0;
    if (!number (4, count)) return false;
    to.init (GST_TYPE_ARRAY);
    while (count-- > 0) {  // each takes bytes: it ends with them
      Value element;
      if (!value (element, depth, leaf)) return false;
      gst_value_array_append_value (to.get (), element.get ());
    }
    return true;
  }

  bool single (Type type, Value &to, int depth) {
    std::uint64_t n = 0, m = 0;
    ByteView data;
    switch (type) {
      case kInt:
        if (!number (4, n)) return false;
        g_value_set_int (to.init (G_TYPE_INT), static_cast<gint32> (n));
        return true;
      case kUint:
        if (!number (4, n)) return false;
        g_value_set_uint (to.init (G_TYPE_UINT), static_cast<guint32> (n));
        return true;
      case kInt64:
        if (!number (8, n)) return false;
        g_value_set_int64 (to.init (G_TYPE_INT64), static_cast<gint64> (n));
        return true;
      case kUint64:
        if (!number (8, n)) return false;
        g_value_set_uint64 (to.init (G_TYPE_UINT64), n);
        return true;
      case kBoolean:
        if (!number (1, n) || n > 1) return false;
        g_value_set_boolean (to.init (G_TYPE_BOOLEAN), n == 1);
        return true;
      case kFloat: {
        if (!number (4, n)) return false;
        const auto real = same_bits<float> (static_cast<std::uint32_t> (n));
        g_value_set_float (to.init (G_TYPE_FLOAT), real);
        return std::isfinite (real);
      }
      case kDouble: {
        if (!number (8, n)) return false;
        const auto real = same_bits<double> (n);
        g_value_set_double (to.init (G_TYPE_DOUBLE), real);
        return std::isfinite (real);
      }
      case kString:
        if (!bytes (4, data) || !is_utf8 (data.to_string ())) return false;
        g_value_set_string (to.init (G_TYPE_STRING), data.to_string ().c_str ());
        return true;
      case kFraction: {
        if (!number (4, n) || !number (4, m)) return false;
        const auto numerator = static_cast<gint32> (n), denominator = static_cast<gint32> (m);
        if (numerator == G_MININT32 || denominator <= 0) return false;
        gst_value_set_fraction (to.init (GST_TYPE_FRACTION), numerator, denominator);
        return true;
      }
      case kBitmask:
        if (!number (8, n)) return false;
        gst_value_set_bitmask (to.init (GST_TYPE_BITMASK), n);
        return true;
      case kFlagSet: {
        std::string type_name;
        if (!number (4, n) || !name (type_name) || !is_field_name (type_name)) return false;
        // A type that nothing here has asked for yet is not known; the flags say the same without.
        const GType known = g_type_from_name (type_name.c_str ());
        gst_value_set_flagset (
            to.init (g_type_is_a (known, GST_TYPE_FLAG_SET) ? known : GST_TYPE_FLAG_SET),
            static_cast<guint> (n), GST_FLAG_SET_MASK_EXACT);
        return true;
      }
      case kBuffer: {
        if (!bytes (4, data)) return false;
        // GstMemory has no use for a null pointer.
        GstBuffer *buffer =
            data.empty () ? gst_buffer_new () : gst_buffer_new_memdup (data.data, data.size);
        g_value_take_boxed (to.init (GST_TYPE_BUFFER), buffer);
        return true;
      }
      case kStructure: {
        if (depth == 0) return false;
        const UniqueStructure inner = structure (depth - 1);
        if (!inner) return false;
        gst_value_set_structure (to.init (GST_TYPE_STRUCTURE), inner.get ());
        return true;
      }
      case kArray:
        break;
    }
    return false;
  }

  ByteView left_;
  std::string problem_;
};

}  // namespace

Result<std::string>
encode_caps (const GstCaps *caps) {
  if (gst_caps_get_size (caps) != 1)
    return Error{P2P_ERROR_INVALID_ARGUMENT, "The caps are not of exactly one media type."};
  Writer writer;
  if (!writer.structure (gst_caps_get_structure (caps, 0), kMaxDepth))
    return Error{P2P_ERROR_INVALID_ARGUMENT, writer.problem ()};
  return writer.take ();
}

Result<Ref<GstCaps>>
decode_caps (ByteView bytes) {
  Reader reader (bytes);
  UniqueStructure structure = reader.structure (kMaxDepth);
  if (!structure || !reader.at_end ())
    return Error{P2P_ERROR_PROTOCOL,
                 "The peer sent malformed caps: " +
                     (structure ? std::string ("bytes after their end") : reader.problem ()) + "."};
  auto caps = Ref<GstCaps>::adopt (gst_caps_new_full (structure.release (), nullptr));
  // Every value above is fixed; but a caps event asserts it.
  if (!gst_caps_is_fixed (caps.get ()))
    return Error{P2P_ERROR_PROTOCOL, "The peer sent caps that are not fixed."};
  return caps;
}

}  // namespace p2p
