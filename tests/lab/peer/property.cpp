#include "property.hpp"

#include "report.hpp"

namespace lab {

namespace {

bool
parse_enum (GType type, const std::string &text, GValue *value) {
  auto *klass = static_cast<GEnumClass *> (g_type_class_ref (type));
  const GEnumValue *found = g_enum_get_value_by_nick (klass, text.c_str ());
  if (found) {
    g_value_init (value, type);
    g_value_set_enum (value, found->value);
  }
  g_type_class_unref (klass);
  return found != nullptr;
}

bool
parse (GType type, const std::string &text, GValue *value) {
  if (G_TYPE_IS_ENUM (type)) return parse_enum (type, text, value);
  if (type == G_TYPE_STRING) {
    g_value_init (value, type);
    g_value_set_string (value, text.c_str ());
    return true;
  }
  if (type == G_TYPE_BOOLEAN) {
    g_value_init (value, type);
    g_value_set_boolean (value, text == "true");
    return text == "true" || text == "false";
  }
  g_value_init (value, G_TYPE_INT64);
  char *end = nullptr;
  g_value_set_int64 (value, g_ascii_strtoll (text.c_str (), &end, 10));
  return *end == '\0' && g_value_type_transformable (G_TYPE_INT64, type);
}

}  // namespace

bool
set_property_text (GObject *object, const std::string &name, const std::string &text) {
  GParamSpec *spec = g_object_class_find_property (G_OBJECT_GET_CLASS (object), name.c_str ());
  if (!spec) return false;
  GValue value = G_VALUE_INIT;
  const bool good = parse (G_PARAM_SPEC_VALUE_TYPE (spec), text, &value);
  if (good) g_object_set_property (object, name.c_str (), &value);
  if (G_IS_VALUE (&value)) g_value_unset (&value);
  return good;
}

std::string
property_text (GObject *object, const char *name) {
  if (!g_object_class_find_property (G_OBJECT_GET_CLASS (object), name)) return {};
  GValue value = G_VALUE_INIT;
  g_object_get_property (object, name, &value);
  std::string text;
  if (G_VALUE_HOLDS_ENUM (&value))
    text = nick (G_VALUE_TYPE (&value), g_value_get_enum (&value));
  else if (G_VALUE_HOLDS_STRING (&value) && g_value_get_string (&value))
    text = g_value_get_string (&value);
  g_value_unset (&value);
  return text;
}

}  // namespace lab
