#include "report.hpp"

#include <cmath>
#include <cstdio>

#include "ptr.hpp"

namespace lab {

namespace {

constexpr double kUsPerMs = 1000;

JsonNode *
text_node (const char *text) {
  JsonNode *node = json_node_new (JSON_NODE_VALUE);
  json_node_set_string (node, text ? text : "");
  return node;
}

JsonNode *
node_of (const GValue *value) {
  const GType type = G_VALUE_TYPE (value);
  if (type == G_TYPE_ERROR) {
    const auto *error = static_cast<const GError *> (g_value_get_boxed (value));
    return error ? text_node (error->message) : json_node_new (JSON_NODE_NULL);
  }
  if (G_TYPE_IS_ENUM (type)) return text_node (nick (type, g_value_get_enum (value)).c_str ());
  if (type == G_TYPE_VARIANT && g_value_get_variant (value))
    return json_gvariant_serialize (g_value_get_variant (value));
  if (type == G_TYPE_STRING) return text_node (g_value_get_string (value));
  GValue number = G_VALUE_INIT;
  g_value_init (&number, G_TYPE_INT64);
  if (g_value_type_transformable (type, G_TYPE_INT64) && g_value_transform (value, &number)) {
    JsonNode *node = json_node_new (JSON_NODE_VALUE);
    json_node_set_int (node, g_value_get_int64 (&number));
    return node;
  }
  const UniqueChars contents (g_strdup_value_contents (value));
  return text_node (contents.get ());
}

}  // namespace

double
now_ms () {
  return static_cast<double> (g_get_monotonic_time ()) / kUsPerMs;
}

std::string
nick (GType type, int value) {
  auto *klass = static_cast<GEnumClass *> (g_type_class_ref (type));
  const GEnumValue *found = g_enum_get_value (klass, value);
  std::string name = found ? found->value_nick : std::to_string (value);
  g_type_class_unref (klass);
  return name;
}

Line::Line (const char *event) : builder_ (json_builder_new ()) {
  json_builder_begin_object (builder_);
  ms ("t", now_ms ());
  text ("event", event);
}

Line::~Line () {
  json_builder_end_object (builder_);
  JsonNode *root = json_builder_get_root (builder_);
  const UniqueChars written (json_to_string (root, FALSE));
  json_node_unref (root);
  g_object_unref (builder_);
  std::puts (written.get ());
  std::fflush (stdout);
}

Line &
Line::text (const char *key, const char *value) {
  if (!value) return *this;
  // What a peer said may be any bytes.
  const UniqueChars valid (g_utf8_make_valid (value, -1));
  json_builder_set_member_name (builder_, key);
  json_builder_add_string_value (builder_, valid.get ());
  return *this;
}

Line &
Line::count (const char *key, guint64 value) {
  json_builder_set_member_name (builder_, key);
  json_builder_add_int_value (builder_, static_cast<gint64> (value));
  return *this;
}

Line &
Line::ms (const char *key, double value) {
  json_builder_set_member_name (builder_, key);
  json_builder_add_double_value (builder_, std::round (value * kUsPerMs) / kUsPerMs);
  return *this;
}

Line &
Line::flag (const char *key, bool value) {
  json_builder_set_member_name (builder_, key);
  json_builder_add_boolean_value (builder_, value);
  return *this;
}

Line &
Line::variant (const char *key, GVariant *value) {
  json_builder_set_member_name (builder_, key);
  json_builder_add_value (builder_, json_gvariant_serialize (value));
  return *this;
}

Line &
Line::values (const char *key, const GValue *values, guint size) {
  json_builder_set_member_name (builder_, key);
  json_builder_begin_array (builder_);
  for (guint i = 0; i < size; i++) json_builder_add_value (builder_, node_of (&values[i]));
  json_builder_end_array (builder_);
  return *this;
}

}  // namespace lab
