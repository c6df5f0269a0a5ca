// Reads JSON objects that came from outside: every field is checked, every error names the field.
#pragma once
#include <json-glib/json-glib.h>

#include <string>
#include <vector>

#include "base/error.hpp"
#include "base/ptr.hpp"

namespace p2p {

// The text with U+FFFD for whatever in it is not UTF-8.
std::string valid_utf8 (const std::string &text);

class JsonReader {
 public:
  // `what` names the text in errors: "network configuration".
  static Result<JsonReader> parse (const std::string &text, const char *what);

  bool has (const char *field) const;
  // Optional fields: the fallback when they are absent or of another type.
  std::string text_or (const char *field, const std::string &fallback) const;
  bool flag_or (const char *field, bool fallback) const;
  // Required fields. Texts above `max_bytes` are an error.
  Result<std::string> text (const char *field, std::size_t max_bytes) const;
  Result<std::vector<std::string>> texts (const char *field, std::size_t max_count,
                                          std::size_t max_bytes) const;
  Result<std::string> object_text (const char *field) const;  // a nested object, as JSON
  Error malformed (const char *field, const char *problem) const;

 private:
  JsonReader (Ref<JsonParser> parser, const char *what);
  JsonNode *member (const char *field) const;

  Ref<JsonParser> parser_;  // owns the tree
  JsonObject *object_;
  const char *what_;
};

// Builds one flat JSON object.
class JsonWriter {
 public:
  JsonWriter ();
  JsonWriter &text (const char *field, const std::string &value);
  JsonWriter &number (const char *field, gint64 value);
  JsonWriter &flag (const char *field, bool value);
  JsonWriter &texts (const char *field, const std::vector<std::string> &values);
  JsonWriter &object (const char *field, const std::string &json);  // json is one that we made
  JsonWriter &objects (const char *field, const std::vector<std::string> &jsons);
  std::string finish ();

 private:
  Ref<JsonBuilder> builder_;
};

}  // namespace p2p
