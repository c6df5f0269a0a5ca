#include "signaling/server_message.hpp"

#include <array>

#include "signaling/frame.hpp"

namespace p2p {

namespace {

using Kind = ServerMessage::Kind;

constexpr char kVersion[] = "1";
constexpr std::size_t kMaxWord = 128;
constexpr std::size_t kMaxWords = 512;

struct Shape {
  Kind kind;
  const char *name;
  std::size_t words;  // after the version, the name and the sender
};
constexpr std::array<Shape, 8> kShapes = {{{Kind::beat, "beat", 0},
                                           {Kind::here, "here", 0},  // any number
                                           {Kind::tell, "tell", 3},
                                           {Kind::gone, "gone", 1},
                                           {Kind::absent, "absent", 1},
                                           {Kind::message, "message", 2},
                                           {Kind::refused, "refused", 3},
                                           {Kind::forget, "forget", 0}}};

const Shape &
shape_of (Kind kind) {
  return kShapes[static_cast<std::size_t> (kind)];
}

// False for what is no list of words with one space between them.
bool
split (const std::string &line, std::vector<std::string> &words) {
  std::size_t at = 0;
  for (;;) {
    const std::size_t end = std::min (line.find (' ', at), line.size ());
    if (end == at || end - at > kMaxWord || words.size () == kMaxWords) return false;
    words.push_back (line.substr (at, end - at));
    if (end == line.size ()) return true;
    at = end + 1;
  }
}

}  // namespace

std::string
to_text (const ServerMessage &message) {
  const Shape &shape = shape_of (message.kind);
  std::string text = std::string (kVersion) + " " + shape.name + " " + message.from;
  const auto add = [&text] (const std::string &word) { text += " " + word; };
  if (shape.words > 0) add (message.id);
  if (shape.words > 1) add (message.peer);
  if (message.kind == Kind::tell)
    add (std::string (message.asks ? "1" : "0") + (message.any ? "1" : "0") +
         (message.answer ? "1" : "0"));
  if (message.kind == Kind::refused) add (message.code);
  for (const std::string &id : message.ids) add (id);
  text += '\n';
  if (message.kind == Kind::message) text += message.data;
  return text;
}

std::optional<ServerMessage>
parse_server_message (const std::string &text) {
  const std::size_t end = text.find ('\n');
  std::vector<std::string> words;
  if (end == std::string::npos || !split (text.substr (0, end), words)) return std::nullopt;
  if (words.size () < 3 || words[0] != kVersion) return std::nullopt;
  ServerMessage message;
  for (const Shape &shape : kShapes) {
    if (words[1] != shape.name) continue;
    message.kind = shape.kind;
    message.from = words[2];
    const std::vector<std::string> rest (words.begin () + 3, words.end ());
    if (shape.kind == Kind::here) {
      for (const std::string &id : rest)
        if (!valid_signal_id (id)) return std::nullopt;
      message.ids = rest;
      return message;
    }
    if (rest.size () != shape.words) return std::nullopt;
    for (std::size_t i = 0; i < rest.size () && i < 2; ++i)
      if (!valid_signal_id (rest[i])) return std::nullopt;
    if (shape.words > 0) message.id = rest[0];
    if (shape.words > 1) message.peer = rest[1];
    if (shape.kind == Kind::tell) {
      if (rest[2].size () != 3 || rest[2].find_first_not_of ("01") != std::string::npos)
        return std::nullopt;
      message.asks = rest[2][0] == '1';
      message.any = rest[2][1] == '1';
      message.answer = rest[2][2] == '1';
    }
    if (shape.kind == Kind::refused) message.code = rest[2];
    if (shape.kind == Kind::message) message.data = text.substr (end + 1);
    return message;
  }
  return std::nullopt;
}

}  // namespace p2p
