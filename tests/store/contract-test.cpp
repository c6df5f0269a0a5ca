// What every session store promises, asked of each that is built in.
#include <gtest/gtest.h>

#include "store/store_factory.hpp"
#ifdef REDIS_SERVER
#include "support/redis_server.hpp"
#endif
#include "support/store_driver.hpp"
#include "support/temp_folder.hpp"

namespace p2p {
namespace {

using test::store_bytes;
using test::StoreDriver;
using Items = StoreDriver::Items;

class StoreContract : public testing::TestWithParam<const char *> {
 protected:
  void SetUp () override {
    const std::string kind = GetParam ();
    // A name of its own for each case.
#ifdef REDIS_SERVER
    if (kind == "redis") {
      server_ = std::make_unique<RedisServer> ();
      server_->start ();
      uri_ = server_->uri ();
      return;
    }
#endif
    uri_ = kind == "memory" ? "memory:" + folder_.path () : "sqlite:" + folder_.file ("s.db");
    if (kind == "sqlite-full") uri_ += "?synchronous=full";
    if (kind != "sqlite-sealed") return;
    key_file_ = folder_.file ("key");
    ASSERT_TRUE (g_file_set_contents_full (key_file_.c_str (), "0123456789abcdef0123456789abcdef",
                                           32, G_FILE_SET_CONTENTS_CONSISTENT, 0600, nullptr));
  }
  std::unique_ptr<SessionStore> make () {
    auto store = make_session_store (uri_, key_file_);
    EXPECT_TRUE (store.ok ()) << store.error ().message;
    return store ? std::move (*store) : nullptr;
  }
  std::unique_ptr<StoreDriver> driver () {
    return std::make_unique<StoreDriver> ([this] { return make (); });
  }

