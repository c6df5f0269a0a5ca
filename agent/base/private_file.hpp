// A file that only its owner may read, made at once or not at all.
#pragma once
#include <optional>
#include <string>

#include "base/error.hpp"

namespace p2p {

// How errors speak of the file: "The NAME /path cannot be …".
struct FileRole {
  const char *name;
  P2pError code;
};

// The content, or nothing when there is no such file. Others' read access is an error.
Result<std::optional<std::string>> read_private_file (const FileRole &role,
                                                      const std::string &path);

// Makes the file (0600) and its missing parents (0700). When another process made it first, that
// one stays and this is no error: whoever reads sees one whole file or none.
Status create_private_file (const FileRole &role, const std::string &path,
                            const std::string &content);

}  // namespace p2p
