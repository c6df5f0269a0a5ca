// The file of a store on the disk: private, and each owner in it held by one living process.
#pragma once
#include <memory>
#include <string>

#include "base/error.hpp"

namespace p2p {

// Makes the file, readable by its owner alone, and the folders above it where they are missing. A
// file that is there is refused when others than its owner may use it.
Status prepare_store_file (const std::string &path);

// A lock of the kernel's for one owner in the store of that path: of this process alone, free as
// soon as the process is dead, however it died.
class OwnerLock {
 public:
  // P2P_ERROR_FENCED when somebody has it, this process itself included.
  static Result<std::unique_ptr<OwnerLock>> take (const std::string &path,
                                                  const std::string &owner);
  ~OwnerLock ();
  OwnerLock (const OwnerLock &) = delete;
  OwnerLock &operator= (const OwnerLock &) = delete;

 private:
  explicit OwnerLock (int fd) : fd_ (fd) {}

  const int fd_;
};

}  // namespace p2p