  test::TempFolder folder_;
  std::string uri_, key_file_;
#ifdef REDIS_SERVER
  std::unique_ptr<RedisServer> server_;
#endif
};

TEST_P (StoreContract, IsEmptyUnderItsFirstTerm) {
  auto store = driver ();
  EXPECT_EQ (store->must_open (), Items ());
  EXPECT_EQ (store->term, 1u);
}

TEST_P (StoreContract, GivesBackInOrderWhatWasPutReplacedAndErased) {
  auto store = driver ();
  store->must_open ();
  const std::string binary ("\0\xff\n\0", 4);
  EXPECT_FALSE (store->commit ({StoreChange::put ("b", store_bytes ("1")),
                                StoreChange::put ("a", store_bytes (binary)),
                                StoreChange::put ("c", store_bytes (""))}));
  EXPECT_FALSE (store->commit (
      {StoreChange::put ("b", store_bytes ("2")), StoreChange::put ("d", store_bytes ("3"))}));
  EXPECT_FALSE (store->commit ({StoreChange::erase ("d"), StoreChange::erase ("none")}));
  EXPECT_FALSE (store->close ());
  auto next = driver ();
  EXPECT_EQ (next->must_open (), (Items{{"a", binary}, {"b", "2"}, {"c", ""}}));
  EXPECT_EQ (next->term, 2u);
}

TEST_P (StoreContract, ErasesARangeWithoutItsEnd) {
  auto store = driver ();
  store->must_open ();
  EXPECT_FALSE (store->commit (
      {StoreChange::put ("j/", store_bytes ("0")), StoreChange::put ("j/1", store_bytes ("1")),
       StoreChange::put ("j/2", store_bytes ("2")), StoreChange::put ("j/3", store_bytes ("3")),
       StoreChange::put ("j0", store_bytes ("4"))}));
  EXPECT_FALSE (store->commit ({StoreChange::erase_range ("j/1", "j/3")}));
  EXPECT_FALSE (store->commit ({StoreChange::erase_range ("j0", "j/")}));  // nothing lies there
  store->close ();
  EXPECT_EQ (driver ()->must_open (), (Items{{"j/", "0"}, {"j/3", "3"}, {"j0", "4"}}));
}

TEST_P (StoreContract, EverythingMayBeErasedAtOnce) {
  auto store = driver ();
  store->must_open ();
  EXPECT_FALSE (store->put ("a", "1"));
  EXPECT_FALSE (store->commit ({StoreChange::erase_range ("", "\xff")}));
  EXPECT_FALSE (store->put ("b", "2"));
  store->close ();
  EXPECT_EQ (driver ()->must_open (), (Items{{"b", "2"}}));
}

TEST_P (StoreContract, ChangesOfABatchCountInTheirOrder) {
  auto store = driver ();
  store->must_open ();
  EXPECT_FALSE (store->commit ({StoreChange::put ("a", store_bytes ("1")), StoreChange::erase ("a"),
                                StoreChange::put ("b", store_bytes ("1")),
                                StoreChange::put ("b", store_bytes ("2"))}));
  store->close ();
  EXPECT_EQ (driver ()->must_open (), (Items{{"b", "2"}}));
}

TEST_P (StoreContract, KeepsOwnersApart) {
  auto alice = driver (), bob = driver ();
  alice->must_open ("alice");
  bob->must_open ("bob");
  EXPECT_FALSE (alice->put ("k", "alice's"));
  EXPECT_FALSE (bob->put ("k", "bob's"));
  EXPECT_FALSE (bob->commit ({StoreChange::erase_range ("", "z")}));
  alice->close ();
  EXPECT_EQ (driver ()->must_open ("alice"), (Items{{"k", "alice's"}}));
}

TEST_P (StoreContract, OfTwoHoldersOneCanWrite) {
  auto first = driver (), second = driver ();
  first->must_open ();
  auto opened = second->open ();
  const bool takes_over = GetParam () == std::string ("redis");
  EXPECT_EQ (opened.ok (), takes_over);
  const Status status = first->put ("k", "v");
  EXPECT_EQ (status.has_value (), takes_over);
  const Error &error = status ? *status : opened.error ();
  EXPECT_EQ (error.code, P2P_ERROR_FENCED);
  EXPECT_NE (error.message.find ("\"alice\""), std::string::npos);
  if (opened) {
    EXPECT_FALSE (second->put ("k", "v"));
  }
}

TEST_P (StoreContract, AStoreThatIsDestroyedLeavesItsOwnerToOthers) {
  auto first = driver ();
  first->must_open ();
  EXPECT_FALSE (first->put ("k", "v"));
  first->destroy ();
  auto second = driver ();
  EXPECT_EQ (second->must_open (), (Items{{"k", "v"}}));
  EXPECT_EQ (second->term, 2u);
}

TEST_P (StoreContract, AnswersInTheOrderOfTheCallsAndNeverFromInside) {
  auto store = driver ();
  store->must_open ();
  constexpr int kBatches = 500;
  std::vector<int> order;
  std::promise<void> closed;
  store->with ([&] (SessionStore &s) {
    for (int i = 0; i < kBatches; ++i)
      s.commit ({StoreChange::put ("k", store_bytes (std::to_string (i)))},
                [&order, i] (const Status &status) { order.push_back (status ? -1 : i); });
    s.close ([&] (const Status &status) {
      EXPECT_FALSE (status);
      closed.set_value ();
    });
    EXPECT_TRUE (order.empty ());
    EXPECT_GE (s.waiting_bytes (), std::uint64_t{kBatches} * 2);
  });
  closed.get_future ().wait ();
  store->with ([&] (SessionStore &s) { EXPECT_EQ (s.waiting_bytes (), 0u); });
  ASSERT_EQ (order.size (), std::size_t{kBatches});
  for (int i = 0; i < kBatches; ++i) EXPECT_EQ (order[static_cast<std::size_t> (i)], i);
  EXPECT_EQ (driver ()->must_open (), (Items{{"k", std::to_string (kBatches - 1)}}));
}

TEST_P (StoreContract, SaysNothingAfterItsEnd) {
  auto store = driver ();
  store->must_open ();
  int answers = 0;
  core_loop ().run_sync ([&] {
    store->with ([&] (SessionStore &s) {
      for (int i = 0; i < 20; ++i)
        s.commit ({StoreChange::put ("k", store_bytes ("v"))}, [&] (const Status &) { ++answers; });
    });
    store->destroy ();
  });
  core_loop ().run_sync ([] {});
  EXPECT_EQ (answers, 0);
}

TEST_P (StoreContract, MayBeDestroyedByAnAnswer) {
  auto store = driver ();
  store->must_open ();
  std::promise<void> gone;
  int answers = 0;
  store->with ([&] (SessionStore &s) {
    for (int i = 0; i < 20; ++i)
      s.commit ({StoreChange::put ("k", store_bytes ("v"))}, [&] (const Status &) {
        if (++answers > 1) return;
        store->destroy ();
        gone.set_value ();
      });
  });
  gone.get_future ().wait ();
  core_loop ().run_sync ([] {});
  EXPECT_EQ (answers, 1);
}

TEST_P (StoreContract, TakesLargeValues) {
  auto store = driver ();
  store->must_open ();
  const std::string large (16 * 1024 * 1024, 'x');
  EXPECT_FALSE (store->put ("large", large));
  store->close ();
  const Items items = driver ()->must_open ();
  ASSERT_EQ (items.size (), 1u);
  EXPECT_TRUE (items[0].second == large);
}

#ifdef REDIS_SERVER
constexpr const char *kStores[] = {"memory", "sqlite", "sqlite-full", "sqlite-sealed", "redis"};
#else
constexpr const char *kStores[] = {"memory", "sqlite", "sqlite-full", "sqlite-sealed"};
#endif

INSTANTIATE_TEST_SUITE_P (, StoreContract, testing::ValuesIn (kStores), [] (const auto &parameter) {
  std::string name = parameter.param;
  for (char &c : name)
    if (c == '-') c = '_';
  return name;
});

}  // namespace
}  // namespace p2p
