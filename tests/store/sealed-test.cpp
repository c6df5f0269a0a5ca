#include "store/sealed_store.hpp"

#include <gtest/gtest.h>
#include <sys/stat.h>

#include <fstream>
#include <set>
#include <sstream>

#include "store/store_factory.hpp"
#include "support/store_driver.hpp"
#include "support/temp_folder.hpp"

namespace p2p {
namespace {

using test::store_bytes;
using test::store_text;
using test::StoreDriver;
using Items = StoreDriver::Items;

const std::string kKey = "0123456789abcdef0123456789abcdef";
const std::string kOtherKey = "fedcba9876543210fedcba9876543210";

class SealedStoreTest : public testing::Test {
 protected:
  std::string key_file (const std::string &content, const std::string &name = "key") {
    const std::string path = folder_.file (name);
    EXPECT_TRUE (g_file_set_contents_full (path.c_str (), content.data (),
                                           static_cast<gssize> (content.size ()),
                                           G_FILE_SET_CONTENTS_CONSISTENT, 0600, nullptr));
    return path;
  }
  std::unique_ptr<StoreDriver> driver (const std::string &key_path) {
    return std::make_unique<StoreDriver> ([&] () -> std::unique_ptr<SessionStore> {
      auto store = make_session_store (uri_, key_path);
      EXPECT_TRUE (store.ok ()) << store.error ().message;
      return store ? std::move (*store) : nullptr;
    });
  }
  void expect_refusal (const std::string &key_path, const char *part) {
    auto opened = driver (key_path)->open ();
    ASSERT_FALSE (opened.ok ());
    EXPECT_EQ (opened.error ().code, P2P_ERROR_STORE);
    EXPECT_NE (opened.error ().message.find (part), std::string::npos) << opened.error ().message;
  }
  void write_one (const std::string &key_path) {
    auto store = driver (key_path);
    store->must_open ();
    EXPECT_FALSE (store->put ("session", "the secret of this session"));
    EXPECT_FALSE (store->close ());
  }

  test::TempFolder folder_;
  const std::string file_ = folder_.file ("s.db");
  const std::string uri_ = "sqlite:" + file_;
};

TEST_F (SealedStoreTest, NothingOfAValueReachesTheDisk) {
  write_one (key_file (kKey));
  std::stringstream disk;
  for (const char *end : {"", "-wal"}) disk << std::ifstream (file_ + end).rdbuf ();
  EXPECT_EQ (disk.str ().find ("secret"), std::string::npos);
  EXPECT_NE (disk.str ().find ("session"), std::string::npos) << "keys are in clear, as documented";
  EXPECT_EQ (driver (key_file (kKey))->must_open (),
             (Items{{"session", "the secret of this session"}}));
}

TEST_F (SealedStoreTest, AnotherKeyIsRefused) {
  write_one (key_file (kKey));
  expect_refusal (key_file (kOtherKey), "another key");
}

TEST_F (SealedStoreTest, NoKeyIsRefusedWhereOneWasUsed) {
  write_one (key_file (kKey));
  expect_refusal ("", "are encrypted");
}

TEST_F (SealedStoreTest, AKeyIsRefusedWhereNoneWasUsed) {
  write_one ("");
  expect_refusal (key_file (kKey), "are not encrypted");
}

TEST_F (SealedStoreTest, AKeyMayBeWrittenInHexadecimalOrBase64) {
  write_one (key_file (kKey));
  std::string hex;
  for (const char c : kKey) hex += "0123456789abcdef"[c >> 4], hex += "0123456789abcdef"[c & 15];
  gchar *base64 = g_base64_encode (reinterpret_cast<const guchar *> (kKey.data ()), kKey.size ());
  for (const std::string &text : {hex, std::string (base64)})
    EXPECT_EQ (driver (key_file (text + "\n"))->must_open ().size (), 1u) << text;
  g_free (base64);
}

TEST_F (SealedStoreTest, AKeyFileThatIsMissingOpenOrNoKeyIsRefused) {
  const auto message = [&] (const std::string &path) {
    auto store = make_session_store (uri_, path);
    EXPECT_FALSE (store.ok ());
    return store ? std::string () : store.error ().message;
  };
  EXPECT_NE (message (folder_.file ("none")).find ("does not exist"), std::string::npos);
  EXPECT_NE (message (key_file ("too short")).find ("holds no key"), std::string::npos);
  const std::string open = key_file (kKey);
  chmod (open.c_str (), 0640);
  EXPECT_NE (message (open).find ("chmod 600"), std::string::npos);
}

TEST (StoreKeyTest, OpensWhatItSealedAtItsPlaceAlone) {
  auto key = std::move (*StoreKey::from_bytes (ByteView (std::string_view (kKey))));
  auto again = std::move (*StoreKey::from_bytes (ByteView (std::string_view (kKey))));
  auto other = std::move (*StoreKey::from_bytes (ByteView (std::string_view (kOtherKey))));
  for (const std::string &text :
       {std::string (), std::string ("text"), std::string (100000, 'x')}) {
    const auto sealed = key->seal ("alice", "k", store_bytes (text).get ());
    auto opened = again->open ("alice", "k", sealed.get ());
    ASSERT_TRUE (opened);
    EXPECT_TRUE (store_text (opened) == text);
    EXPECT_FALSE (again->open ("alice", "l", sealed.get ()));
    EXPECT_FALSE (again->open ("alic", "ek", sealed.get ()));
    EXPECT_FALSE (other->open ("alice", "k", sealed.get ()));
  }
}

TEST (StoreKeyTest, NoBitOfWhatWasSealedMayChange) {
  auto key = std::move (*StoreKey::from_bytes (ByteView (std::string_view (kKey))));
  const std::string sealed = store_text (key->seal ("alice", "k", store_bytes ("text").get ()));
  for (std::size_t i = 0; i < sealed.size () * 8; ++i) {
    std::string changed = sealed;
    changed[i / 8] = static_cast<char> (changed[i / 8] ^ (1 << (i % 8)));
    EXPECT_FALSE (key->open ("alice", "k", store_bytes (changed).get ())) << "bit " << i;
  }
  for (std::size_t size = 0; size < sealed.size (); ++size)
    EXPECT_FALSE (key->open ("alice", "k", store_bytes (sealed.substr (0, size)).get ()));
}

TEST (StoreKeyTest, SealsTheSameTextNeverTheSameWay) {
  std::set<std::string> seen;
  for (int process = 0; process < 3; ++process) {
    auto key = std::move (*StoreKey::from_bytes (ByteView (std::string_view (kKey))));
    for (int i = 0; i < 100; ++i)
      EXPECT_TRUE (
          seen.insert (store_text (key->seal ("alice", "k", store_bytes ("text").get ()))).second);
  }
}

}  // namespace
}  // namespace p2p
