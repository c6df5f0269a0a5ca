#include "core/json_reader.hpp"

namespace p2p {

namespace {

struct NodeFree {
  void operator() (JsonNode *node) const { json_node_unref (node); }
};
using UniqueNode = std::unique_ptr<JsonNode, NodeFree>;

bool
is_text (JsonNode *node) {
  return node && JSON_NODE_HOLDS_VALUE (node) && json_node_get_value_type (node) == G_TYPE_STRING;
}

bool
is_valid (const std::string &text) {
  return g_utf8_validate_len (text.data (), text.size (), nullptr);
}

std::string
to_text (JsonNode *node) {
  const UniqueChars text (json_to_string (node, FALSE));
  return text.get ();
}

}  // namespace

std::string
valid_utf8 (const std::string &text) {
  const UniqueChars valid (g_utf8_make_valid (text.data (), static_cast<gssize> (text.size ())));
  return valid.get ();
}

JsonReader::JsonReader (Ref<JsonParser> parser, const char *what)
    : parser_ (std::move (parser)),
      object_ (json_node_get_object (json_parser_get_root (parser_.get ()))),
      what_ (what) {}

Result<JsonReader>
JsonReader::parse (const std::string &text, const char *what) {
  auto parser = Ref<JsonParser>::adopt (json_parser_new_immutable ());
  GError *raw = nullptr;
  if (!json_parser_load_from_data (parser.get (), text.data (), static_cast<gssize> (text.size ()),
                                   &raw)) {
    const UniqueError error (raw);
    return Error{P2P_ERROR_INVALID_ARGUMENT,
                 std::string ("The ") + what + " is not JSON: " + error->message};
  }
  JsonNode *root = json_parser_get_root (parser.get ());
  if (!root || !JSON_NODE_HOLDS_OBJECT (root))
    return Error{P2P_ERROR_INVALID_ARGUMENT,
                 std::string ("The ") + what + " is not a JSON object."};
  return JsonReader (std::move (parser), what);
}

JsonNode *
JsonReader::member (const char *field) const {
  return json_object_get_member (object_, field);
}

bool
JsonReader::has (const char *field) const {
  return member (field) != nullptr;
}

std::string
JsonReader::text_or (const char *field, const std::string &fallback) const {
  JsonNode *node = member (field);
  return is_text (node) ? valid_utf8 (json_node_get_string (node)) : fallback;
}

bool
JsonReader::flag_or (const char *field, bool fallback) const {
  JsonNode *node = member (field);
  if (!node || !JSON_NODE_HOLDS_VALUE (node) || json_node_get_value_type (node) != G_TYPE_BOOLEAN)
    return fallback;
  return json_node_get_boolean (node);
}

Error
JsonReader::malformed (const char *field, const char *problem) const {
  return {P2P_ERROR_INVALID_ARGUMENT,
          std::string ("The field \"") + field + "\" of the " + what_ + " " + problem + "."};
}

Result<std::string>
JsonReader::text (const char *field, std::size_t max_bytes) const {
  JsonNode *node = member (field);
  if (!node) return malformed (field, "is missing");
  if (!is_text (node)) return malformed (field, "is not a string");
  std::string value = json_node_get_string (node);
  if (value.size () > max_bytes) return malformed (field, "is too long");
  if (!is_valid (value)) return malformed (field, "is not valid Unicode");
  return value;
}

Result<std::vector<std::string>>
JsonReader::texts (const char *field, std::size_t max_count, std::size_t max_bytes) const {
  JsonNode *node = member (field);
  if (!node) return malformed (field, "is missing");
  if (!JSON_NODE_HOLDS_ARRAY (node)) return malformed (field, "is not an array");
  JsonArray *array = json_node_get_array (node);
  const guint count = json_array_get_length (array);
  if (count > max_count) return malformed (field, "has too many entries");
  std::vector<std::string> values;
  values.reserve (count);
  for (guint i = 0; i < count; ++i) {
    JsonNode *element = json_array_get_element (array, i);
    if (!is_text (element)) return malformed (field, "has an entry that is not a string");
    values.emplace_back (json_node_get_string (element));
    if (values.back ().size () > max_bytes)
      return malformed (field, "has an entry that is too long");
    if (!is_valid (values.back ()))
      return malformed (field, "has an entry that is not valid Unicode");
  }
  return values;
}

Result<std::string>
JsonReader::object_text (const char *field) const {
  JsonNode *node = member (field);
  if (!node) return malformed (field, "is missing");
  if (!JSON_NODE_HOLDS_OBJECT (node)) return malformed (field, "is not an object");
  return to_text (node);
}

JsonWriter::JsonWriter () : builder_ (Ref<JsonBuilder>::adopt (json_builder_new ())) {
  json_builder_begin_object (builder_.get ());
}

JsonWriter &
JsonWriter::text (const char *field, const std::string &value) {
  json_builder_set_member_name (builder_.get (), field);
  json_builder_add_string_value (builder_.get (), valid_utf8 (value).c_str ());
  return *this;
}

JsonWriter &
JsonWriter::number (const char *field, gint64 value) {
  json_builder_set_member_name (builder_.get (), field);
  json_builder_add_int_value (builder_.get (), value);
  return *this;
}

JsonWriter &
JsonWriter::flag (const char *field, bool value) {
  json_builder_set_member_name (builder_.get (), field);
  json_builder_add_boolean_value (builder_.get (), value);
  return *this;
}

JsonWriter &
JsonWriter::texts (const char *field, const std::vector<std::string> &values) {
  json_builder_set_member_name (builder_.get (), field);
  json_builder_begin_array (builder_.get ());
  for (const std::string &value : values)
    json_builder_add_string_value (builder_.get (), valid_utf8 (value).c_str ());
  json_builder_end_array (builder_.get ());
  return *this;
}

JsonWriter &
JsonWriter::object (const char *field, const std::string &json) {
  json_builder_set_member_name (builder_.get (), field);
  json_builder_add_value (builder_.get (), json_from_string (json.c_str (), nullptr));
  return *this;
}

JsonWriter &
JsonWriter::objects (const char *field, const std::vector<std::string> &jsons) {
  json_builder_set_member_name (builder_.get (), field);
  json_builder_begin_array (builder_.get ());
  for (const std::string &json : jsons)
    json_builder_add_value (builder_.get (), json_from_string (json.c_str (), nullptr));
  json_builder_end_array (builder_.get ());
  return *this;
}

std::string
JsonWriter::finish () {
  json_builder_end_object (builder_.get ());
  const UniqueNode root (json_builder_get_root (builder_.get ()));
  return to_text (root.get ());
}

}  // namespace p2p
