// A folder that is there for one test.
#pragma once
#include <glib.h>
#include <glib/gstdio.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <string>

namespace p2p::test {

class TempFolder {
 public:
  TempFolder () {
    char *made = g_dir_make_tmp ("p2p-test-XXXXXX", nullptr);
    EXPECT_NE (made, nullptr);
    if (made) path_ = made;
    g_free (made);
  }
  ~TempFolder () {
    std::error_code ignored;
    std::filesystem::remove_all (path_, ignored);
  }
  TempFolder (const TempFolder &) = delete;
  TempFolder &operator= (const TempFolder &) = delete;

  const std::string &path () const { return path_; }
  std::string file (const std::string &name) const { return path_ + "/" + name; }

 private:
  std::string path_;
};

}  // namespace p2p::test
