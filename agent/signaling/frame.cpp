#include "signaling/frame.hpp"

#include <json-glib/json-glib.h>

#include <cstring>
#include <optional>

#include "base/ptr.hpp"

namespace p2p {

namespace {

// json-glib's parser recurses once per level, without a limit of its own.
constexpr int kMaxDepth = 8;

enum class Kind { identifier, peer, bytes, text, flag, number };
enum class Need { required, optional };

struct FieldRule {
  const char *name;
  Kind kind;
  Need need;
  std::size_t limit;  // bytes of a text after decoding, or the highest number
  std::string Frame::*string = nullptr;
  bool Frame::*flag = nullptr;
  std::uint64_t Frame::*wide = nullptr;
  std::uint32_t Frame::*narrow = nullptr;
};

constexpr std::size_t kKeyLimit = 256;        // a P-256 SubjectPublicKeyInfo has 91 bytes
constexpr std::size_t kSignatureLimit = 128;  // ECDSA over P-256 in DER has at most 72
constexpr std::size_t kTextLimit = 1024;
// Numbers stay exact in any JSON implementation (RFC 8259 section 6).
constexpr std::size_t kMaxExactInteger = (1ULL << 53) - 1;

constexpr FieldRule
text_rule (const char *name, Kind kind, Need need, std::size_t limit, std::string Frame::*where) {
  return {name, kind, need, limit, where};
}
constexpr FieldRule
number_rule (const char *name, Need need, std::size_t limit, std::uint32_t Frame::*where) {
  return {name, Kind::number, need, limit, nullptr, nullptr, nullptr, where};
}

constexpr FieldRule kId =
    text_rule ("id", Kind::identifier, Need::required, kMaxIdBytes, &Frame::id);
constexpr FieldRule kOptionalId =
    text_rule ("id", Kind::identifier, Need::optional, kMaxIdBytes, &Frame::id);
constexpr FieldRule kPeer =
    text_rule ("peer", Kind::identifier, Need::required, kMaxIdBytes, &Frame::peer);
constexpr FieldRule kPeerOrAny =
    text_rule ("peer", Kind::peer, Need::required, kMaxIdBytes, &Frame::peer);
constexpr FieldRule kOptionalPeer =
    text_rule ("peer", Kind::peer, Need::optional, kMaxIdBytes, &Frame::peer);
constexpr FieldRule kSeq = {"seq",   Kind::number, Need::optional, kMaxExactInteger,
                            nullptr, nullptr,      &Frame::seq};

struct TypeRule {
  const char *name;
  FrameType type;
  FieldRule fields[5];
};

const TypeRule kTypes[] = {
    {"welcome",
     FrameType::welcome,
     {number_rule ("version", Need::required, UINT32_MAX, &Frame::version),
      text_rule ("challenge", Kind::bytes, Need::required, kSignatureLimit, &Frame::challenge),
      number_rule ("stun-port", Need::optional, 65535, &Frame::stun_port),
      number_rule ("heartbeat-s", Need::optional, 3600, &Frame::heartbeat_s)}},
    {"register",
     FrameType::enroll,
     {kId, text_rule ("key", Kind::bytes, Need::required, kKeyLimit, &Frame::key),
      text_rule ("signature", Kind::bytes, Need::optional, kSignatureLimit, &Frame::signature)}},
    {"unregister", FrameType::resign, {kId}},
    {"registered", FrameType::registered, {kId}},
    {"ask", FrameType::ask, {kId, kPeerOrAny}},
    {"unask", FrameType::unask, {kId, kPeerOrAny}},
    {"peer",
     FrameType::peer,
     {kId, kPeer, FieldRule{"present", Kind::flag, Need::required, 0, nullptr, &Frame::present}}},
    {"message",
     FrameType::message,
     {kId, kPeer, text_rule ("data", Kind::bytes, Need::required, kMaxSignalBytes, &Frame::data)}},
    {"error",
     FrameType::error,
     {text_rule ("code", Kind::text, Need::required, 64, &Frame::code),
      text_rule ("text", Kind::text, Need::required, kTextLimit, &Frame::text),
      text_rule ("field", Kind::text, Need::optional, 64, &Frame::field), kOptionalId,
      kOptionalPeer}},
    {"ping", FrameType::ping, {kSeq}},
    {"pong", FrameType::pong, {kSeq}},
};

struct ParserUnref {
  void operator() (JsonParser *parser) const { g_object_unref (parser); }
};
struct BuilderUnref {
  void operator() (JsonBuilder *builder) const { g_object_unref (builder); }
};
struct GeneratorUnref {
  void operator() (JsonGenerator *generator) const { g_object_unref (generator); }
};
struct NodeUnref {
  void operator() (JsonNode *node) const { json_node_unref (node); }
};

bool
shallow (ByteView text) {
  int depth = 0;
  bool in_string = false;
  for (std::size_t i = 0; i < text.size; ++i) {
    const char c = static_cast<char> (text[i]);
    // json-glib takes single quotes for strings and comments too; we take neither, so that
    // brackets are counted as the parser sees them.
    if (in_string) {
      if (c == '\\')
        ++i;
      else if (c == '"')
        in_string = false;
    } else if (c == '"') {
      in_string = true;
    } else if (c == '{' || c == '[') {
      if (++depth > kMaxDepth) return false;
    } else if (c == '}' || c == ']') {
      --depth;
    } else if (c == '\'' || c == '/' || c == '#') {
      return false;
    }
  }
  return true;
}

std::optional<std::string>
decode_base64 (const char *text, std::size_t limit) {
  const std::size_t length = std::strlen (text);
  if (length % 4 != 0 || length / 4 * 3 > limit + 2) return std::nullopt;
  for (std::size_t i = 0; i < length; ++i) {
    const bool padding =
        text[i] == '=' && (i + 1 == length || (i + 2 == length && text[i + 1] == '='));
    if (!g_ascii_isalnum (text[i]) && text[i] != '+' && text[i] != '/' && !padding)
      return std::nullopt;
  }
  gsize size = 0;
  guchar *bytes = g_base64_decode (text, &size);
  std::string decoded (reinterpret_cast<char *> (bytes), size);
  g_free (bytes);
  return decoded;
}

std::string
encode_base64 (const std::string &bytes) {
  char *text = g_base64_encode (reinterpret_cast<const guchar *> (bytes.data ()), bytes.size ());
  std::string encoded (text);
  g_free (text);
  return encoded;
}

FrameError
bad_field (const FieldRule &rule, const std::string &must) {
  return {"bad-field", rule.name,
          "The field \"" + std::string (rule.name) + "\" must be " + must + "."};
}

FrameError
too_long (const FieldRule &rule) {
  return {"too-long", rule.name,
          "The field \"" + std::string (rule.name) + "\" is longer than " +
              std::to_string (rule.limit) + " bytes."};
}

std::optional<FrameError>
read_text (const FieldRule &rule, const char *text, Frame &frame) {
  const std::size_t length = std::strlen (text);
  std::string &value = frame.*rule.string;
  if (rule.kind == Kind::bytes) {
    // 4 characters carry 3 bytes.
    if (length > (rule.limit + 2) / 3 * 4) return too_long (rule);
    auto decoded = decode_base64 (text, rule.limit);
    if (!decoded) return bad_field (rule, "base64 (RFC 4648 section 4) with padding");
    if (decoded->size () > rule.limit) return too_long (rule);
    value = std::move (*decoded);
    return std::nullopt;
  }
  if (length > rule.limit) return too_long (rule);
  // json-glib lets an escaped half of a surrogate pair through as malformed UTF-8.
  if (!g_utf8_validate (text, static_cast<gssize> (length), nullptr))
    return bad_field (rule, "valid Unicode");
  value.assign (text, length);
  if (rule.kind == Kind::text || (rule.kind == Kind::peer && value == kAnyPeer))
    return std::nullopt;
  if (!valid_signal_id (value))
    return bad_field (rule, "1 to 128 characters of A-Z a-z 0-9 . _ @ : + -");
  return std::nullopt;
}

std::optional<FrameError>
read_field (const FieldRule &rule, JsonNode *node, Frame &frame) {
  if (!node) {
    if (rule.need == Need::optional) return std::nullopt;
    return FrameError{"bad-field", rule.name,
                      "The field \"" + std::string (rule.name) + "\" is missing."};
  }
  const GType type =
      JSON_NODE_HOLDS_VALUE (node) ? json_node_get_value_type (node) : G_TYPE_INVALID;
  if (rule.flag) {
    if (type != G_TYPE_BOOLEAN) return bad_field (rule, "true or false");
    frame.*rule.flag = json_node_get_boolean (node) != FALSE;
    return std::nullopt;
  }
  if (rule.string) {
    if (type != G_TYPE_STRING) return bad_field (rule, "a string");
    return read_text (rule, json_node_get_string (node), frame);
  }
  const gint64 number = type == G_TYPE_INT64 ? json_node_get_int (node) : -1;
  if (number < 0 || static_cast<std::uint64_t> (number) > rule.limit)
    return bad_field (rule, "a whole number from 0 to " + std::to_string (rule.limit));
  if (rule.wide)
    frame.*rule.wide = static_cast<std::uint64_t> (number);
  else
    frame.*rule.narrow = static_cast<std::uint32_t> (number);
  return std::nullopt;
}

}  // namespace

bool
valid_signal_id (const std::string &id) {
  if (id.empty () || id.size () > kMaxIdBytes) return false;
  for (const char c : id)
    if (!g_ascii_isalnum (c) && (c == '\0' || !std::strchr ("._@:+-", c))) return false;
  return true;
}

std::string
to_json (const Frame &frame) {
  const std::unique_ptr<JsonBuilder, BuilderUnref> builder (json_builder_new_immutable ());
  json_builder_begin_object (builder.get ());
  for (const TypeRule &rule : kTypes) {
    if (rule.type != frame.type) continue;
    json_builder_set_member_name (builder.get (), "type");
    json_builder_add_string_value (builder.get (), rule.name);
    for (const FieldRule &field : rule.fields) {
      if (!field.name) break;
      const bool optional = field.need == Need::optional;
      if (field.string) {
        const std::string &value = frame.*field.string;
        if (optional && value.empty ()) continue;
        json_builder_set_member_name (builder.get (), field.name);
        json_builder_add_string_value (
            builder.get (), (field.kind == Kind::bytes ? encode_base64 (value) : value).c_str ());
      } else if (field.flag) {
        json_builder_set_member_name (builder.get (), field.name);
        json_builder_add_boolean_value (builder.get (), frame.*field.flag);
      } else {
        const std::uint64_t value = field.wide ? frame.*field.wide : frame.*field.narrow;
        if (optional && value == 0) continue;
        json_builder_set_member_name (builder.get (), field.name);
        json_builder_add_int_value (builder.get (), static_cast<gint64> (value));
      }
    }
  }
  json_builder_end_object (builder.get ());
  const std::unique_ptr<JsonNode, NodeUnref> root (json_builder_get_root (builder.get ()));
  const std::unique_ptr<JsonGenerator, GeneratorUnref> generator (json_generator_new ());
  json_generator_set_root (generator.get (), root.get ());
  gsize size = 0;
  const UniqueChars text (json_generator_to_data (generator.get (), &size));
  return {text.get (), size};
}

std::variant<Frame, FrameError>
parse_frame (ByteView text) {
  if (text.size > kMaxFrameBytes)
    return FrameError{"too-long", "",
                      "The frame is longer than " + std::to_string (kMaxFrameBytes) + " bytes."};
  const char *chars = reinterpret_cast<const char *> (text.data);
  // Without this check an embedded zero byte would hide what follows it from json-glib.
  if (text.empty () || !g_utf8_validate_len (chars, text.size, nullptr))
    return FrameError{"bad-json", "", "The frame is not JSON text in UTF-8."};
  if (!shallow (text))
    return FrameError{"bad-json", "", "The frame is not plain JSON or nests too deep."};

  const std::unique_ptr<JsonParser, ParserUnref> parser (json_parser_new_immutable ());
  if (!json_parser_load_from_data (parser.get (), chars, static_cast<gssize> (text.size), nullptr))
    return FrameError{"bad-json", "", "The frame is not valid JSON."};
  JsonNode *root = json_parser_get_root (parser.get ());
  if (!root || !JSON_NODE_HOLDS_OBJECT (root))
    return FrameError{"bad-json", "", "The frame is not a JSON object."};
  JsonObject *object = json_node_get_object (root);

  JsonNode *type = json_object_get_member (object, "type");
  if (!type || !JSON_NODE_HOLDS_VALUE (type) || json_node_get_value_type (type) != G_TYPE_STRING)
    return FrameError{"bad-field", "type", "The field \"type\" must be a string."};
  const char *name = json_node_get_string (type);
  for (const TypeRule &rule : kTypes) {
    if (std::strcmp (rule.name, name) != 0) continue;
    Frame frame;
    frame.type = rule.type;
    for (const FieldRule &field : rule.fields) {
      if (!field.name) break;
      if (auto error = read_field (field, json_object_get_member (object, field.name), frame))
        return *error;
    }
    return frame;
  }
  return FrameError{"unknown-type", "type", "The field \"type\" names no frame of this protocol."};
}

}  // namespace p2p
